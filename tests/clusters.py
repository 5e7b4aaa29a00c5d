# SPDX-License-Identifier: GPL-2.0-only
"""A Dask cluster of processes on this host, with cells for the fake QEMU."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from made_session import quiet_step
from mmrace.definitions.machine import Machine, Node
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.executors.address import Address
from mmrace.executors.cluster import ClusterExecutor
from mmrace.executors.objects import digest
from mmrace.guests.accel import Accel
from mmrace.home import Home, write_file
from mmrace.runs.cell import Cell
from mmrace.runs.record import Spec

TOP = Path(__file__).parents[1]
FAKE = TOP / "tests" / "fakes" / "qemu.py"
WORKLOAD = Workload(
    name="w", summary="", source=Source.STRESSOR, argv=("w",), sources=("w.c",), silence=20,
    min_counts={"turns": 3}, invariants=(),
)  # fmt: skip
RACE = Race(
    name="r", title="", summary="", signature=(Signature(report="kernel BUG at mm/it.c"),),
    workload=(WORKLOAD,),
)  # fmt: skip
GOOD = """console booting
channel KTAP version 1
channel # release 6.1.192
channel # start w
channel # out mmrace: race
channel # out mmrace: count turns 4
{pause}
channel ok 1 - w # exit=0 seconds=2.00
channel 1..1
channel # end
poweroff
"""


def cell(home: Home, number: int, pause: str = "sleep 0.05", script: str = GOOD) -> Cell:
    """A cell whose kernel is a script for the fake QEMU; its files are in the home."""
    text = script.format(pause=pause)
    kernel = f"kernel-{digest(text.encode())[:8]}"
    files = {
        home.kernels / kernel / "bzImage": text.encode(),
        home.kernels / kernel / "config": b"CONFIG_SMP=y\n",
        home.images / "image": b"",
    }
    for path, content in files.items():
        if not path.is_file():
            write_file(path, content)
    spec = Spec(
        id=f"20260101-000000-r-w-{number:08x}", race=RACE, workload=WORKLOAD,
        machine=Machine(name="m", summary="", node=(Node(memory=64, hugepages=2),)), tree="t",
        revision="0" * 40, series=(), kernel_id=kernel, release="6.1.192", program="p",
        accel="tcg", steered=False, seed=number, boot=(), options={"seconds": 1},
    )  # fmt: skip
    return Cell(spec=spec, image="image", accel=Accel("tcg", "asked for"))


class Cluster:
    """A scheduler and workers with homes of their own, each a process on this host.

    Their guests are those of the fake QEMU, unless ``real``.
    """

    def __init__(self, top: Path, *, real: bool = False) -> None:
        self.top = top
        self.home = Home(top / "cache", top / "data")
        programs = top / "bin"
        programs.mkdir()
        if not real:
            (programs / "qemu-system-x86_64").symlink_to(FAKE)
        self.env = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": f"{TOP / 'harness'}:{TOP / 'tests'}",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = ""

    def scheduler(self, *words: str) -> None:
        """Start it, at the same port each time, with further options."""
        file = self.top / "scheduler.json"
        file.unlink(missing_ok=True)
        port = self.url.rpartition(":")[2] or "0"
        self.start(
            "scheduler", "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
            port, "--no-dashboard", "--scheduler-file", str(file), *words,
        )  # fmt: skip
        wait_for(lambda: file.is_file() and file.read_text())
        self.url = json.loads(file.read_text())["address"]

    def start(self, name: str, *words: str, env: Mapping[str, str] | None = None) -> None:
        env = {**self.env, "MMRACE_HOME": str(self.top / name), **(env or {})}
        with (self.top / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words], env=env, stdout=log, stderr=log
            )

    def worker(self, name: str, *more: str, env: Mapping[str, str] | None = None) -> Home:
        """Start one, with further options; returns where its files and its runs are."""
        words = ("-m", "mmrace", "worker", self.url, "--slots", "1", "--name", name)
        self.start(name, *words, *more, env=env)
        return Home(self.top / name / "cache", self.top / name / "data" / "worker")

    def executor(
        self, store: str = "", note: Callable[[str], object] = str, home: Home | None = None
    ) -> ClusterExecutor:
        logs = [self.top / f"{name}.log" for name in self.processes if name != "scheduler"]
        wait_for(lambda: any("Registered to" in log.read_text() for log in logs), 180)
        return ClusterExecutor(home or self.home, quiet_step, Address(self.url), store, note)

    def end(self, name: str) -> None:
        """SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in tuple(self.processes):
            self.end(name)


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    """Look until it is there; AssertionError when it is not."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not come"
        time.sleep(0.05)


def guests(top: Path) -> list[str]:
    """Command lines of QEMUs of a cluster that are there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(top) in line and "-kernel" in line:
            found.append(line)
    return found
