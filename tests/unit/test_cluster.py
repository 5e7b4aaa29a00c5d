# SPDX-License-Identifier: GPL-2.0-only
"""Cells on a Dask cluster: what goes there and comes back, and what becomes of a dead worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from made_session import quiet_step
from mmrace import __version__
from mmrace.definitions.machine import Machine, Node
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.errors import InfraError, UserError
from mmrace.executors import worker as worker_module
from mmrace.executors.cluster import Address, ClusterExecutor
from mmrace.executors.objects import (
    digest,
    has_object,
    keep_object,
    pack_run,
    place_of,
    read_stored,
    unpack_run,
    write_stored,
)
from mmrace.executors.shipment import Receipt, Shipment
from mmrace.guests.accel import Accel
from mmrace.home import Home
from mmrace.outcome import Outcome
from mmrace.runs.cell import Cell
from mmrace.runs.record import RunDir, Spec
from mmrace.toml import Table

FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
WORKLOAD = Workload(
    name="w", summary="", source=Source.STRESSOR, argv=("w",), sources=("w.c",), silence=20,
    exercised={"turns": 3}, invariants=(),
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


def cell(home: Home, number: int, pause: str = "sleep 0.05") -> Cell:
    """A cell whose kernel is a script for the fake QEMU; its files are in the home."""
    kernel, script = f"kernel-{digest(pause.encode())[:8]}", GOOD.format(pause=pause)
    (home.kernels / kernel).mkdir(parents=True, exist_ok=True)
    (home.kernels / kernel / "bzImage").write_text(script)
    (home.kernels / kernel / "config").write_text("CONFIG_SMP=y\n")
    home.images.mkdir(parents=True, exist_ok=True)
    (home.images / "image").write_bytes(b"")
    spec = Spec(
        id=f"20260101-00000{number}-r-w-000{number}", race=RACE, workload=WORKLOAD,
        machine=Machine(name="m", summary="", node=(Node(memory=64, hugepages=2),)), tree="t",
        revision="0" * 40, series=(), kernel_id=kernel, release="6.1.192", program="p",
        accel="tcg", steered=False, seed=number, boot=(), options={"seconds": 1},
    )  # fmt: skip
    return Cell(spec=spec, image="image", accel=Accel("tcg", "asked for"))


class Cluster:
    """A scheduler and workers of their own homes, each a process on this host."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.home = Home(top / "cache", top / "data")
        programs = top / "bin"
        programs.mkdir()
        (programs / "qemu-system-x86_64").symlink_to(FAKE)
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        file = top / "scheduler.json"
        self._start(
            "scheduler", "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
            "0", "--no-dashboard", "--scheduler-file", str(file),
        )  # fmt: skip
        end = time.monotonic() + 60
        while not (file.is_file() and file.read_text()) and time.monotonic() < end:
            time.sleep(0.1)
        self.url = json.loads(file.read_text())["address"]

    def _start(self, name: str, *words: str) -> None:
        env = {**os.environ, "MMRACE_HOME": str(self.top / name)}
        argv = [sys.executable, *words]
        with (self.top / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(argv, env=env, stdout=log, stderr=log)

    def worker(self, name: str) -> Home:
        self._start(name, "-m", "mmrace", "worker", self.url, "--slots", "1", "--name", name)
        return Home(self.top / name / "cache", self.top / name / "data")

    def executor(self) -> ClusterExecutor:
        return ClusterExecutor(self.home, quiet_step, Address(self.url))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("PYTHONPATH", str(Path(worker_module.__file__).parents[2]))
    made = Cluster(tmp_path)
    yield made
    made.close()


def content(run: RunDir) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.folder.iterdir()}


@pytest.mark.whole
def test_runs_come_back_as_the_worker_had_them(cluster: Cluster) -> None:
    there = cluster.worker("first")
    executor = cluster.executor()
    pair = (cell(cluster.home, 1), cell(cluster.home, 2))
    runs = executor.submit(lambda: pair).result()
    again = executor.submit(lambda: pair).result()
    executor.close()
    assert [run.judgement().outcome for run in runs] == [Outcome.PASS] * 2
    assert [run.id for run in runs] == [one.id for one in pair] == [run.id for run in again]
    for run in runs:
        assert content(run) == content(RunDir(there.runs / run.id))
        assert json.loads((run.folder / "worker.json").read_text())["worker"] == "first"
    assert len(list(cluster.home.runs.glob("[!.]*"))) == 2
    assert (there.kernels / pair[0].spec.kernel_id / "bzImage").is_file()


@pytest.mark.whole
def test_a_dead_worker_s_group_is_run_by_another_and_counts_once(cluster: Cluster) -> None:
    cluster.worker("first")
    executor = cluster.executor()
    waiting = executor.submit(lambda: (cell(cluster.home, 1, "sleep 6"),))
    log = cluster.top / "first" / "data" / "runs"
    end = time.monotonic() + 60
    while not list(log.glob(".*/spec.json")) and time.monotonic() < end:
        time.sleep(0.1)
    other = cluster.worker("second")
    cluster.processes["first"].send_signal(signal.SIGKILL)
    (run,) = waiting.result(timeout=120)
    executor.close()
    assert run.judgement().outcome is Outcome.PASS
    assert json.loads((run.folder / "worker.json").read_text())["worker"] == "second"
    assert [one.name for one in cluster.home.runs.glob("[!.]*")] == [run.id]
    assert content(run) == content(RunDir(other.runs / run.id))


class Plain:
    """What a task sees of its worker."""

    name = "w"

    def __init__(self, home: Home | None) -> None:
        self.plugins = {"mmrace": worker_module.CellWorker(home)} if home else {}

    def log_event(self, *_: object) -> None:
        pass


def sent(monkeypatch: pytest.MonkeyPatch, home: Home | None, **changes: Any) -> Receipt:
    monkeypatch.setattr(worker_module, "get_worker", lambda: Plain(home))
    fields = {"version": __version__, "cells": (), "files": {}, **changes}
    text, _ = worker_module.run_shipment(Shipment(**fields).model_dump_json())
    return Receipt.model_validate_json(text)


def test_a_worker_says_what_it_lacks_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    files = {"images/a": digest(b"a"), "images/b": digest(b"b")}
    keep_object(home, "images/a", files["images/a"], b"a")
    assert sent(monkeypatch, home, files=files).missing == ("images/b",)
    (home.images / "a").write_bytes(b"changed")
    assert sent(monkeypatch, home, files=files).missing == ("images/a", "images/b")


def test_another_version_and_a_plain_worker_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    failure = sent(monkeypatch, home, version="0.0.1").failure
    assert failure
    assert failure.exit == 69
    assert "0.0.1" in failure.message
    assert __version__ in failure.message
    plain = sent(monkeypatch, None).failure
    assert plain
    assert "mmrace worker" in plain.message


def test_what_arrives_damaged_is_not_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    with pytest.raises(InfraError, match="images/a"):
        keep_object(home, "images/a", digest(b"a"), b"b")
    assert not has_object(home, "images/a", digest(b"a"))
    run = RunDir(home.runs / "r")
    run.folder.mkdir(parents=True)
    (run.folder / "outcome.json").write_text("{}")
    data = pack_run(run)
    other = Home(tmp_path / "other", tmp_path / "other")
    with pytest.raises(InfraError, match="damaged"):
        unpack_run(other, "r", data, digest(b"else"))
    with pytest.raises(InfraError, match="damaged"):
        unpack_run(other, "../r", data, digest(data))
    assert content(unpack_run(other, "r", data, digest(data))) == content(run)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "images/../../x", "runs/x", "images/a/b/c", "images/..", ""]
)
def test_a_name_cannot_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(InfraError, match="not the name of an object"):
        place_of(Home(tmp_path, tmp_path), name)


def test_a_store_has_objects_by_their_content(tmp_path: Path) -> None:
    file, store = tmp_path / "kernel", f"file://{tmp_path}/store"
    file.write_bytes(b"image")
    assert read_stored(store, digest(b"image")) is None
    write_stored(store, file)
    write_stored(store, file)
    assert read_stored(store, digest(b"image")) == b"image"
    with pytest.raises(InfraError, match="nowhere"):
        read_stored("nowhere://x", digest(b"image"))


def test_only_loopback_goes_without_tls() -> None:
    assert Address("tcp://127.0.0.1:8786").security() is None
    assert Address("tcp://[::1]:8786").security() is None
    for url in ("tcp://10.0.0.7:8786", "tcp://host:8786", "tls://0.0.0.0:1"):
        with pytest.raises(UserError, match="not encrypted"):
            Address(url).security()
    with pytest.raises(UserError, match="three files"):
        Address("tls://host:8786", ca="ca.pem").security()


def test_a_cell_survives_its_shipment(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    whole = Shipment(version="1", cells=(cell(home, 1),), files={"images/image": "0"})
    read: Table = Shipment.model_validate_json(whole.model_dump_json())
    assert read == whole
