# SPDX-License-Identifier: GPL-2.0-only
"""Sets of function names, written as patterns of whole names."""

import re
from collections import defaultdict
from dataclasses import dataclass

_CACHED = 50_000  # names whose answer is kept
_LETTER = re.compile(r"(?:\[(?P<set>\w+)\]|(?P<one>\w))(?![?*{])")


@dataclass(frozen=True)
class Family:
    """Functions that a trace shows for the same ``reason`` without being to blame.

    ``words``: patterns of whole names. Leading underscores of a name do not matter, unless its
    pattern begins with one too.
    """

    reason: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, reason: str, words: str) -> "Family":
        """Make a family of patterns with blanks between them."""
        return cls(reason, tuple(words.split()))


class Names:
    """All names of some families; ``name in names``.

    Patterns are tried by the first letter that they begin with: a table of hundreds costs a
    new name no more than its own part.
    """

    def __init__(self, *families: Family) -> None:
        self.families = families
        groups: dict[str, list[str]] = defaultdict(list)
        self._exact = _any_of([w for family in families for w in family.words if w[0] == "_"])
        anywhere: list[str] = []
        for word in (word for family in families for word in family.words if word[0] != "_"):
            match = None if _alternates(word) else _LETTER.match(word)
            if match:
                for letter in match["set"] or match["one"]:
                    groups[letter].append(word)
            else:
                anywhere.append(word)
        self._anywhere = _any_of(anywhere)
        self._by_letter = {letter: _any_of([*words, *anywhere]) for letter, words in groups.items()}
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            bare = name.lstrip("_").removesuffix("_noprof")
            pattern = self._by_letter.get(bare[:1], self._anywhere)
            known = bool(pattern.match(bare) or self._exact.match(name))
            self._known[name] = known
        return known


def _alternates(word: str) -> bool:
    """Whether a pattern is a choice at its outermost level."""
    depth = 0
    for letter in word:
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and not depth:
            return True
    return False


def _any_of(words: list[str]) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(words) + r")\Z") if words else re.compile(r"(?!)")
