# SPDX-License-Identifier: GPL-2.0-only
"""Real guests on two workers of a cluster, with homes of their own, beside the same ones here."""

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusters import Cluster, guests, wait_for
from mmrace.home import Home
from vm.conftest import TREE
from vm.planted import plant

pytestmark = pytest.mark.slow

RACES = ("hugetlb-uffd", "khugepaged-retract", "hugetlb-anon-migration", "exec-stack-migration")
KILLS = 10


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed", reason="pip install 'mmrace[cluster]'")
    made = Cluster(tmp_path, real=True)
    made.scheduler()
    for name in ("one", "two"):
        made.worker(name)
    yield made
    made.close()


def there(cluster, run):
    """The run directory as its worker had it."""
    found = [cluster.top / name / "data" / "worker" / "runs" / run for name in ("one", "two")]
    return next(path for path in found if path.is_dir())


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def test_a_matrix_of_eight_cells_is_the_same_on_two_workers(mmrace, cluster):
    words = ["matrix", "--tree", TREE, "--series", "vulnerable", "--series", "vulnerable+fixes"]
    words += [word for race in RACES for word in ("--race", race)]
    words += ["--for", "10s", "--seed", "1"]
    here, away = mmrace(*words, "--jobs", "1"), mmrace(*words, "--on", cluster.url)
    assert here.code == away.code, away.text
    outcomes = [
        {(cell["race"], *cell["series"]): (cell["outcome"], len(cell["runs"])) for cell in cells}
        for cells in (here.document["cells"], away.document["cells"])
    ]
    assert len(outcomes[0]) == 8
    assert outcomes[0] == outcomes[1]
    runs = [run for cell in away.document["cells"] for run in cell["runs"]]
    assert {run["worker"] for run in runs} == {"one", "two"}
    for run in runs:
        assert content(run["run_dir"]) == content(there(cluster, run["id"]))


def test_a_hunt_finds_its_race_on_two_workers(mmrace, cluster, tmp_path):
    words = ("hunt", "--race", "hugetlb-uffd", "--tree", TREE, "--series", "vulnerable")
    out = ("--out", str(tmp_path / "w.toml"))
    done = mmrace(*words, "--for", "4m", "--seed", "1", "--on", cluster.url, *out)
    assert done.code in (0, 3), done.text  # proven, or found and not proven on a busy host
    tried = done.document["tried"]
    assert tried["failures"] >= 1
    assert tried["schedules"] > 20
    assert len(list((cluster.top / "one/data/worker/runs").iterdir())) > 1
    assert len(list((cluster.top / "two/data/worker/runs").iterdir())) > 1


@pytest.mark.parametrize("build_on", ["here", "workers"])
def test_a_bisection_on_two_workers_names_the_culprit(mmrace, cluster, tmp_path, build_on):
    here = Home.from_environment({**cluster.env})
    planted = plant(tmp_path / "planted", here)
    race = "hugetlb-anon-migration"
    words = ("bisect", "--race", race, "--tree", str(planted.path), "--for", "10s")
    ends = ("--good", planted.first, "--bad", planted.last)
    done = mmrace(*words, *ends, "--on", cluster.url, "--build-on", build_on, timeout=7200)
    assert done.document["culprit"] == planted.culprits[race], done.text
    assert done.document["confirmed"]
    built = any((cluster.top / name / "cache" / "benches").is_dir() for name in ("one", "two"))
    assert built is (build_on == "workers")


def test_ten_kills_with_real_guests_lose_nothing_and_count_nothing_twice(mmrace, cluster, tmp_path):
    """Of workers, the scheduler and the submitter, over one campaign of five pairs."""
    chance = secrets.SystemRandom()
    words = ["verify", "--race", "khugepaged-retract", "--tree", TREE, "--before", "vulnerable"]
    words += ["--after", "fixes", "--no-attack", "--alpha", "0.05", "--for", "3s", "--seed"]
    words += [str(chance.randrange(2**31)), "--on", cluster.url]
    mmrace("build", "--tree", TREE, "--series", "vulnerable")

    def arrived():
        return {run["id"] for run in mmrace("runs", "--last", "100000").document["runs"]}

    known, kills, command = arrived(), 0, None
    out, told_file = tmp_path / "out", tmp_path / "told"
    while True:
        up(cluster)
        if command is None:
            argv = [sys.executable, "-m", "mmrace", "--json", *words]
            with out.open("w") as stdout, told_file.open("a") as stderr:
                command = subprocess.Popen(argv, stdout=stdout, stderr=stderr)
        end = time.monotonic() + chance.uniform(5, 30)
        while command.poll() is None and (kills == KILLS or time.monotonic() < end):
            time.sleep(0.1)
        now = arrived()
        assert known <= now
        known = now
        if (code := command.poll()) is None:
            name = chance.choice(("submitter", "scheduler", "one", "two"))
            kills += 1
            if name != "submitter":
                cluster.end(name)
                continue
            command.kill()
            command.wait()
        command = None
        if code not in (None, 69):  # its scheduler was killed
            break
    print(f"{kills} kills")
    document = json.loads(out.read_text())
    counted = [run["id"] for run in document["runs"]]
    assert len(counted) == len(set(counted)) >= 2, told_file.read_text()
    assert set(counted) <= arrived()
    assert len(counted) % 2 == 0
    cluster.close()
    wait_for(lambda: not guests(cluster.top), 60)


def up(cluster):
    """Start what is not there; workers end with their scheduler."""
    ended = [name for name, process in cluster.processes.items() if process.poll() is not None]
    for name in ended:
        del cluster.processes[name]
    if "scheduler" not in cluster.processes:
        for name in tuple(cluster.processes):
            cluster.end(name)
        cluster.scheduler()
    for name in ("one", "two"):
        if name not in cluster.processes:
            cluster.worker(name)
