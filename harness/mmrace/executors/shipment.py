# SPDX-License-Identifier: GPL-2.0-only
"""Messages between submitter and worker, sent as JSON so that no content is unpickled."""

from mmrace.building.request import Request
from mmrace.runs.cell import Cell
from mmrace.runs.host import Host
from mmrace.toml import Table


class Shipment(Table):
    """A group of cells for one worker to run, one after another.

    ``files``: SHA-256 of each file that they need, by its name in the cache. ``store``: an fsspec
    URL under which files are named by their SHA-256; "": the submitter sends missing files.
    ``sender``: the host that planned the cells. ``tried``: names of the workers that failed before.
    """

    version: str
    cells: tuple[Cell, ...]
    files: dict[str, str]
    sender: Host
    store: str = ""
    tried: tuple[str, ...] = ()


class Order(Table):
    """A kernel for one worker to build.

    ``packs``: (tree hash, file name) pairs; each pack has the objects that its tree needs beyond
    the trees before it, and the last tree is the request's. Other fields as in Shipment.
    """

    version: str
    request: Request
    packs: tuple[tuple[str, str], ...]
    files: dict[str, str]
    store: str = ""


class Receipt(Table):
    """A worker's answer to a shipment or an order.

    ``missing``: files that the worker lacks; it has done nothing then. ``failure``: why it made no
    runs. ``spoilt``: title of a run with the outcome INFRA. ``runs``: id and SHA-256 of each
    archive sent along, in the order of the cells; of an order the kernel's. ``refused``: message
    and detail of an error that every worker would report; ``blames``: whether the user's input
    caused it (UserError), not the compilation (BuildError). ``notes``: of the kernel. ``clock``:
    the worker's time (seconds since the epoch).
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
