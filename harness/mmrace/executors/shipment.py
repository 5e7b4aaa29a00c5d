# SPDX-License-Identifier: GPL-2.0-only
"""What goes to a worker and what comes back: plain values, so that nothing is trusted to pickle."""

from mmrace.runs.cell import Cell
from mmrace.toml import Table


class Shipment(Table):
    """A group of cells, which run one after another on one worker.

    ``files``: SHA-256 of each file that they need, by its name in the cache. ``store``: a URL of
    fsspec's where these lie by their SHA-256; empty: the submitter gives what is missing.
    """

    version: str
    cells: tuple[Cell, ...]
    files: dict[str, str]
    store: str = ""


class Failure(Table):
    """An error of a worker: the exit code that it stands for, and its line."""

    exit: int
    message: str


class Receipt(Table):
    """What came of a shipment on ``worker``.

    ``missing``: files that have to be sent first; nothing has run then. ``runs``: id and SHA-256
    of the archives that came with it, in the order of the cells.
    """

    worker: str
    missing: tuple[str, ...] = ()
    failure: Failure | None = None
    runs: tuple[tuple[str, str], ...] = ()


class Host(Table):
    """Where a run was made; ``worker.json`` of its directory."""

    worker: str
    host: str
    qemu: str
    cpu: str
    version: str
