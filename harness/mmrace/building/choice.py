# SPDX-License-Identifier: GPL-2.0-only
"""Which build directory a request gets, and what it needs before make runs in it."""

import errno
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mmrace.building.checkout import check_out
from mmrace.building.directory import BuildDirectory
from mmrace.building.kconfig import kernel_version, merge, parse_config
from mmrace.building.request import Request
from mmrace.errors import disk_full
from mmrace.home import CCACHE_LOCK, Home, build_lock
from mmrace.leftover import holding

Progress = Callable[[str], None]
_OUTSIDE = "-outside"  # ends the name of a directory for an untrusted series
SAME = "same_as"  # in a directory's state.json: the directory that is used in its place


def choose_directory(home: Home, order: Request) -> BuildDirectory:
    """Return the directory of a request; that of an untrusted series is shared with nothing."""
    name = f"{order.base}-{order.config_digest[:8]}"
    same = BuildDirectory(home, name).state.get(SAME)
    if order.sandboxed and isinstance(same, str) and (home.builds / same / "build").is_dir():
        name = same
    if not order.outside:
        return BuildDirectory(home, name, order.env, order.outside, order.sandboxed)
    # Untrusted patches write to their directory, so they share it with nothing.
    alone = f"{name}-{order.tree_hash[:12]}{_OUTSIDE}"
    model = name if order.sandboxed else ""
    return BuildDirectory(home, alone, order.env, order.outside, order.sandboxed, model)


@contextmanager
def lock_build(directory: BuildDirectory, progress: Progress) -> Iterator[None]:
    """Lock the directories of a build, and keep the compiler cache from being removed."""
    home = directory.home
    with ExitStack() as stack:
        for name in filter(None, (directory.name, directory.model)):
            stack.enter_context(home.lock(build_lock(name), progress))
            stack.enter_context(holding(home.builds / name))
        stack.enter_context(home.lock(CCACHE_LOCK, shared=True))
        try:
            yield
        finally:
            if directory.outside:
                shutil.rmtree(directory.folder, ignore_errors=True)


def check_out_in(directory: BuildDirectory, base: str, commit: str, progress: Progress) -> None:
    """Check a commit out as the directory's source."""
    # Without a sandbox makefiles could write into what others share.
    check_out(directory.home, base, commit, directory.source, progress, share=directory.sandboxed)


def copy_built(directory: BuildDirectory, order: Request, progress: Progress) -> None:
    """Begin a new directory with what its model has built, or with that of the nearest config."""
    if directory.model:
        progress("copying what was built already")
        directory.copy_model()
    elif directory.sandboxed and not directory.outside and not directory.build.is_dir():
        for near in _nearest(directory, order):
            with directory.home.free(build_lock(near.name)) as nobody:
                if nobody and _copy_near(directory, near, progress):
                    return


def _copy_near(directory: BuildDirectory, near: BuildDirectory, progress: Progress) -> bool:
    progress("copying what another config has in common")
    with holding(near.folder):
        return directory.copy_near(near)


def _nearest(directory: BuildDirectory, order: Request) -> list[BuildDirectory]:
    """Other directories of the same base, those first whose config has most of what is asked."""
    found = []
    for folder in directory.home.builds.glob(f"{order.base}-*"):
        other = BuildDirectory(directory.home, folder.name, directory.env)
        own = folder.name == directory.name or folder.name.endswith(_OUTSIDE)
        if not own and other.state.get("objects"):
            found.append((_distance(other, order), folder.name, other))
    return [other for _, _, other in sorted(found, key=lambda one: one[:2])]


def _distance(other: BuildDirectory, order: Request) -> int:
    """Number of options whose value in a directory's config differs from the request's."""
    try:
        has = parse_config((other.build / ".config").read_text(encoding="utf-8"))
        version = kernel_version((other.source / "Makefile").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return sys.maxsize
    options = parse_config(order.config.whole)
    options |= {option.name: option.value for option in merge(order.config.fragments, version)}
    return sum(has.get(name, "n") != value for name, value in options.items())


@contextmanager
def report_full_disk(home: Home) -> Iterator[None]:
    """Turn the error of a full disk into the one line about it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(home.cache) from error
