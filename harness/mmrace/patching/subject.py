# SPDX-License-Identifier: GPL-2.0-only
"""What a change is about: the functions that it changes, and the races about these."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mmrace.definitions.race import Race
from mmrace.errors import UserError

_FILE = re.compile(r"^\+\+\+ (?:b/)?(\S+)")
_HUNK = re.compile(r"^@@ -\S+ \+\S+ @@ ?(.*)$")
# A definition begins in the first column; a declaration ends with a semicolon.
_DEFINES = re.compile(r"^(?!(?:if|for|while|switch|return|else|#)\b)[A-Za-z_][^;=]*?\b(\w+)\s*\(")
_NAME = re.compile(r"\b[A-Za-z_]\w*(?=\s*\()")
_COMMENT = re.compile(r"^\s*(/?\*|//)")


@dataclass(frozen=True)
class Change:
    """Functions that a diff changes, each with its file, and those that changed lines call.

    ``dropped``: caller and callee of each call on a line that is removed.
    """

    changed: tuple[tuple[str, str], ...]
    called: tuple[str, ...]
    dropped: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Subject:
    """A race that a change is about; ``why`` names the functions."""

    race: str
    why: str
    weight: int


def read_change(diff: str) -> Change:
    """Read a unified diff of C files.

    Where the diff shows whole functions (``git diff -W``) this is exact; else it goes by the
    function that git names in a hunk's head.
    """
    changed: dict[tuple[str, str], None] = {}
    called: dict[str, None] = {}
    dropped: set[tuple[str, str]] = set()
    file = function = ""
    for line in diff.splitlines():
        if found := _FILE.match(line):
            file, function = found[1], ""
        elif found := _HUNK.match(line):
            function = _defined(found[1])
        elif line[:1] in ("+", "-", " ") and not line.startswith("---"):
            text = line[1:]
            function = _defined(text) or function
            if line[0] != " " and text.strip() and not _COMMENT.match(text):
                if function:
                    changed[function, file] = None
                names = _NAME.findall(text)
                called |= dict.fromkeys(names)
                if function and line[0] == "-":
                    dropped |= {(function, name) for name in names if name != function}
            if text.startswith("}"):
                function = ""
    return Change(tuple(changed), tuple(called), frozenset(dropped))


def _defined(text: str) -> str:
    found = _DEFINES.match(text)
    return found[1] if found and not text.rstrip().endswith(";") else ""


def subjects(change: Change, races: Iterable[Race]) -> tuple[Subject, ...]:
    """Return the races about the change, those with most of its functions first.

    Races of which a function is changed; when there is none, those of which one is called.
    """
    names = {function for function, _ in change.changed}
    files = dict(change.changed)
    found = []
    known = list(races)
    for verb, touched in (("changes", names), ("calls", set(change.called))):
        for race in known:
            if here := [name for name in race.functions if name in touched]:
                places = [f"{name} ({files[name]})" if name in files else name for name in here]
                found.append(Subject(race.name, f"it {verb} {', '.join(places)}", len(here)))
        if found:
            break
    return tuple(sorted(found, key=lambda item: (-item.weight, item.race)))


def unfit(change: Change) -> UserError:
    """Return the error for a change that no race is about."""
    names = [function for function, _ in change.changed]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    touched = f"it changes {', '.join(names[:5])}{more}" if names else "it changes no function"
    return UserError(f"no race matches this series: {touched}; name one with --race")
