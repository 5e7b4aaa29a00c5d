# SPDX-License-Identifier: GPL-2.0-only
"""Compiling guest programs in the sandbox, and keeping what came out under its inputs' hash."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace import proc
from mmrace.errors import BuildError, InfraError
from mmrace.home import Home, program_lock, publish
from mmrace.leftover import keep
from mmrace.sandbox import Limits, have_bubblewrap

Progress = Callable[[str], None]
# As the selftests and LTP link: no library is needed in the image.
STATIC = ("-O2", "-Wall", "-static", "-pthread")


@dataclass(frozen=True)
class Program:
    """Guest programs of one workload: the folder that they are kept in, and the files."""

    folder: Path
    files: tuple[Path, ...]

    @property
    def id(self) -> str:
        """Name and hash of all inputs."""
        return self.folder.name


def key(*parts: str | bytes) -> str:
    """Hash what a program depends on, the compiler included."""
    digest = hashlib.sha256(_gcc_version().encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:16]


def cached(
    home: Home, label: str, digest: str, progress: Progress, make: Callable[[Path, Path], None]
) -> Path:
    """Return the folder kept under label and digest; made by ``make(scratch, out)`` if need be.

    Two that want the same one do not both build it; a killed build leaves nothing under the name.
    """
    final = home.programs / f"{label}-{digest}"
    if keep(final):
        return final
    with home.lock(program_lock(final.name), progress):
        if keep(final):
            return final
        progress(f"building {label} for the guest")
        with home.scratch(home.programs) as scratch:
            out = scratch / "out"
            out.mkdir()
            make(scratch, out)
            publish(out, final)
        keep(final)  # the lock is ours: no process has removed it since
        return final


def sandboxed(
    what: str,
    argv: Sequence[str],
    binds: Sequence[proc.Bind],
    cwd: str,
    deadline: float = 120,
    *,
    tight: bool = False,
) -> None:
    """Run a step of a build; ``tight`` when its sources may be those of a series from outside.

    Without bubblewrap it runs without a sandbox: no kernel of such a series is built then, unless
    the user wants it so.

    Raises BuildError with the compiler's lines when it fails, InfraError when the sandbox or the
    tool cannot be started.
    """
    limits = Limits() if tight else None
    sandbox = proc.Sandbox(tuple(binds), cwd, limits, bare=not have_bubblewrap())
    done = proc.run(argv, deadline=deadline, sandbox=sandbox)
    if done.returncode == 0:
        return
    output = done.errors.strip() or done.text.strip()
    raise BuildError(f"{what} does not build: {_first_error(output)}", output)


def _first_error(output: str) -> str:
    lines = output.splitlines() or ["no message"]
    return next((line for line in lines if re.search(r"\berror\b|undefined", line)), lines[-1])


def _gcc_version() -> str:
    try:
        return proc.run(["gcc", "-v"], deadline=20).errors
    except InfraError as error:
        raise InfraError("gcc is not installed; apt-get install gcc libc6-dev") from error
