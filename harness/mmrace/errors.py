# SPDX-License-Identifier: GPL-2.0-only
"""What mmrace raises when it cannot find out.

What a kernel did is a value (``mmrace.outcome.Outcome``). These say that there is no such value::

MmraceError
UserError    bad input: names the thing and the way out          exit code 2
NotHereError   a source that a workload needs is not there; others can run
BuildError   the kernel (or a guest program) did not build       exit code 4
InfraError   mmrace, QEMU or the host failed, not the kernel     exit code 69

A message is one line; ``detail`` holds more lines for people (a compiler's output, a hunk).
"""

import errno


class MmraceError(Exception):
    """Base of all; ``exit_code`` is what the command line ends with."""

    exit_code = 70

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class UserError(MmraceError):
    """Input that mmrace cannot work with; the message says what to do instead."""

    exit_code = 2


class NotHereError(UserError):
    """A source that a workload needs is not there; other workloads can run."""


class BuildError(MmraceError):
    """The patched tree or a guest program did not compile."""

    exit_code = 4


class InfraError(MmraceError):
    """The host, QEMU or mmrace failed; nothing is known about the kernel."""

    exit_code = 69


def no_room(output: str) -> bool:
    """Whether a program failed because the disk was full, or the user's part of it."""
    return any(words in output for words in _NO_ROOM)


def disk_full(path: object) -> InfraError:
    """The one line about a full disk; ``path`` is on it."""
    return InfraError(f"{path}: the disk is full; `mmrace clean --yes` frees what can be rebuilt")


def of_host(error: MemoryError | OSError) -> InfraError:
    """What the host could not do, in one line."""
    if isinstance(error, MemoryError):
        return InfraError("out of memory; stop other processes or lower --jobs")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(error.filename or "mmrace's home")
    where = f"{error.filename}: " if error.filename else ""
    return InfraError(f"{where}{error.strerror}; free space or fix the path, then again")


# strerror() of ENOSPC and EDQUOT, and git's own words.
_NO_ROOM = ("No space left", "Disk quota exceeded", "Out of diskspace")
