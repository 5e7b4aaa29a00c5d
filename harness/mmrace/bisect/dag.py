# SPDX-License-Identifier: GPL-2.0-only
"""The revisions between two ends, and which of them contain which."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmrace.errors import UserError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_CHUNK = 512


class Dag:
    """Candidates, oldest first, and the older revisions that are their parents.

    Each revision has a row: the candidates first, the last of them the newer end that contains all
    others; then the older end, then further parents that are no candidates. Containment is kept as
    bits, 12 MB for 10,000 candidates.
    """

    def __init__(
        self, names: Sequence[str], parents: Sequence[Sequence[str]], older_end: str
    ) -> None:
        """Take the candidates in topological order, each with its parents' names.

        Raises UserError when there are none, or when the last does not contain all.
        """
        if not names:
            raise UserError("no revision lies between the two ends; choose ends further apart")
        self.size = len(names)
        inside = {name: row for row, name in enumerate(names)}
        outside = {older_end: self.size}
        for name in (name for group in parents for name in group if name not in inside):
            outside.setdefault(name, self.size + len(outside))
        self.rows: dict[str, int] = {**inside, **outside}
        self.names: tuple[str, ...] = tuple(self.rows)
        self.older_end = self.size
        self.newer_end = self.size - 1
        self.parents: tuple[tuple[int, ...], ...] = tuple(
            tuple(self.rows[name] for name in group) or (self.older_end,) for group in parents
        )
        self._bits = self._reach()
        if not self.contains(self.newer_end).all():
            raise UserError(f"{names[-1]} does not contain the other revisions; name one that does")

    @classmethod
    def line(cls, names: Sequence[str], older_end: str) -> "Dag":
        """Make the graph of revisions each on top of the one before, as a series has them."""
        chain = [older_end, *names]
        return cls(names, [(name,) for name in chain[:-1]], older_end)

    def _reach(self) -> npt.NDArray[np.uint8]:
        width = (self.size + 7) // 8
        reach: list[int] = []
        for row, group in enumerate(self.parents):
            bits = 1 << row
            for parent in group:
                if row <= parent < self.size:
                    raise UserError(f"{self.names[row]} comes before its parent; put parents first")
                bits |= reach[parent] if parent < self.size else 0
            reach.append(bits)
        reach += [0] * (len(self.names) - self.size)
        packed = b"".join(bits.to_bytes(width, "little") for bits in reach)
        return np.frombuffer(packed, dtype=np.uint8).reshape(len(reach), width)

    def contains(self, rows: int | npt.NDArray[np.intp]) -> Bools:
        """Return which candidates the revision of a row has, itself included; a matrix for many."""
        bits = np.unpackbits(self._bits[rows], axis=-1, count=self.size, bitorder="little")
        return bits.view(np.bool_)

    def mass(self, weights: Floats) -> Floats:
        """Return, for each row, the sum of the candidates' weights over what it contains."""
        parts = []
        for start in range(0, len(self.names), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(self.names)))
            parts.append(self.contains(rows).astype(np.float32) @ weights.astype(np.float32))
        return np.concatenate(parts).astype(np.float64)
