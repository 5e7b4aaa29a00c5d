# SPDX-License-Identifier: GPL-2.0-only
"""Objects of a user's repository copied to the store; the repository is only read."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.proc import run
from mmrace.sources.git import GIT, create, last_line
from mmrace.sources.tree import move_packs, store

_KEPT = 64  # revisions whose objects the next one is compared with


def copy_objects(home: Home, repo: Path, top: str, beside: Path | None = None) -> None:
    """Copy a tree's objects, but those of revisions that were copied before.

    ``beside``: where objects are that the repository does not have. The caller holds the lock of
    the store. Raises UserError when the repository cannot be read.
    """
    words = ("rev-parse", "--path-format=absolute", "--git-path", "objects")
    done = run([*GIT, "-C", repo, *words], deadline=60, env={"GIT_OPTIONAL_LOCKS": "0"})
    if done.returncode:
        raise UserError(
            f"{repo}: git rev-parse failed: {last_line(done.errors)}; repair the repository"
        )
    objects = Path(done.text.strip())
    record = home.trees / "copied" / f"{hashlib.sha256(str(objects).encode()).hexdigest()}.json"
    known = _known(home, record)
    with home.scratch(home.trees) as scratch:
        git = create(scratch / "git")
        # git writes its temporary files beside the objects: these are not the user's.
        alternates = git.path / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        lent = [objects, *([beside] if beside else [])]
        alternates.write_text("".join(f"{path}\n" for path in lent), encoding="utf-8")
        there = [one for one in known if git.rev(f"{one}^{{tree}}")]
        revisions = "".join([f"{top}\n", *(f"^{one}\n" for one in there)])
        pack = git.path / "objects" / "pack" / "pack"
        pack.parent.mkdir(exist_ok=True)
        git.git("pack-objects", "--quiet", "--revs", pack, stdin=revisions.encode(), deadline=1800)
        move_packs(git, store(home))
    write_file(record, json.dumps([*known, top][-_KEPT:]))


def _known(home: Home, record: Path) -> list[str]:
    """Trees that were copied from a repository before, as far as the store still has them."""
    try:
        listed: Iterable[str] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in listed if store(home).rev(f"{one}^{{tree}}")]
