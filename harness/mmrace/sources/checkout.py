# SPDX-License-Identifier: GPL-2.0-only
"""A checkout of a user, which is only read, and what of it differs from its HEAD."""

import re
from collections.abc import Mapping
from pathlib import Path

from mmrace.errors import UserError
from mmrace.proc import Completed, run
from mmrace.sources.git import CLEAN, last_line

_SHOWN = 3  # names of files in a message
# Untracked files that are part of a kernel; notes, logs and patches beside them are not.
_SOURCE = re.compile(r"(\.([chSs]|rs|dts|dtsi|lds)|(^|/)(Makefile|Kbuild|Kconfig)[^/]*)$")


def is_checkout(name: str) -> bool:
    """Whether a tree's name is the path of a directory, as ``.`` or ``../linux``."""
    return ("/" in name or name in (".", "..", "~")) and Path(name).expanduser().is_dir()


def top_of(name: str) -> Path:
    """Return the top directory of a checkout; UserError when it is none."""
    path = Path(name).expanduser().absolute()
    done = ask(path, "rev-parse", "--show-toplevel")
    if done.returncode:
        way_out = "mmrace tree add NAME DIRECTORY imports files without git"
        raise UserError(f"{name}: {last_line(done.errors)}; {way_out}")
    return Path(done.text.strip())


def refuse_changes(name: str, top: Path, head: str) -> None:
    """Raise UserError naming what differs when a checkout is not what its HEAD is.

    ``head`` is how the user can say HEAD.
    """
    differs = changes(top)
    if not differs:
        return
    shown = ", ".join(differs[:_SHOWN])
    more = f" and {len(differs) - _SHOWN} more" if len(differs) > _SHOWN else ""
    way_out = f"--dirty takes them, {head} leaves them out"
    raise UserError(f"{name} has uncommitted changes: {shown}{more}; {way_out}")


def changes(top: Path) -> list[str]:
    """Return the files that differ from HEAD, sources that git does not know among them."""
    done = ask(top, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    if done.returncode:
        raise UserError(f"{top}: git status failed: {last_line(done.errors)}; repair the checkout")
    entries = [(entry[:2], entry[3:]) for entry in done.text.split("\0") if entry]
    tracked = [path for state, path in entries if state != "??"]
    new = [f"{path} (new)" for state, path in entries if state == "??" and _SOURCE.search(path)]
    return [*tracked, *new]


def ask(top: Path, *words: str, lent: Mapping[str, Path] | None = None) -> Completed:
    """Run git in a checkout, without taking its locks; ``lent`` are places of mmrace's own."""
    places = [f"{key}={path}" for key, path in (lent or {}).items()]
    env = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return run([*CLEAN, *places, "git", "-C", top, *words], deadline=600, env=env)
