# SPDX-License-Identifier: GPL-2.0-only
"""The host, what the home holds, and the sources in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mmrace.answers.answer import Answer, Block, Table, fields
from mmrace.storage import Cleaned, size_text

if TYPE_CHECKING:  # the home is shown without them: they take a second
    from mmrace.building.kernel import Kernel
    from mmrace.doctor import Check
    from mmrace.home import Home
    from mmrace.runs.kernels import Prepared
    from mmrace.sources.debian import Package
    from mmrace.sources.tree import Tree

_JSON_NAMES = {"builds": "benches"}  # documents keep the names of the first version


def host_checks(checks: Sequence[Check]) -> Answer:
    """Return what the host has, and what to install."""
    rows = [
        ("ok" if check.ok else "MISSING", check.name, check.found, check.advice) for check in checks
    ]
    code = 0 if all(check.ok for check in checks) else 69
    document = {"checks": [asdict(check) for check in checks]}
    return Answer(document, (Table(("", "what", "found", "advice"), rows),), code)


def home_contents(home: Home, done: Cleaned) -> Answer:
    """Return what the home holds, and what of it was freed or would be."""
    document = {
        "holds": {
            _JSON_NAMES.get(name, name): {"objects": n, "bytes": size}
            for name, (n, size) in done.totals.items()
        },
        "limit": home.limit,
        "chosen": [str(item.path) for item in done.chosen],
        "kept": [str(item.path) for item in done.kept],
        "freed": done.dropped,
    }
    rows = [(name, str(n), f"{size / 1e6:.0f} MB") for name, (n, size) in done.totals.items()]
    going = [item for item in done.chosen if item not in done.kept]
    word = "freed" if done.dropped else "would free (add --yes)"
    size = size_text(sum(item.size for item in going))
    text: list[Block] = [
        Table(("kind", "objects", "size"), rows),
        f"{word}: {len(going)} objects, {size}",
    ]
    text += [f"in use, not freed: {len(done.kept)} objects"] if done.kept else []
    return Answer(document, text)


def tree(item: Tree) -> Answer:
    """Return one source."""
    return Answer({"tree": asdict(item)}, (fields(asdict(item).items()),))


def trees(found: Sequence[Tree]) -> Answer:
    """Return the imported sources."""
    rows = [(item.name, item.kind, item.version, item.commit[:12], item.source) for item in found]
    head = ("name", "kind", "version", "commit", "source")
    return Answer({"trees": [asdict(item) for item in found]}, (Table(head, rows),))


def packages(found: Mapping[str, Package]) -> Answer:
    """Return Debian's kernel sources, by the name of the tree that each becomes."""
    rows = [(name, one.version, one.suite) for name, one in found.items()]
    document = {"packages": [{"tree": name, **asdict(one)} for name, one in found.items()]}
    return Answer(document, (Table(("tree", "version", "suite"), rows),))


def applied_series(done: Prepared, repository: Path) -> Answer:
    """Return the result of applying series; ``repository`` is the git directory with the commit."""
    applied, base = done.applied, done.base
    document = {
        "tree": done.tree.name,
        "base": base.name if base.covered else None,
        "commit": applied.commit,
        "repository": str(repository),
        "applied": list(applied.applied),
        "already": list(applied.already),
        "tree_hash": applied.tree_hash,
        "series": list(done.series),
        "notes": list(done.notes),
    }
    rows = [("applied", name) for name in applied.applied]
    rows += [("already there", name) for name in applied.already]
    more = [f"note: {note}" for note in done.notes]
    if not applied.applied:
        more.append(f"{done.tree.name} is unchanged: nothing left to apply")
    more.append(f"commit {applied.commit}{f' on base {base.name}' if base.covered else ''}")
    more.append(f"a file of it: git --git-dir {repository} show {applied.commit[:12]}:FILE")
    head = ("state", "patch")
    return Answer(
        document, (Table(head, rows, cut=True), *more), details=(Table(head, rows), *more)
    )


def kernel(made: Kernel) -> Answer:
    """Return a kernel that was built or found built."""
    document = {
        "kernel_id": made.id,
        "release": made.release,
        "image": str(made.image),
        "vmlinux": str(made.vmlinux),
        "config": str(made.config),
        "seconds": round(made.seconds, 3),
        "reused": made.reused,
    }
    return Answer(document, (f"{made.release} {made.id}\n{made.image}",))
