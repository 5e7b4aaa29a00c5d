# SPDX-License-Identifier: GPL-2.0-only
"""Modules for a kernel, built in the directory that built it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from mmrace.building.buildlog import first_failure
from mmrace.building.choice import (
    Progress,
    check_out_in,
    choose_directory,
    copy_built,
    lock_build,
    report_full_disk,
)
from mmrace.building.directory import BuildDirectory
from mmrace.building.kernel import Kernel
from mmrace.building.kernelconfig import configure
from mmrace.building.request import Request, digest
from mmrace.errors import BuildError, disk_full, no_room
from mmrace.home import Home, publish, write_file
from mmrace.leftover import keep

_MODULE = "mmrace-module"  # of a build directory


def build_module(
    home: Home, kernel: Kernel, order: Request, sources: Path, progress: Progress
) -> Path:
    """Build a module for a kernel from a folder with a Kbuild file, or find it built.

    ``order``: the request that the kernel was built for. Raises BuildError when the module does not
    compile, InfraError as ``build_kernel`` does.
    """
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(sources.iterdir())}
    final = home.programs / f"{sources.name}-{digest([kernel.id, files])[:16]}"
    if not keep(final):
        directory = choose_directory(home, order)
        with report_full_disk(home), lock_build(directory, progress):
            try:
                copy_built(directory, order, progress)
                with directory.at_work():
                    progress("checking out")
                    check_out_in(directory, order.base, order.commit, progress)
                    configure(directory, order.config, order.config_digest)
                    progress(f"building {sources.name}")
                    _make_module(directory, files)
                    with home.scratch(home.programs) as made:
                        for path in (directory.build / _MODULE).glob("*.ko"):
                            shutil.copyfile(
                                directory.made_file(f"{_MODULE}/{path.name}"), made / path.name
                            )
                        publish(made, final)
            finally:
                if directory.outside:
                    directory.remove()
        keep(final)
    found = next(final.glob("*.ko"), None)
    if found is None:
        raise BuildError(f"{sources.name}: the build made no module")
    return found


def _make_module(directory: BuildDirectory, files: Mapping[str, str]) -> None:
    folder = directory.build / _MODULE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in files.items():
        write_file(folder / name, text)
    # This directory may hold no vmlinux whose symbols could be checked; the kernel checks them.
    extern = [f"M=/build/{_MODULE}", "KBUILD_MODPOST_WARN=1", "modules"]
    for words in (["modules_prepare"], extern):
        lines: list[str] = []
        ended = directory.make(words, lines.append)
        if ended.returncode == 0:
            continue
        if any(map(no_room, lines)):
            raise disk_full(directory.folder)
        failure = first_failure(lines)
        raise BuildError(f"make {words[-1]} failed: {failure.summary}", failure.detail)
