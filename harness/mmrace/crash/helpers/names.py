# SPDX-License-Identifier: GPL-2.0-only
"""Sets of function names, written as patterns of whole names."""

import functools
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

    Patterns are tried by the first letter that they begin with, and compiled when a name with that
    letter is asked for: an import costs nothing, and a new name no more than its own part.
    """

    def __init__(self, *families: Family) -> None:
        self.families = families
        self._exact: list[str] = []
        self._anywhere: list[str] = []
        self._by_letter: dict[str, list[str]] = defaultdict(list)
        for word in (word for family in families for word in family.words):
            match = None if word[0] == "_" or _alternates(word) else _LETTER.match(word)
            if match:
                for letter in match["set"] or match["one"]:
                    self._by_letter[letter].append(word)
            else:
                (self._exact if word[0] == "_" else self._anywhere).append(word)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            bare = name.lstrip("_").removesuffix("_noprof")
            own = tuple(self._by_letter.get(bare[:1], ()))
            known = (
                bool(_any_of(own).match(bare))
                or bool(_any_of(tuple(self._anywhere)).match(bare))
                or bool(_any_of(tuple(self._exact)).match(name))
            )
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


@functools.cache
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(words) + r")\Z") if words else re.compile(r"(?!)")
