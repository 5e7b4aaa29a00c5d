# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built by workers and published in the submitter's home."""

import json
from collections.abc import Callable
from dataclasses import replace

from mmrace import __version__
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.kernelconfig import check_names
from mmrace.building.request import Request, recall, remember
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.executors.builder import build_order
from mmrace.executors.dispatch import Dispatch, Job
from mmrace.executors.objects import file_digest, place_of, unpack_files
from mmrace.executors.packs import make_packs
from mmrace.executors.shipment import Order, Receipt
from mmrace.home import Home, publish, write_file


class RemoteBuilds:
    """Builds as ``build_kernel`` does, but on a cluster's workers; one thread for each build.

    A worker whose compiler differs from the submitter's refuses to build: the kernel would differ.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    def __call__(self, home: Home, request: Request, progress: Callable[[str], None]) -> Kernel:
        """Return the kernel, built by a worker or found in the home; raises as ``build_kernel``."""
        if not request.sandboxed:
            raise UserError("workers build in a sandbox only; omit --no-sandbox or --build-on")
        if kernel := recall(home, request):
            return kernel
        check_names(home, request.commit, request.config)
        progress("packing the source")
        packs = make_packs(home, request.base, request.tree_hash)
        files = {name: file_digest(place_of(home, name)) for _, name in packs}
        store = self._dispatch.store
        order = Order(
            version=__version__, request=request, packs=packs, files=files, store=store
        ).model_dump_json()
        progress("on a worker")
        what, title = f"the build of {request.commit[:12]}", f"build {request.base}"
        job = Job((request.key,), what, title, build_order, lambda _tried: order, files)
        receipt, archives = self._dispatch.deliver(job)
        if receipt.refused:
            raise (UserError if receipt.blames else BuildError)(*receipt.refused)
        return _publish(home, request, receipt, archives)


def _publish(home: Home, request: Request, receipt: Receipt, archives: tuple[bytes, ...]) -> Kernel:
    """Publish a kernel that arrived; InfraError when its id is not that of the request."""
    ((kernel_id, sha256),), (data,) = receipt.runs, archives
    with home.scratch(home.kernels) as made:
        unpack_files(f"kernel {kernel_id}", sha256, data, made)
        if request.kernel_id((made / "config").read_text(encoding="utf-8")) != kernel_id:
            raise InfraError(f"worker {receipt.worker} sent another kernel than was asked for")
        facts = json.loads((made / "kernel.json").read_text(encoding="utf-8"))
        write_file(made / "kernel.json", json.dumps(facts | {"commit": request.commit}, indent=1))
        publish(made, home.kernels / kernel_id)
    kernel = load_kernel(home, kernel_id)
    if kernel is None:
        raise InfraError(f"kernel {kernel_id} vanished from {home.kernels}; build it again")
    kernel = replace(kernel, reused=False, notes=receipt.notes)
    remember(home, request, kernel)
    return kernel
