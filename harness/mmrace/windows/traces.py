# SPDX-License-Identifier: GPL-2.0-only
"""Accesses that a director traced, in order of time; of one boot there are millions."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, overload

from mmrace.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = Lazy("numpy")

# ``struct shared_trace``, and one row of Traces: names of fields and their types.
_KEPT = {"time": "<u8", "word": "<u8", "stack": "<u8", "site": "<u4", "vcpu": "<u2", "store": "<u2"}
_ROW = {
    "time": "<f8",
    "address": "<u8",
    "word": "<u8",
    "stack": "<u8",
    "vcpu": "<u2",
    "store": "<u2",
}
KEPT_SIZE = sum(int(kind[-1]) for kind in _KEPT.values())  # bytes


@dataclass(frozen=True)
class Trace:
    """One access to ``word``; ``time`` in host seconds since the first arming.

    ``stack``: number of the stack that the vCPU was on, which tells tasks apart.
    """

    time: float
    address: int
    word: int
    vcpu: int
    store: bool
    stack: int = 0


class Traces(Sequence[Trace]):
    """Accesses as columns, ordered by time.

    ``rows``: a structured array, shape (n,), with the fields ``time`` (float64, seconds),
    ``address``, ``word``, ``stack`` (uint64), ``vcpu`` and ``store`` (uint16).
    """

    def __init__(self, rows: "npt.NDArray[Any]") -> None:
        self.rows = rows

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> "Traces":
        """Make columns of single accesses, which are in order of time."""
        found = [
            (time, address, word, stack, vcpu, store)
            for time, address, word, vcpu, store, stack in map(astuple, traces)
        ]
        return cls(np.array(found, _dtype()))

    @classmethod
    def decoded(cls, kept: bytes, sites: Sequence[int], begun: int, since: float) -> "Traces":
        """Decode the traces of the director's shared memory.

        ``sites``: addresses of the plan's sites, by number. ``begun``: when the director was first
        armed, in nanoseconds. ``since``: the least time wanted, in seconds from then on.
        """
        found = np.frombuffer(kept, np.dtype(list(_KEPT.items())))
        found = found[found["time"] >= max(1, begun + round(since * 1e9))]
        found = found[np.argsort(found["time"], kind="stable")]
        rows = np.empty(len(found), _dtype())
        rows["time"] = (found["time"].astype(np.int64) - begun) / 1e9
        rows["address"] = np.array(sites, np.uint64)[found["site"]]
        for name in ("word", "stack", "vcpu", "store"):
            rows[name] = found[name]
        return cls(rows)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Traces":
        """The inverse of ``pack``; ValueError for bytes that are no whole rows."""
        return cls(np.frombuffer(packed, _dtype()))

    def pack(self) -> bytes:
        """The rows as bytes: the fields of each as ``rows`` has them, little-endian, no padding."""
        return self.rows.tobytes()

    def until(self, time: float) -> "Traces":
        """The accesses up to a time in seconds."""
        return self[: int(np.searchsorted(self.rows["time"], time, "right"))]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Trace: ...

    @overload
    def __getitem__(self, at: slice) -> "Traces": ...

    def __getitem__(self, at: int | slice) -> "Trace | Traces":
        if isinstance(at, slice):
            return Traces(self.rows[at])
        time, address, word, stack, vcpu, store = self.rows[at].item()
        return Trace(time, address, word, vcpu, bool(store), stack)


@functools.cache
def _dtype() -> "np.dtype[Any]":
    return np.dtype(list(_ROW.items()))
