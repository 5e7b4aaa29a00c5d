# SPDX-License-Identifier: GPL-2.0-only
"""What a cluster costs: ``python -m tests.bench.bench_cluster overhead``, ``simulated N CELLS``.

``overhead``: cells of 10 s on two workers with one slot each against the local executor with two
slots, batch by batch in turn, by the fake QEMU. ``simulated``: N workers in processes of EACH, with
cells that sleep for 10 s and leave a run directory; how busy they are, and what the scheduler and
this process take of CPU and memory.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP / "tests")]

import dask  # noqa: E402
from distributed import Worker  # noqa: E402

from clusters import Cluster, cell, wait_for  # noqa: E402
from made_session import quiet_step  # noqa: E402
from mmrace import __version__  # noqa: E402
from mmrace.executors import worker as worker_module  # noqa: E402
from mmrace.executors.executor import Group, in_order  # noqa: E402
from mmrace.executors.local import LocalExecutor  # noqa: E402
from mmrace.home import Home  # noqa: E402
from mmrace.outcome import Judgement, Outcome  # noqa: E402
from mmrace.runs.host import this_host  # noqa: E402
from mmrace.runs.record import RunDir, finish  # noqa: E402

SECONDS = 10.0  # of a cell
BATCH = 6
BATCHES = 5
EACH = 25  # simulated workers in one process
# What each worker does for itself many times a second; two hundred on two cores starve by it.
SPARSE = {
    "distributed.admin.tick.interval": "2s",
    "distributed.admin.system-monitor.interval": "10s",
}
CONSOLE = b"[    1.000000] a line as a console has thirty thousand bytes of\n" * 500


def overhead() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-cluster-") as top:
        cluster = Cluster(Path(top))
        os.environ["PATH"] = cluster.env["PATH"]
        try:
            cluster.scheduler()
            cluster.worker("one")
            cluster.worker("two")
            remote = cluster.executor()
            wait_for(lambda: len(remote._dispatch._addresses()) == 2)
            remote._looked = 0.0
            local = LocalExecutor(cluster.home, quiet_step, 2)
            numbers = iter(range(1_000_000))
            seconds: dict[str, list[float]] = {"local": [], "cluster": []}

            def batch(executor: Any, count: int) -> float:
                pause = f"sleep {SECONDS}"
                cells = [cell(cluster.home, next(numbers), pause) for _ in range(count)]
                begun = time.monotonic()
                made = list(in_order(executor, [lambda one=one: (one,) for one in cells]))
                assert all(run.judgement().outcome is Outcome.PASS for (run,) in made)
                return time.monotonic() - begun

            batch(remote, 2)  # its kernel is there from now on
            for _ in range(BATCHES):
                for name, executor in (("local", local), ("cluster", remote)):
                    seconds[name].append(batch(executor, BATCH))
                    print(f"{BATCH} cells, {name}: {seconds[name][-1]:.2f} s", flush=True)
            remote.close()
            local.close()
        finally:
            cluster.close()
    shares = [b / a - 1 for a, b in zip(seconds["local"], seconds["cluster"], strict=True)]
    print(f"batches of {BATCH} cells of {SECONDS:.0f} s, two at a time, {BATCHES} pairs of batches")
    print(f"cluster takes longer by {statistics.mean(shares):+.2%} (mean of the pairs)")


def sleep_for_a_cell(home: Home, one: Any, tell: Callable[[str], None]) -> RunDir:
    """What stands in for a guest."""
    begun = time.monotonic()
    with home.scratch(home.runs) as folder:
        while (left := begun + SECONDS - time.monotonic()) > 0:
            tell("count turns 4")
            time.sleep(min(left, 2.5))
        (folder / "spec.json").write_text(one.spec.model_dump_json(indent=1))
        (folder / "console.log").write_bytes(CONSOLE)
        RunDir(folder).store(Judgement(Outcome.PASS))
        return finish(home, folder, one.id)


async def serve_many(url: str, top: Path, first: int, count: int) -> None:
    """Be so many workers, from that number on, each with runs of its own."""
    worker_module.run_cell = sleep_for_a_cell  # type: ignore[assignment]
    dask.config.set({**worker_module.SETTINGS, **SPARSE})
    host = this_host("", __version__)

    def one(number: int) -> Worker:
        home = Home(top / "cache", top / f"data-{number}")
        return Worker(
            url,
            nthreads=2,
            name=f"w{number}",
            resources={worker_module.RESOURCE: 1},
            plugins=(worker_module.CellWorker(home, host),),
            memory_limit=0,
            local_directory=str(top / f"dask-{number}"),
        )

    workers = [one(number) for number in range(first, first + count)]
    for at in range(0, count, 20):
        await asyncio.gather(*workers[at : at + 20])
    await asyncio.gather(*(each.finished() for each in workers))


def memory(pid: int) -> float:
    """Megabytes of a process in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def simulated(count: int, cells: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-cluster-") as top:
        cluster = Cluster(Path(top))
        os.environ["PATH"] = cluster.env["PATH"]
        try:
            cluster.scheduler()
            for at in range(0, count, EACH):
                many = (str(at), str(min(EACH, count - at)))
                words = (__spec__.name, "workers", cluster.url, str(cluster.top), *many)
                path = {"PYTHONPATH": f"{TOP}:{TOP}/harness"}
                cluster.start(f"workers{at}", "-m", *words, env=path)
            remote = cluster.executor()
            wait_for(lambda: len(remote._dispatch._addresses()) == count, 300)
            remote._looked = 0.0
            pids = {name: process.pid for name, process in cluster.processes.items()}
            pids["submitter"] = os.getpid()
            first = cell(cluster.home, 0)

            def plan(number: int) -> Group:
                spec = first.spec.model_copy(update={"id": f"{first.id[:-8]}{number:08x}"})
                return (first.model_copy(update={"spec": spec}),)

            begun = time.monotonic()
            plans = (partial(plan, number) for number in range(1, cells + 1))
            used = {name: cpu(pid) for name, pid in pids.items()}
            for done, _ in enumerate(in_order(remote, plans), 1):
                if done % max(1, cells // 5) == 0:
                    spent = time.monotonic() - begun
                    sizes = ", ".join(f"{name} {memory(pid):.0f} MB" for name, pid in pids.items())
                    print(f"{done} cells after {spent:.1f} s; {sizes}", flush=True)
            spent = time.monotonic() - begun
            runs = len(list(cluster.home.runs.glob("[!.]*")))
            remote.close()
            share = cells * SECONDS / (count * spent)
            what = f"{count} workers, {cells} cells of {SECONDS:.0f} s"
            print(f"{what} in {spent:.1f} s: {share:.1%} busy")
            print(f"{runs} run directories arrived")
            spent_by = {name: cpu(pid) - used[name] for name, pid in pids.items()}
            for name in ("scheduler", "submitter"):
                share, each = spent_by[name] / spent, spent_by[name] / cells * 1000
                print(f"{name}: {share:.0%} of a core, {each:.1f} ms for each cell")
            others = sum(spent_by.values()) - spent_by["scheduler"] - spent_by["submitter"]
            print(f"simulated workers: {others / spent:.0%} of a core")
        finally:
            cluster.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["overhead"]:
            overhead()
        case ["simulated", count, cells]:
            simulated(int(count), int(cells))
        case ["workers", url, top, first, count]:
            asyncio.run(serve_many(url, Path(top), int(first), int(count)))
        case _:
            sys.exit(__doc__)
