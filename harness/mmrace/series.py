# SPDX-License-Identifier: GPL-2.0-only
"""What a SERIES on the command line stands for."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmrace.applied import Applied, apply_series
from mmrace.base import Base
from mmrace.errors import UserError
from mmrace.git import create, last_line
from mmrace.patch import Patch, Series, read_patches
from mmrace.proc import run

__all__ = ["Applied", "Patch", "Series", "apply_series", "resolve_series", "series_names"]
_NUMBERED = re.compile(r"\b(?:[vV](\d+)\s*,?\s*)?(\d+)/(\d+)\]")


def resolve_series(name: str, base: Base) -> Series:
    """Read the series of a name in the base's patches, ``none``, or one from outside.

    From outside: a directory (with a quilt ``series`` or without), a maildir, an mbox or patch
    file, or ``REPOSITORY#A..B``. Raises UserError when there is no such series, or it is damaged.
    """
    if name in ("none", ""):
        return Series("none", (), outside=False)
    kind, _, rest = name.partition("/")
    if kind in ("vulnerable", "fixes"):
        return _own(base, name, kind, rest)
    if kind == "alternatives":
        alternative, _, race = rest.partition("/")
        return _own(base, name, f"alternatives/{alternative}", race)
    path, _, revisions = name.partition("#")
    if revisions:
        return _read(name, _from_git(Path(path), revisions))
    if Path(name).is_dir():
        maildir = (Path(name) / "cur").is_dir()
        return _read(name, _split(Path(name)) if maildir else _from_directory(Path(name)))
    if Path(name).is_file():
        return _read(name, _split(Path(name)))
    known = ", ".join(series_names(base))
    raise UserError(f"no series {name!r} for base {base.name}; there are: {known}; or name a file")


def series_names(base: Base) -> list[str]:
    """Names of the series that a base has."""
    found = [path.parent.relative_to(base.folder) for path in base.folder.glob("**/series")]
    return ["none", *sorted(str(path) for path in found)]


def _own(base: Base, name: str, folder: str, race: str) -> Series:
    patches = _listed(base.folder / folder, race)
    if not patches:
        has = base.race.get(race)
        if folder == "vulnerable" and (not race or (has and has.pristine == "has")):
            return Series(name, (), outside=False)  # the bug is in the tree as it is
        known = ", ".join(series_names(base))
        raise UserError(f"no series {name!r} for base {base.name}; there are: {known}")
    if folder == "vulnerable":
        return Series(name, patches, outside=False)
    races = {patch.group for patch in patches}
    opposite = _listed(base.folder / "vulnerable", race)
    return Series(name, patches, False, tuple(p for p in opposite if p.group in races))


def _listed(folder: Path, race: str) -> tuple[Patch, ...]:
    """Patches that the folder's quilt ``series`` lists, of one race or of all."""
    if not (folder / "series").is_file():
        return ()
    named = _quilt(folder)
    return read_patches((n, raw) for n, raw in named if not race or n.startswith(f"{race}/"))


def _quilt(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read what ``series`` lists; a line is a path and perhaps options, # starts a comment."""
    for line in (folder / "series").read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise UserError(f"{folder}/series: {line.strip()}: only patches of level -p1 are read")
        path = folder / words[0]
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{folder}/series: {words[0]} is outside of the directory")
        try:
            yield words[0], path.read_bytes()
        except OSError as error:
            raise UserError(f"{folder}/series lists {words[0]}: {error.strerror}") from error


def _from_directory(folder: Path) -> list[tuple[str, bytes]]:
    if (folder / "series").is_file():
        return list(_quilt(folder))
    paths = sorted([*folder.glob("*.patch"), *folder.glob("*.diff"), *folder.glob("*.eml")])
    return [(path.name, path.read_bytes()) for path in paths]


def _split(path: Path) -> list[tuple[str, bytes]]:
    """Take a mailbox, a maildir or a single patch apart into its mails."""
    if path.is_file():
        raw = path.read_bytes()
        if not re.match(rb"(From |[A-Za-z-]+: )", raw):
            return [(path.name, raw)]
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        git = create(Path(scratch) / "git")
        out = Path(scratch) / "mails"
        out.mkdir()
        done = git.git("mailsplit", "-b", f"-o{out}", "--", path.absolute(), check=False)
        if done.returncode:
            raise UserError(f"{path}: no mailbox: {last_line(done.errors)}")
        mails = [mail.read_bytes() for mail in sorted(out.iterdir())]
    if len(mails) == 1:
        return [(path.name, mails[0])]
    return [(f"{path.name}#{number}", raw) for number, raw in enumerate(mails, 1)]


def _from_git(repository: Path, revisions: str) -> list[tuple[str, bytes]]:
    """Take a range A..B of a repository, which is only read."""
    argv = ["git", "-C", str(repository), "format-patch", "--stdout", "--binary", "--no-signature"]
    done = run(
        [*argv, "--end-of-options", revisions], deadline=120, env={"GIT_OPTIONAL_LOCKS": "0"}
    )
    if done.returncode or ".." not in revisions:
        reason = last_line(done.errors) if done.returncode else "say A..B"
        raise UserError(f"{repository}: no range {revisions!r}: {reason}")
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        box = Path(scratch) / "range"
        box.write_bytes(done.stdout)
        return _split(box) if done.stdout else []


def _read(name: str, mails: list[tuple[str, bytes]]) -> Series:
    patches = read_patches(mails)
    if not patches:
        raise UserError(f"{name}: no patch in it")
    return Series(name, patches, outside=True)
