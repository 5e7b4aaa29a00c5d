# SPDX-License-Identifier: GPL-2.0-only
"""Reproducers: a user's own programs, kept by content and built for the guest."""

import shutil
from pathlib import Path

from mmrace.definitions.race import Race, Workload, find_race
from mmrace.definitions.reproducer import Reproducer
from mmrace.errors import BuildError, InfraError, NotHereError, UserError
from mmrace.home import Home, publish, write_file
from mmrace.proc import Bind
from mmrace.sources.tree import store
from mmrace.userland.compiler import Program, Progress, cached, key, sandboxed
from mmrace.userland.ltp import build_ltp
from mmrace.userland.selftest import build_selftest

# As their authors compile them: with -O2 a loop that waits for a plain variable is endless. A fixed
# program's heap has a fixed address, where fuzzers' programs map their arenas; that of a position
# independent one has none. gcc 14 calls errors what these programs rely on.
_FLAGS = (
    *("-w", "-pthread", "-fPIE", "-static-pie"),
    *("-Wno-error=implicit-function-declaration", "-Wno-error=implicit-int"),
    *("-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types"),
)
_LIBRARIES = ("-lrt", "-lm")
# mm's selftests moved in v6.3.
_SELFTESTS = "tools/testing/selftests"
_MOVED = {"mm": "vm", "vm": "mm"}


def keep_reproducer(home: Home, reproducer: Reproducer) -> None:
    """Keep a reproducer's files, so that its runs can be made again when the user's are gone."""
    folder = home.reproducers / reproducer.name
    if folder.is_dir() or not reproducer.files:
        return
    with home.scratch(home.reproducers) as scratch:
        for name, content in reproducer.files:
            write_file(scratch / "files" / name, content)
        publish(scratch / "files", folder)


def reproducer_folder(home: Home, race: Race) -> Path:
    """Directory of a reproducer's files; UserError when it is gone."""
    folder = find_race(race.name) or home.reproducers / race.name
    if not folder.is_dir():
        raise UserError(f"{folder} is gone; name the reproducer's files again with --repro")
    return folder


def build_reproducer(
    home: Home,
    race: Race,
    workload: Workload,
    commit: str,
    ltp_commit: str | None,
    progress: Progress,
) -> Program:
    """Build a reproducer for the guest.

    Raises UserError with the compiler's first error, or when a tree has no such test.
    """
    kind, _, name = workload.sources[0].partition(":")
    if kind == "selftest":
        return build_selftest(home, _as_selftest(workload, name), commit, progress)
    if kind == "ltp":
        if ltp_commit is None:
            raise NotHereError(f"{workload.sources[0]} needs LTP's source; name it with --ltp")
        return build_ltp(home, _as_ltp(home, workload, name, ltp_commit), ltp_commit, progress)
    folder = reproducer_folder(home, race)
    sources = [source for source in workload.sources if source.endswith(".c")]
    if not sources:
        return _executable(home, folder / workload.sources[0], workload.argv[0], progress)
    return _compiled(home, folder, workload, sources, progress)


def _as_selftest(workload: Workload, name: str) -> Workload:
    top, _, rest = name.partition("/")
    folders = [top, *([_MOVED[top]] if top in _MOVED else [])]
    paths = tuple(f"{_SELFTESTS}/{folder}/{rest}.c" for folder in folders)
    if not rest:
        raise UserError(f"selftest:{name} lacks a directory; write selftest:mm/{name}")
    return workload.model_copy(update={"sources": paths})


def _as_ltp(home: Home, workload: Workload, name: str, commit: str) -> Workload:
    listed = store(home).git("ls-tree", "-r", "-z", "--name-only", commit, "--", "testcases").text
    stem = Path(name).name
    found = [path for path in listed.split("\0") if Path(path).name == f"{stem}.c"]
    if not found:
        raise UserError(f"LTP has no test {stem}; name a test by its .c file")
    return workload.model_copy(update={"sources": (str(Path(found[0]).parent),)})


def _executable(home: Home, file: Path, name: str, progress: Progress) -> Program:
    def make(_scratch: Path, out: Path) -> None:
        shutil.copyfile(file, out / name)

    folder = cached(home, name, key(name, _bytes(file)), progress, make)
    return Program(folder, (folder / name,))


def _compiled(
    home: Home, folder: Path, workload: Workload, sources: list[str], progress: Progress
) -> Program:
    name = workload.argv[0]

    def make(_scratch: Path, out: Path) -> None:
        binds = (Bind(folder, "/src"), Bind(out, "/out", writable=True))
        argv = ["gcc", *_FLAGS, "-o", f"/out/{name}", *sources, *_LIBRARIES]
        try:
            sandboxed(name, argv, binds, "/src", tight=True)
        except BuildError as error:
            # The user's own file: bad input, not a kernel that does not build.
            words = error.message.replace("does not build", "does not compile")
            raise UserError(words, error.detail) from error

    inputs = [_bytes(folder / source) for source in workload.sources]
    built = cached(home, name, key(name, *_FLAGS, *workload.sources, *inputs), progress, make)
    return Program(built, (built / name,))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InfraError(f"{file}: {error.strerror}") from error
