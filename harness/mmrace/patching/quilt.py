# SPDX-License-Identifier: GPL-2.0-only
"""A directory of patches with the list that quilt(1), or a distribution, keeps of them."""

from dataclasses import dataclass
from pathlib import Path

from mmrace.compressed import expand
from mmrace.errors import UserError
from mmrace.patching.text import plain_text

_LISTS = ("series", "series.conf")
_FOLDERS = (".", "patches", "debian/patches")
_MOST = 20  # of -pN


@dataclass(frozen=True)
class Listed:
    """A patch of a list: its text, the level of its paths, and whether it is to be taken out."""

    name: str
    raw: bytes
    level: int = 1
    backwards: bool = False


def find_list(folder: Path) -> Path | None:
    """Return the list of a directory, or of the ``patches`` below it; None when it has none."""
    paths = [folder / below / name for below in _FOLDERS for name in _LISTS]
    return next((path for path in paths if path.is_file()), None)


def read_quilt(listed: Path) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """Read the patches of a list, and what people should know about it.

    A line is a path and perhaps ``-pN`` and ``-R``; # starts a comment. A patch behind a guard
    (``+needs_update``, as in SUSE's series.conf) is left out. Raises UserError for a patch that is
    not there or lies outside of the directory, and for an option that quilt does not have.
    """
    found, left_out = [], []
    for line in plain_text(listed.read_bytes()).decode(errors="surrogateescape").splitlines():
        words = line.partition("#")[0].split()
        guards = []
        while words and words[0][0] in "+-":
            guards.append(words.pop(0))
        if not words:
            continue
        if any(guard.startswith("+") for guard in guards):
            left_out.append(f"{words[0]} ({' '.join(guards)})")
        else:
            found.append(_read(listed, line.strip(), words))
    notes = (f"left out for their guards: {', '.join(left_out)}",) if left_out else ()
    return tuple(found), notes


def _read(listed: Path, line: str, words: list[str]) -> Listed:
    name, *options = words
    level, backwards = 1, False
    for option in options:
        if option in ("-R", "--reverse"):
            backwards = True
        elif option.startswith("-p") and option[2:].isdigit() and int(option[2:]) < _MOST:
            level = int(option[2:])
        elif option != "-pab":  # level 1 by another name
            raise UserError(f"{listed}: {line}: unknown option {option}; -pN and -R are read")
    path = listed.parent / name
    if not path.resolve().is_relative_to(listed.parent.resolve()):
        raise UserError(f"{listed}: {name} is outside of the directory; copy it there")
    try:
        raw = plain_text(expand(name, path.read_bytes()))
    except OSError as error:
        raise UserError(f"{listed} lists {name}: {error.strerror}; correct the list") from error
    return Listed(name, raw, level, backwards)
