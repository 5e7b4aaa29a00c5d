# SPDX-License-Identifier: GPL-2.0-only
"""Guest programs: PID 1, stressors of ours, selftests, LTP's tests, reproducers. All static."""

import shutil
from pathlib import Path

from mmrace.data import data_dir
from mmrace.definitions.race import Race, Source, Workload, race_dir
from mmrace.errors import InfraError, NotHereError, UserError
from mmrace.home import Home
from mmrace.proc import Bind
from mmrace.userland.compiler import STATIC, Program, Progress, cached, key, sandboxed
from mmrace.userland.ltp import build_ltp
from mmrace.userland.reproducer import build_reproducer
from mmrace.userland.selftest import build_selftest

__all__ = ["Program", "build_init", "build_program", "compile_program"]


def build_program(
    home: Home,
    race: Race,
    workload: Workload,
    commit: str,
    ltp_commit: str | None,
    progress: Progress,
    cc: str = "gcc",
) -> Program:
    """Build what a workload runs, or return what was built before from the same inputs.

    ``commit`` is the patched kernel tree's, ``ltp_commit`` LTP's, in the object store; ``cc``
    compiles stressors. Raises UserError when a source is not there, BuildError with the compiler's
    lines.
    """
    if workload.source is Source.STRESSOR:
        return _stressor(home, race, workload, progress, cc)
    if workload.source is Source.SELFTEST:
        return build_selftest(home, workload, commit, progress)
    if workload.source is Source.REPRODUCER:
        return build_reproducer(home, race, workload, commit, ltp_commit, progress)
    if ltp_commit is None:
        raise NotHereError(f"workload {workload.name} needs LTP's source; name it with --ltp")
    return build_ltp(home, workload, ltp_commit, progress)


def build_init(home: Home, progress: Progress, cc: str = "gcc") -> Path:
    """Build PID 1 with a compiler and return the file."""
    guest = data_dir("qemu") / "guest"
    sources = sorted(path.name for path in guest.glob("*.c"))
    program = compile_program(home, guest, sources, "init", progress, cc)
    return program.files[0]


def _stressor(home: Home, race: Race, workload: Workload, progress: Progress, cc: str) -> Program:
    folder = race_dir(race.name)
    for source in workload.sources:
        if not (folder / source).is_file():
            raise UserError(
                f"workload {workload.name}: {folder / source} not found; correct its sources"
            )
    sources = [source for source in workload.sources if source.endswith(".c")]
    return compile_program(home, folder, sources, workload.argv[0], progress, cc)


def compile_program(
    home: Home, folder: Path, sources: list[str], name: str, progress: Progress, cc: str = "gcc"
) -> Program:
    """Compile C files of one folder into one program, with qemu/guest as include directory.

    Raises BuildError with the compiler's lines, InfraError for a file or a compiler that is not
    there.
    """
    if not shutil.which(cc):
        where = "; apt-get install musl-tools" if cc == "musl-gcc" else ""
        raise InfraError(f"{cc}, which compiles {name} for this kernel, is not installed{where}")
    guest = data_dir("qemu") / "guest"
    headers = sorted({*folder.glob("*.h"), *guest.glob("*.h")})

    def make(_scratch: Path, out: Path) -> None:
        binds = (Bind(folder, "/race"), Bind(guest, "/guest"), Bind(out, "/out", writable=True))
        argv = [cc, *STATIC, "-I", "/guest", "-o", f"/out/{name}", *sources]
        sandboxed(name, argv, binds, "/race")

    try:
        inputs = [(folder / source).read_bytes() for source in sources]
        inputs += [header.read_bytes() for header in headers]
    except OSError as error:
        raise InfraError(f"{error.filename}: {error.strerror}") from error
    other = [] if cc == "gcc" else [cc]
    names = [*sources, *(header.name for header in headers)]
    built = cached(home, name, key(name, *other, *STATIC, *names, *inputs), progress, make)
    return Program(built, (built / name,))
