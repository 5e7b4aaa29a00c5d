# SPDX-License-Identifier: GPL-2.0-only
"""What goes to a worker and what comes back: plain values, so that nothing is trusted to pickle."""

from mmrace.building.request import Request
from mmrace.runs.cell import Cell
from mmrace.runs.host import Host
from mmrace.toml import Table


class Shipment(Table):
    """A group of cells, which run one after another on one worker.

    ``files``: SHA-256 of each file that they need, by its name in the cache. ``store``: a URL of
    fsspec's where these lie by their SHA-256; empty: the submitter gives what is missing.
    ``sender``: the host that they were planned on. ``tried``: workers that failed before.
    """

    version: str
    cells: tuple[Cell, ...]
    files: dict[str, str]
    sender: Host
    store: str = ""
    tried: tuple[str, ...] = ()


class Order(Table):
    """A kernel to be built by one worker.

    ``packs``: trees and the files, among ``files``, with the objects that each has beside those of
    the trees before it; the last tree is the request's. The rest is as in a Shipment.
    """

    version: str
    request: Request
    packs: tuple[tuple[str, str], ...]
    files: dict[str, str]
    store: str = ""


class Receipt(Table):
    """What came of a shipment or an order on ``worker``.

    ``missing``: files that have to be sent first; nothing has run then. ``failure``: why there are
    no runs. ``spoilt``: what was the matter with runs that are INFRA. ``runs``: id and SHA-256 of
    the archives that came with it, in the order of the cells, or those of a kernel. ``refused``:
    why there will be no kernel on any worker, and details; ``blames``: whether that is what the
    user named, not how it compiles. ``notes``: a kernel's. ``clock``: the worker's, in seconds.
    """

    worker: str
    missing: tuple[str, ...] = ()
    failure: str = ""
    spoilt: str = ""
    runs: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, str] | None = None
    blames: bool = False
    notes: tuple[str, ...] = ()
    clock: float = 0.0
