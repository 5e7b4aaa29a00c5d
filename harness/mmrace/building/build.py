# SPDX-License-Identifier: GPL-2.0-only
"""Building kernels: once for each kernel id, at /src and /build."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmrace.building.buildlog import blame, first_failure, warnings
from mmrace.building.choice import (
    SAME,
    Progress,
    check_out_in,
    choose_directory,
    copy_built,
    lock_build,
    report_full_disk,
)
from mmrace.building.directory import BuildDirectory
from mmrace.building.kconfig import parse_config
from mmrace.building.kernel import Kernel, load_kernel, publish_kernel
from mmrace.building.kernelconfig import check_names, configure, explain_asked
from mmrace.building.objects import estimate_objects
from mmrace.building.request import Request, digest, recall, remember
from mmrace.errors import BuildError, disk_full, no_room
from mmrace.home import Home, build_lock, write_file
from mmrace.leftover import holding
from mmrace.progress import Counted
from mmrace.storage import make_room

# Bytes that a build takes: a directory and a kernel that are new, and a kernel alone.
_NEW = 1_500_000_000
_MORE = 400_000_000

_ROOT = "root"  # in a directory's state.json: the tree, without series, of its objects
_BROKEN = "broken"  # there too: such a tree that did not compile
_OBJECT = re.compile(r"  (?:CC|AS)\s+(?:\[M\]\s+)?(\S+)")


def build_kernel(home: Home, order: Request, progress: Progress) -> Kernel:
    """Build the kernel of a request, or find it built.

    Raises BuildError when the kernel does not compile (with the compiler's message and the patch to
    blame) or an option did not stick; UserError for unknown options; InfraError for a full disk.
    """
    started = time.monotonic()
    directory = choose_directory(home, order)
    with report_full_disk(home):
        kernel = recall(home, order)
        if not kernel:
            check_names(home, order.commit, order.config)
            _lay_ground(home, order, progress)
            with lock_build(directory, progress):
                kernel = recall(home, order) or _build(directory, order, progress)
                remember(home, order, kernel)
    return replace(kernel, seconds=time.monotonic() - started)


def _lay_ground(home: Home, order: Request, progress: Progress) -> None:
    """Build the tree beneath patches from outside, where its objects are not at hand.

    What these patches build is thrown away: each change of theirs would cost a whole build.
    """
    ground = order.ground
    if not (ground.tree_hash and order.outside and order.sandboxed):
        return
    directory = choose_directory(home, ground)
    with lock_build(directory, progress):
        state = directory.state
        if directory.trusted and state.get(_ROOT) == ground.tree_hash:
            return
        if state.get(_BROKEN) == ground.tree_hash:
            return
        try:
            remember(home, ground, _build(directory, ground, progress, again=True))
        except BuildError:  # the patches may be what makes the tree compile
            directory.remember(**{_BROKEN: ground.tree_hash})


def _twin(directory: BuildDirectory, base: str, config: str) -> BuildDirectory | None:
    """Another directory that has built this very config, when this one has built nothing yet.

    Requests in other words have directories of their own until their configs turn out to be equal.
    """
    if directory.state.get("objects") or not directory.sandboxed:
        return None
    for folder in sorted(directory.home.builds.glob(f"{base}-*")):
        other = BuildDirectory(directory.home, folder.name, directory.env)
        if folder.name not in (directory.name, directory.model) and other.has_built(config):
            return other
    return None


def _join(twin: BuildDirectory, directory: BuildDirectory, order: Request, config: str) -> bool:
    """Let the request use its twin from now on; False if that is another's meanwhile.

    The caller has the locks of both.
    """
    if not twin.has_built(config):
        return False
    twin.remember(configured=[*twin.configured, order.config_digest])
    missing = BuildDirectory(directory.home, directory.model or directory.name)
    missing.remember(**{SAME: twin.name})
    missing.drop_near()
    return True


def _build_in(
    twin: BuildDirectory, directory: BuildDirectory, order: Request, config: str, progress: Progress
) -> Kernel:
    with directory.home.lock(build_lock(twin.name), progress), holding(twin.folder):
        if not _join(twin, directory, order, config):
            return _build(directory, order, progress, alone=True)
        return _build(
            replace(directory, model=twin.name) if directory.outside else twin, order, progress
        )


def _build(
    directory: BuildDirectory,
    order: Request,
    progress: Progress,
    *,
    alone: bool = False,
    again: bool = False,
) -> Kernel:
    """Build in a directory; ``again``: for its objects, also where the kernel is in the home."""
    try:
        before = make_room(directory.home, _NEW if not directory.build.is_dir() else _MORE)
        progress(str(before) or "checking out")
        copy_built(directory, order, progress)
        with directory.at_work():
            progress("checking out")
            check_out_in(directory, order.base, order.commit, progress)
            progress("configuring")
            config, notes = configure(directory, order.config, order.config_digest)
            kernel_id = order.kernel_id(config)
            twin = None if alone else _twin(directory, order.base, config)
            kernel = load_kernel(directory.home, kernel_id)
            if kernel and not again:
                if twin:
                    with directory.home.free(build_lock(twin.name)) as nobody:
                        if nobody:
                            _join(twin, directory, order, config)
                return replace(kernel, notes=notes)
            if not twin:
                directory.remember(**{_ROOT: order.ground.tree_hash or None})
                warned = _compile(directory, order.touched, config, progress)
                progress("publishing")
                made = publish_kernel(directory, kernel_id, order.commit, order.tree_hash, warned)
    finally:
        if directory.outside:
            directory.remove()
    if twin:
        return _build_in(twin, directory, order, config, progress)
    after = make_room(directory.home)
    return replace(made, dropped=str(before + after), notes=notes)


def _compile(
    directory: BuildDirectory, touched: Mapping[str, str], config: str, progress: Progress
) -> tuple[str, ...]:
    near = directory.state.get("near")
    whole = not directory.state.get("objects") and not near
    counted = directory.home.kernels / "objects" / digest([dict(directory.env), config])
    known = _number(counted)
    there = sum(1 for _ in directory.build.rglob("*.o")) if whole else 0  # a killed build's
    expected = known
    if whole and not known and not directory.outside:
        expected = estimate_objects(directory.source, parse_config(config))
    lines: list[str] = []
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        lines.append(line)
        if match := _OBJECT.match(line):
            done += 1
            of_all = Counted(done, expected - there, match[1], about=not known)
            progress(of_all if whole and expected else f"{done}, {match[1]}")

    ended = directory.make(["bzImage"], on_line)
    if ended.returncode != 0:
        if any(map(no_room, lines)):
            raise disk_full(directory.folder)
        failure = first_failure(lines)
        why = blame(failure, touched) + explain_asked(directory, failure.summary)
        raise BuildError(f"the kernel did not build: {why}", failure.detail)
    if whole:
        directory.remember(objects=there + done)
        write_file(counted, str(there + done))
    elif near:
        directory.remember(objects=sum(1 for _ in directory.build.rglob("*.o")), near=None)
    return warnings(lines)


def _number(path: Path) -> int:
    """Objects of a whole build of the same config; 0 when there was none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
