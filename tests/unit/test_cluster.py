# SPDX-License-Identifier: GPL-2.0-only
"""Cells on a Dask cluster of processes: what comes back, and what becomes of what dies."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Security

from clusters import GOOD, TOP, Cluster, cell, guests, wait_for
from made_session import quiet_step
from mmrace.errors import InfraError
from mmrace.executors.address import Address
from mmrace.executors.cluster import ClusterExecutor
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.outcome import Outcome
from mmrace.runs.record import RunDir, all_runs
from mmrace.searching.boots import HELD, CellBoots
from mmrace.windows.plan import Plan
from mmrace.windows.search import SearchPlan, Site

pytestmark = pytest.mark.whole


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    monkeypatch.setenv("PATH", made.env["PATH"])
    made.scheduler()
    yield made
    made.close()


def content(run: RunDir) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.folder.iterdir()}


def host(run: RunDir) -> str:
    name: str = json.loads((run.folder / "worker.json").read_text())["worker"]
    return name


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
        assert host(run) == "first"
        assert run.judgement().notes == ()
    assert len(list(all_runs(cluster.home))) == 2
    assert (there.kernels / pair[0].spec.kernel_id / "bzImage").is_file()
    assert [(row.worker, row.ended, row.title) for row in executor.board.rows()] == [
        ("first", 2, "")
    ]


def test_a_boot_of_a_search_is_a_cell_and_tells_as_much_from_a_worker(cluster: Cluster) -> None:
    there = cluster.worker("first")
    plan = Plan(search=SearchPlan((Site(0x1000, 0),), 1))
    boots = []
    for executor in (cluster.executor(), LocalExecutor(cluster.home, quiet_step)):
        boots.append(CellBoots(executor, cell(cluster.home, 1))(plan, 7, 3.0).end())
        executor.close()
    away, here = boots
    assert host(away.run) == "first"
    assert [path.name for path in there.programs.glob("director-*/*.so")]
    assert not (here.run.folder / "worker.json").exists()
    assert away.run.id != here.run.id
    for boot in boots:
        spec = boot.run.spec()
        assert (spec.seed, spec.options.seconds, spec.notes) == (7, 3.0, (HELD,))
        assert boot.judgement.outcome is Outcome.PASS
        assert boot.searched.counts.schedules == 0
        assert 0 < boot.armed <= boot.seconds + 1


def test_a_dead_worker_s_group_is_run_by_another_and_counts_once(cluster: Cluster) -> None:
    first = cluster.worker("first")
    executor = cluster.executor()
    waiting = executor.submit(lambda: (cell(cluster.home, 1, "sleep 6"),))
    wait_for(lambda: list(first.runs.glob(".*/spec.json")))
    other = cluster.worker("second")
    cluster.end("first")
    (run,) = waiting.result(timeout=120)
    executor.close()
    assert run.judgement().outcome is Outcome.PASS
    assert host(run) == "second"
    assert [one.id for one in all_runs(cluster.home)] == [run.id]
    assert content(run) == content(RunDir(other.runs / run.id))


def test_a_cell_that_ends_three_workers_is_infra_and_names_them(cluster: Cluster) -> None:
    executor_cells = (cell(cluster.home, 1, "sleep 60"),)
    homes = {"a": cluster.worker("a")}
    executor = cluster.executor()
    waiting = executor.submit(lambda: executor_cells)
    for name, later in (("a", "b"), ("b", "c"), ("c", "d")):
        wait_for(lambda name=name: list(homes[name].runs.glob(".*/spec.json")))
        homes[later] = cluster.worker(later)
        time.sleep(1)  # what it has begun is known by now
        cluster.end(name)
    with pytest.raises(InfraError, match=r"ended 3 workers: a, b, c; see their logs"):
        waiting.result(timeout=60)
    executor.close()
    assert not list(all_runs(cluster.home))
    wait_for(lambda: not guests(cluster.top), 30)


def test_a_worker_that_cannot_run_guests_does_not_keep_its_cells(cluster: Cluster) -> None:
    """Two hosts whose QEMU does not come up, then one that works."""
    notes: list[str] = []
    broken = cluster.top / "broken"
    broken.mkdir()
    program = broken / "qemu-system-x86_64"
    program.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo QEMU emulator version 10.0.2 || exit 1\n"
    )
    program.chmod(0o755)
    path = {"PATH": f"{broken}:{os.environ['PATH']}"}
    cluster.worker("bad", env=path)
    executor = cluster.executor(note=notes.append)
    alone = executor.submit(lambda: (cell(cluster.home, 1),)).result(timeout=60)
    cluster.worker("worse", env=path)
    cluster.worker("good")
    wait_for(lambda: len(executor._dispatch._addresses()) == 3)
    runs = [executor.submit(lambda n=n: (cell(cluster.home, n),)) for n in range(2, 8)]
    made = [one.result(timeout=60)[0] for one in runs]
    executor.close()
    assert alone[0].judgement().outcome is Outcome.INFRA
    assert [run.judgement().outcome for run in made] == [Outcome.PASS] * 6
    assert {host(run) for run in made} == {"good"}
    assert any("sent to another worker" in note for note in notes)
    assert "worker bad: QEMU 10.0.2, there 7.2.99" in alone[0].judgement().notes


def test_nobody_waits_for_a_guest_whose_submitter_is_gone(cluster: Cluster) -> None:
    there = cluster.worker("first")
    executor = cluster.executor()
    pause = "\n".join(f"channel # count turns {n}\nsleep 0.5" for n in range(60))
    executor.submit(lambda: (cell(cluster.home, 1, pause),))
    wait_for(lambda: guests(cluster.top))
    time.sleep(0.5)
    executor.close()
    wait_for(lambda: not guests(cluster.top), 10)
    assert not list(all_runs(there))


def test_a_group_that_nobody_needs_any_more_is_ended_and_its_worker_is_free(
    cluster: Cluster,
) -> None:
    there = cluster.worker("first")
    executor = cluster.executor()
    pause = "\n".join(f"channel # count turns {n}\nsleep 0.5" for n in range(120))
    dropped = [executor.submit(lambda n=n: (cell(cluster.home, n, pause),)) for n in (1, 2)]
    wait_for(lambda: guests(cluster.top))
    assert all(one.cancel() for one in dropped)
    begun = time.monotonic()
    (run,) = executor.submit(lambda: (cell(cluster.home, 3),)).result(timeout=60)
    assert time.monotonic() - begun < 20
    executor.close()
    assert [one.id for one in all_runs(cluster.home)] == [run.id]
    assert [one.id for one in all_runs(there)] == [run.id]


def test_the_second_user_s_first_group_is_not_behind_all_of_the_first_s(cluster: Cluster) -> None:
    cluster.worker("only")
    one, two = cluster.executor(), cluster.executor(home=other_home(cluster))
    ended: list[str] = []

    def submit(executor: object, user: str, numbers: range, home: Home) -> list[object]:
        made = [executor.submit(lambda n=n: (cell(home, n, "sleep 0.5"),)) for n in numbers]  # type: ignore[attr-defined]
        for future in made:
            future.add_done_callback(lambda _: ended.append(user))
        return made

    waiting = submit(one, "one", range(1, 7), cluster.home)
    wait_for(lambda: guests(cluster.top))
    waiting += submit(two, "two", range(11, 14), other_home(cluster))
    for future in waiting:
        future.result(timeout=60)  # type: ignore[attr-defined]
    one.close()
    two.close()
    assert sorted(ended) == ["one"] * 6 + ["two"] * 3
    assert ended.index("two") <= 2
    assert ended[-1] == "one"


def other_home(cluster: Cluster) -> Home:
    return Home(cluster.top / "other" / "cache", cluster.top / "other" / "data")


def test_a_worker_s_clock_is_said_once_and_changes_no_result(cluster: Cluster) -> None:
    ahead = cluster.top / "ahead"
    ahead.mkdir()
    (ahead / "sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() + 3600\n"
    )
    path = {"PYTHONPATH": f"{ahead}:{cluster.env['PYTHONPATH']}"}
    cluster.worker("early", env=path)
    notes: list[str] = []
    executor = cluster.executor(note=notes.append)
    made = [executor.submit(lambda n=n: (cell(cluster.home, n),)).result()[0] for n in (1, 2)]
    executor.close()
    assert [run.judgement().outcome for run in made] == [Outcome.PASS] * 2
    assert len(notes) == 1
    assert notes[0].startswith("worker early: its clock is 3")
    assert "ahead of this host's" in notes[0]
    assert all(run.vm().seconds < 60 for run in made)


def test_a_crash_is_the_same_crash_on_a_worker(cluster: Cluster) -> None:
    cluster.worker("first")
    crash = "console kernel BUG at mm/it.c:7!\nsleep 0.1"
    executor = cluster.executor()
    (run,) = executor.submit(lambda: (cell(cluster.home, 1, crash, GOOD),)).result()
    executor.close()
    assert run.judgement().outcome is Outcome.CRASH
    assert run.judgement().signature_matched


def test_a_cluster_under_tls_runs_cells_and_lets_nobody_else_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="pip install 'mmrace[sftp]'")  # makes certificates
    made = Security.temporary()
    files = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    for name, text in files.items():
        (tmp_path / name).write_text(str(text))
    ca, cert, key = (str(tmp_path / name) for name in files)
    cluster = Cluster(tmp_path)
    monkeypatch.setenv("PATH", cluster.env["PATH"])
    try:
        cluster.scheduler(
            "--protocol", "tls", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key
        )
        assert cluster.url.startswith("tls://")
        cluster.worker("first", "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key)
        address = Address(cluster.url, ca, cert, key)
        executor = ClusterExecutor(cluster.home, quiet_step, address)
        (run,) = executor.submit(lambda: (cell(cluster.home, 1),)).result(timeout=60)
        executor.close()
        assert run.judgement().outcome is Outcome.PASS
        monkeypatch.setattr("mmrace.executors.cluster.WAIT", 2.0)
        plain = Address(cluster.url.replace("tls", "tcp"))
        with pytest.raises(InfraError, match=r"^no workers at [^\n]*mmrace worker"):
            ClusterExecutor(cluster.home, quiet_step, plain)
    finally:
        cluster.close()


def test_five_kills_of_a_cluster_lose_nothing_and_count_nothing_twice() -> None:
    """Of workers, the scheduler and the submitter; `make test-slow` has a hundred."""
    env = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}
    words = [sys.executable, "-m", "fakes.clusterkills", "5", str(secrets.randbelow(2**31))]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    assert done.stdout.startswith("5 kills in ")
