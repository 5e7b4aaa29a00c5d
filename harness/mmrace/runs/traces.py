# SPDX-License-Identifier: GPL-2.0-only
"""The last accesses before a kernel's reports, as a file in a run directory.

Packed with zlib; each entry as RECORD says: seconds since the first arming, address of the
instruction, address of the word, number of the stack, number of the vCPU, and 1 if it stored.
"""

import struct
import zlib
from pathlib import Path

from mmrace.errors import InfraError
from mmrace.home import write_file
from mmrace.runs.record import RunDir
from mmrace.windows.director import Director
from mmrace.windows.search import StepKind, Trace

RECORD = struct.Struct("<d3Q2H")
SECONDS = 0.75  # before the first report
REPORTS = 2.0  # seconds, at most, from the first report to the last line of all
_NAME = "search-traces.bin"


def write_traces(folder: Path, director: Director) -> None:
    """Write the accesses before and during the kernel's last reports; nothing when it made none."""
    marks = [step.time for step in director.searched().log if step.kind is StepKind.MARK]
    if not marks:
        return
    last = max(marks)
    first = min(mark for mark in marks if mark >= last - REPORTS)
    packed = b"".join(
        RECORD.pack(one.time, one.address, one.word, one.stack, one.vcpu, one.store)
        for one in director.traces(first - SECONDS)
        if one.time <= last
    )
    write_file(folder / _NAME, zlib.compress(packed, 1))


def read_traces(run: RunDir) -> tuple[Trace, ...]:
    """Return the accesses before a run's reports, in order of time; empty when there are none.

    Raises InfraError for a file that cannot be read.
    """
    path = run.folder / _NAME
    try:
        packed = zlib.decompress(path.read_bytes())
        found = list(RECORD.iter_unpack(packed))
    except FileNotFoundError:
        return ()
    except (OSError, zlib.error, struct.error) as error:
        raise InfraError(f"{path}: no traces of a search: {error}") from error
    return tuple(
        Trace(time, address, word, vcpu, bool(store), stack)
        for time, address, word, stack, vcpu, store in found
    )
