# SPDX-License-Identifier: GPL-2.0-only
"""What a worker does with a shipment, whatever arrives and whatever its host lacks."""

import errno
import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest

from clusters import cell
from mmrace import __version__
from mmrace.errors import InfraError, UserError
from mmrace.executors import worker as worker_module
from mmrace.executors.address import Address
from mmrace.executors.cache import KEPT_RUNS, WorkerCache
from mmrace.executors.objects import (
    digest,
    has_object,
    keep_object,
    pack_files,
    place_of,
    unpack_files,
    unpack_runs,
)
from mmrace.executors.shipment import Receipt, Shipment
from mmrace.executors.store import write_stored
from mmrace.home import Home
from mmrace.leftover import using
from mmrace.outcome import Judgement, Outcome
from mmrace.progress import Counted
from mmrace.runs.host import Host, this_host
from mmrace.runs.record import RunDir, all_runs
from mmrace.toml import Table

HERE = Host(worker="", host="here", qemu="7.2.22", cpu="c", version=__version__)


class Plain:
    """What a task sees of its worker, and of the scheduler's wish to have it run."""

    name = "w"
    status = worker_module.Status.running
    state: Any = type("State", (), {"tasks": {"k": type("T", (), {"state": "executing"})}})

    def __init__(self, home: Home | None) -> None:
        self.plugins = {"mmrace": worker_module.CellWorker(home, HERE)} if home else {}
        self.events: list[dict[str, str]] = []

    def get_current_task(self) -> str:
        return "k"

    def log_event(self, _topic: str, event: dict[str, str]) -> None:
        self.events.append(event)


def sent(monkeypatch: pytest.MonkeyPatch, home: Home | None, **changes: Any) -> Receipt:
    plain = Plain(home)
    monkeypatch.setattr(worker_module, "get_worker", lambda: plain)
    fields = {"version": __version__, "cells": (), "files": {}, "sender": HERE, **changes}
    text, _ = worker_module.run_shipment(Shipment(**fields).model_dump_json())
    return Receipt.model_validate_json(text)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


def made_run(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    """Have each cell leave a run with this outcome."""

    def run(home: Home, one: Any, _tell: object) -> RunDir:
        made = RunDir(home.runs / one.id)
        made.folder.mkdir(parents=True)
        made.store(Judgement(outcome, title="t"))
        return made

    monkeypatch.setattr(worker_module, "run_cell", run)


def test_a_worker_says_what_it_lacks_and_runs_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"images/a": digest(b"a"), "images/b": digest(b"b")}
    keep_object(home, "images/a", files["images/a"], b"a")
    assert sent(monkeypatch, home, files=files).missing == ("images/b",)
    (home.images / "a").write_bytes(b"changed")
    assert sent(monkeypatch, home, files=files).missing == ("images/a", "images/b")


def test_another_version_is_one_line_whatever_its_shipments_look_like(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = sent(monkeypatch, home, version="0.0.1")
    assert receipt.failure == (
        f"it has mmrace {__version__}, the submitter 0.0.1; install the same version on both"
    )
    text, _ = worker_module.run_shipment(json.dumps({"version": "9", "of": "a later form"}))
    assert "the submitter 9" in Receipt.model_validate_json(text).failure


def test_a_plain_dask_worker_is_told_from_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "start `mmrace worker`" in sent(monkeypatch, None).failure


def test_a_full_disk_is_one_line_and_no_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> RunDir:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "console.log")

    monkeypatch.setattr(worker_module, "run_cell", full)
    receipt = sent(monkeypatch, home, cells=(cell(home, 1),))
    assert receipt.runs == ()
    assert receipt.failure == (
        "[Errno 28] No space left on device: 'console.log'; free space or memory there"
    )


def test_what_is_kept_on_a_full_disk_is_one_line(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Plain(home)
    monkeypatch.setattr(worker_module, "get_worker", lambda: plain)
    assert worker_module.keep("images/a", digest(b"b"), b"a").startswith("object images/a arrived")
    home.images.parent.mkdir(parents=True, exist_ok=True)
    home.images.write_text("not a directory")
    assert worker_module.keep("images/a", digest(b"a"), b"a").endswith("; free space there")


def test_an_object_that_was_changed_in_the_store_is_not_used(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, store = tmp_path / "image", f"file://{tmp_path}/store"
    file.write_bytes(b"good")
    write_stored(store, file)
    (tmp_path / "store" / digest(b"good")).write_bytes(b"evil")
    receipt = sent(monkeypatch, home, files={"images/a": digest(b"good")}, store=store)
    assert (
        receipt.failure == "object images/a arrived with another SHA-256 than announced; not kept"
    )
    assert not (home.images / "a").exists()


def test_a_run_says_in_what_its_host_differs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(monkeypatch, Outcome.INFRA)
    theirs = HERE.model_copy(update={"qemu": "10.0.2"})
    receipt = sent(monkeypatch, home, cells=(cell(home, 1),), sender=theirs, tried=("a", "b"))
    assert receipt.spoilt == "t"
    (run,) = all_runs(WorkerCache(home).home)
    notes = ("worker w: QEMU 7.2.22, there 10.0.2", "failed before on a, b")
    assert run.judgement().notes == notes
    host = run.host()
    assert host
    assert (host.worker, host.kind) == ("w", ("7.2.22", "c"))
    sent(monkeypatch, home, cells=(cell(home, 2),))
    assert list(all_runs(WorkerCache(home).home))[-1].judgement().notes == ()


def test_a_guest_is_given_up_when_its_submitter_has_cancelled(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run(monkeypatch, Outcome.PASS)
    cancelled = type("State", (), {"tasks": {"k": type("T", (), {"state": "cancelled"})}})
    monkeypatch.setattr(Plain, "state", cancelled)
    assert "given up" in sent(monkeypatch, home, cells=(cell(home, 1),)).failure
    assert not list(all_runs(WorkerCache(home).home))


def test_what_a_worker_says_of_its_progress_can_be_sent(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask packs messages strictly: a subclass of str ends the connection."""
    plain, events = Plain(home), []
    monkeypatch.setattr(
        plain, "log_event", lambda _topic, event: events.append(event), raising=False
    )
    monkeypatch.setattr(worker_module, "get_worker", lambda: plain)
    worker_module.Task().tell("build-1", Counted(1, 9, "mm/a.o"))
    assert [type(one["state"]) for one in events] == [str]
    assert msgpack.unpackb(msgpack.packb(events[0], strict_types=True))["state"] == "1 of 9, mm/a.o"


def test_a_worker_keeps_its_last_runs_and_leaves_the_user_s_alone(home: Home) -> None:
    cache = WorkerCache(home)
    for top in (home, cache.home):
        for number in range(KEPT_RUNS + 3):
            RunDir(top.runs / f"r{number:03}").folder.mkdir(parents=True)
            (top.runs / f"r{number:03}" / "outcome.json").write_text("{}")
    cache.forget_runs()
    assert [run.id for run in all_runs(cache.home)] == [f"r{n:03}" for n in range(3, KEPT_RUNS + 3)]
    assert len(list(all_runs(home))) == KEPT_RUNS + 3


def test_the_cache_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = WorkerCache(Home(tmp_path / "cache", tmp_path / "data", limit=3_500_000))
    data = {f"images/{name}": name.encode() * 1_000_000 for name in "abcd"}
    for name in ("images/a", "images/b", "images/c"):
        cache.keep(name, digest(data[name]), data[name])
        time.sleep(0.02)  # more than a file system's clock takes to go on
    files = {"images/b": digest(data["images/b"])}
    with using([place_of(cache.home, "images/a")]):
        pass  # used again: b is the oldest now
    with cache.with_files(files, "") as missing:  # and in use: c is what can go
        assert missing == ()
        cache.keep("images/d", digest(data["images/d"]), data["images/d"])
    there = sorted(path.name for path in cache.home.images.iterdir())
    assert there == ["a", "b", "d"]


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "link"])
def test_only_files_below_the_folder_are_unpacked(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member, io.BytesIO())
    data = buffer.getvalue()
    with pytest.raises(InfraError, match="not unpacked"):
        unpack_files("run r", digest(data), data, tmp_path / "in")
    assert not list(tmp_path.rglob("*"))


def test_what_arrives_damaged_is_not_kept(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="images/a"):
        keep_object(home, "images/a", digest(b"a"), b"b")
    assert not has_object(home, "images/a", digest(b"a"))
    run = RunDir(home.runs / "r")
    run.folder.mkdir(parents=True)
    (run.folder / "outcome.json").write_text("{}")
    data, other = pack_files(run.folder), Home(tmp_path / "other", tmp_path / "other")
    whole = ("r", digest(data), data)
    for bad in (("q", digest(b"else"), data), ("../r", digest(data), data)):
        with pytest.raises(InfraError, match="damaged"):
            unpack_runs(other, (whole, bad))
    assert not list(all_runs(other)), "a pair arrives as a whole"
    (made,) = unpack_runs(other, (whole,))
    assert (made.folder / "outcome.json").read_text() == "{}"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "images/../../x", "runs/x", "images/a/b/c", "images/..", ""]
)
def test_a_name_cannot_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(InfraError, match="not the name of an object"):
        place_of(Home(tmp_path, tmp_path), name)


def test_a_cell_survives_its_shipment(home: Home) -> None:
    whole = Shipment(version="1", cells=(cell(home, 1),), files={"images/i": "0"}, sender=HERE)
    read: Table = Shipment.model_validate_json(whole.model_dump_json())
    assert read == whole


def test_this_host_is_of_the_kind_of_its_qemu_and_cpu() -> None:
    one = this_host("a", "1")
    assert one.kind == this_host("b", "2").kind
    assert not one.differences(this_host("b", "2"))
    assert one.model_copy(update={"cpu": "other"}).kind != one.kind


def test_only_loopback_goes_without_tls() -> None:
    assert Address("tcp://127.0.0.1:8786").security() is None
    assert Address("tcp://[::1]:8786").security() is None
    for url in ("tcp://10.0.0.7:8786", "tcp://host:8786", "tls://0.0.0.0:1"):
        with pytest.raises(UserError, match="not encrypted"):
            Address(url).security()
    with pytest.raises(UserError, match="three files"):
        Address("tls://host:8786", ca="ca.pem").security()
    with pytest.raises(UserError, match="three files"):
        Address("tls://127.0.0.1:8786").security()
    with pytest.raises(UserError, match="give a tls:// address"):
        Address("tcp://host:8786", "ca", "cert", "key").security()
