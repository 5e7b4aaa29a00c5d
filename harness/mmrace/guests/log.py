# SPDX-License-Identifier: GPL-2.0-only
"""What came from one port of a guest, with the time at which each part came."""

import time
from pathlib import Path

LOG_CAP = 64 * 1024 * 1024


class Log:
    """The bytes of a console or a result channel, and their time index; beyond a cap they are
    counted only, so that a guest cannot fill the host's memory or disk.

    ``begun``: the monotonic clock at the machine's start, from which the index counts.
    """

    def __init__(self, name: str, begun: float) -> None:
        self.data = bytearray()
        self._name = name
        self._begun = begun
        self._times: list[tuple[float, int]] = []
        self._beyond = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for people about it."""
        if not self._beyond:
            return ()
        cap = f"{LOG_CAP >> 20} MiB"
        return (f"the {self._name} log ends at {cap}: {self._beyond} bytes more came",)

    def write(self, chunk: bytes) -> bytes:
        """Add what has come; returns the part of it that is kept."""
        kept = chunk[: max(0, LOG_CAP - len(self.data))]
        self._beyond += len(chunk) - len(kept)
        if kept:
            self._times.append((time.monotonic() - self._begun, len(self.data)))
            self.data += kept
        return kept

    def continued(self, begun: float) -> "Log":
        """The log of a machine that goes on where this one was: the same so far."""
        log = Log(self._name, begun)
        log.data += self.data
        log._times += self._times
        return log

    def append(self, other: "Log") -> None:
        """Add another log's bytes and times behind this one's own."""
        self._times += [(seconds, len(self.data) + offset) for seconds, offset in other._times]
        self.data += other.data
        self._beyond += other._beyond

    def save(self, folder: Path) -> None:
        """Write ``NAME.log`` and ``NAME.times``, a line ``SECONDS OFFSET`` for each part."""
        (folder / f"{self._name}.log").write_bytes(self.data)
        index = "".join(f"{seconds:.3f} {offset}\n" for seconds, offset in self._times)
        (folder / f"{self._name}.times").write_text(index, encoding="ascii")
