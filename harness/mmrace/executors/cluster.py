# SPDX-License-Identifier: GPL-2.0-only
"""Cells run on a Dask cluster (https://distributed.dask.org), behind the executors' interface."""

import ipaddress
import itertools
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from distributed import Client, KilledWorker, Security
from distributed.comm.core import CommClosedError

from mmrace import __version__
from mmrace.errors import BuildError, InfraError, MmraceError, UserError
from mmrace.executors import worker
from mmrace.executors.executor import Plan, Runs
from mmrace.executors.objects import file_digest, place_of, unpack_run, write_stored
from mmrace.executors.shipment import Failure, Receipt, Shipment
from mmrace.home import Home
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Step
from mmrace.runs.record import RunDir, find_finished
from mmrace.windows.director import build

WAIT = 30.0  # seconds for the first worker to be there
ROUNDS = 4  # times that a group is sent again, beside once for each worker that lacks files
POLL = 1.0  # seconds between looks at a worker that is given a file
_GONE = (CancelledError, CommClosedError, TimeoutError, OSError)


@dataclass(frozen=True)
class Address:
    """A scheduler's address, and the files of TLS (PEM) where it is not on this host."""

    url: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def security(self) -> Security | None:
        """Return what encrypts all connections; None on loopback without TLS.

        Dask's ports take pickles: whoever can write to one runs code. Raises UserError for an
        address of another host without TLS, or half of the files.
        """
        files = (self.ca, self.cert, self.key)
        if all(files):
            return Security(
                require_encryption=True,
                tls_ca_file=self.ca,
                tls_client_cert=self.cert,
                tls_client_key=self.key,
                tls_worker_cert=self.cert,
                tls_worker_key=self.key,
            )
        if any(files):
            raise UserError("TLS needs three files; give --tls-ca, --tls-cert and --tls-key")
        if not self._loopback:
            raise UserError(
                f"{self.url} is not on this host and not encrypted; give --tls-ca, --tls-cert, "
                "--tls-key and a tls:// address"
            )
        return None

    @property
    def _loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class ClusterExecutor:
    """Groups are tasks; a file that a worker lacks is sent to it once.

    Finished runs come back whole and appear in the home by rename. A group that a dead worker had
    begun is run by another one; ids are fixed before, so that a run which comes twice counts once.
    """

    def __init__(self, home: Home, step: Step, address: Address, store: str = "") -> None:
        self._home = home
        self._step = step
        self._store = store
        self._address = address.url
        try:
            self._client = Client(address.url, security=address.security(), timeout=WAIT)
            self._client.wait_for_workers(1, timeout=WAIT)
        except _GONE as error:
            raise InfraError(
                f"no workers at {address.url}: {error}; start `mmrace worker {address.url}`"
            ) from error
        self.slots = self._guests()
        self._pool = ThreadPoolExecutor(max(1, self.slots))
        self._planning = threading.Lock()
        self._sent = itertools.count()

    @property
    def dashboard(self) -> str:
        """Address of Dask's own page."""
        return str(self._client.dashboard_link)

    def submit(self, plan: Plan) -> "Future[Runs]":
        """Have a group planned here and run by one worker."""
        return self._pool.submit(self._run, plan)

    def close(self) -> None:
        """Give up what has not ended; guests under way end with their runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close(timeout=5)

    def _guests(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        guests = sum(int(one["resources"].get(worker.RESOURCE, 0)) for one in workers)
        if not guests:
            raise InfraError(
                f"{self._address} has only plain Dask workers; start `mmrace worker` on their hosts"
            )
        return guests

    def _run(self, plan: Plan) -> Runs:
        with self._planning:
            cells = plan()
        there = {cell.id: find_finished(self._home, cell.id) for cell in cells}
        wanted = tuple(cell for cell in cells if there[cell.id] is None)
        title = ", ".join(f"{cell.spec.race.name}/{cell.spec.workload.name}" for cell in wanted)
        with self._step(title or "nothing to run") as tell:
            made = {run.id: run for run in self._ship(wanted)} if wanted else {}
            said = (run.judgement() for run in made.values())
            tell("= " + "; ".join(f"{one.outcome} {one.title}".strip() for one in said))
        return tuple(made.get(cell.id) or RunDir(self._home.runs / cell.id) for cell in cells)

    def _ship(self, cells: tuple[Cell, ...]) -> Runs:
        files = {
            name: file_digest(place_of(self._home, name))
            for cell in cells
            for name in self._of(cell)
        }
        if self._store:
            for name in files:
                write_stored(self._store, place_of(self._home, name))
        sent = Shipment(version=__version__, cells=cells, files=files, store=self._store)
        for _ in range(ROUNDS + self.slots):
            receipt, archives = self._send(sent)
            if receipt.failure:
                raise _error(receipt.failure)
            if not receipt.missing:
                return tuple(
                    unpack_run(self._home, run_id, data, wanted)
                    for (run_id, wanted), data in zip(receipt.runs, archives, strict=True)
                )
            for name in receipt.missing:
                self._give(receipt.worker, name, files[name])
        raise InfraError(f"worker {receipt.worker} does not keep {receipt.missing[0]}; see its log")

    def _of(self, cell: Cell) -> tuple[str, ...]:
        """Names of all files that a cell needs, the director's among them."""
        if not cell.plan or cell.module:
            return cell.inputs
        director = build(self._home).relative_to(self._home.cache)
        return (*cell.inputs, str(director))

    def _send(self, sent: Shipment) -> tuple[Receipt, tuple[bytes, ...]]:
        """Have a worker run it; who has sent the least so far goes first."""
        number = next(self._sent)
        ids = [cell.id for cell in sent.cells]
        future = self._client.submit(
            worker.run_shipment,
            sent.model_dump_json(),
            key=f"{ids[0]}-{number}",
            pure=False,
            resources={worker.RESOURCE: 1},
            priority=-number,
        )
        try:
            text, archives = future.result()
        except KilledWorker as error:
            names = ", ".join(self._tried(ids)) or str(error.last_worker)
            raise InfraError(f"run {ids[0]} ended its worker each time: {names}") from error
        except _GONE as error:
            raise InfraError(
                f"scheduler {self._address} is gone; start it, and the same command goes on"
            ) from error
        finally:
            future.release()
        return Receipt.model_validate_json(text), archives

    def _tried(self, ids: list[str]) -> list[str]:
        """Workers that began one of these runs."""
        events = self._client.get_events(worker.TOPIC)
        return list(dict.fromkeys(one["worker"] for _, one in events if one["cell"] in ids))

    def _give(self, name: str, file: str, wanted: str) -> None:
        """Send a file to the worker of this name; one that went away is left alone."""
        at = self._address_of(name)
        if at is None:
            return
        data = place_of(self._home, file).read_bytes()
        try:
            moved = self._client.scatter(data, workers=[at], direct=True, hash=False)
        except _GONE:
            return
        said = self._client.submit(worker.keep, file, wanted, moved, workers=[at], pure=False)
        while not said.done():
            if self._address_of(name) != at:
                said.cancel()
                return
            time.sleep(POLL)
        if text := said.result():
            raise InfraError(text)

    def _address_of(self, name: str) -> str | None:
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return next((str(url) for url, one in workers.items() if str(one["name"]) == name), None)


def _error(failure: Failure) -> MmraceError:
    kinds = {2: UserError, 4: BuildError}
    return kinds.get(failure.exit, InfraError)(failure.message)
