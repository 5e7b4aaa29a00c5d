# SPDX-License-Identifier: GPL-2.0-only
"""The task that builds a kernel on a worker."""

from dataclasses import replace

from mmrace.building.build import build_kernel
from mmrace.building.request import check_inputs
from mmrace.errors import BuildError, UserError
from mmrace.executors.board import BEGUN
from mmrace.executors.objects import digest, pack_files
from mmrace.executors.packs import has_tree, lacking, take_packs
from mmrace.executors.shipment import Order, Receipt
from mmrace.executors.worker import Answer, CellWorker, Task, answer, answered

FILES = ("bzImage", "vmlinux", "System.map", "config", "kernel.json")


def build_order(text: str) -> Answer:
    """Build the kernel of an order, given as JSON (runs as a Dask task)."""
    return answered(_build, text)


def _build(task: Task, mine: CellWorker, text: str) -> Answer:
    order = Order.model_validate_json(text)
    request, home = order.request, mine.cache.home
    check_inputs(request)
    with mine.cache.with_trees():
        packs = lacking(home, order.packs)
        files = {name: order.files[name] for _, name in packs}
        with mine.cache.with_files(files, order.store) as missing:
            if missing:
                return answer(Receipt(worker=task.name, missing=missing)), ()
            task.tell(request.key, BEGUN)
            take_packs(home, packs)
        # The worker lacks the submitter's commit; a build needs only its tree.
        _, root = request.root
        root = root if has_tree(home, root) else ""
        here = replace(request, commit=request.tree_hash, root=(root, root))
        try:
            made = build_kernel(home, here, lambda state: task.tell(request.key, state))
        except (BuildError, UserError) as error:
            why = (error.message, error.detail)
            blames = isinstance(error, UserError)
            return answer(Receipt(worker=task.name, refused=why, blames=blames)), ()
    archive = pack_files(made.folder, [made.folder / name for name in FILES])
    runs = ((made.id, digest(archive)),)
    return answer(Receipt(worker=task.name, runs=runs, notes=made.notes)), (archive,)
