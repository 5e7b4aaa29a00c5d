# SPDX-License-Identifier: GPL-2.0-only
"""The last accesses before a kernel's reports, as a file in a run directory.

The rows of mmrace.windows.traces, packed with zlib: seconds since the first arming, address of the
instruction, address of the word, number of the stack, number of the vCPU, and 1 if it stored.
"""

import zlib
from pathlib import Path

from mmrace.errors import InfraError
from mmrace.home import write_file
from mmrace.runs.record import RunDir
from mmrace.windows.director import Director
from mmrace.windows.search import StepKind
from mmrace.windows.traces import Traces

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
    packed = director.traces(first - SECONDS).until(last).pack()
    write_file(folder / _NAME, zlib.compress(packed, 1))


def read_traces(run: RunDir) -> Traces:
    """Return the accesses before a run's reports, in order of time; empty when there are none.

    Raises InfraError for a file that cannot be read.
    """
    path = run.folder / _NAME
    try:
        return Traces.unpacked(zlib.decompress(path.read_bytes()))
    except FileNotFoundError:
        return Traces.of(())
    except (OSError, zlib.error, ValueError) as error:
        raise InfraError(f"{path}: no traces of a search: {error}") from error
