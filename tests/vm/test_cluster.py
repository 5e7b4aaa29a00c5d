# SPDX-License-Identifier: GPL-2.0-only
"""Real guests on two workers of a cluster, with homes of their own, beside the same ones here."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from clusters import Cluster, guests, wait_for
from mmrace.home import Home
from mmrace.runs.record import all_runs
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


def arrived():
    """Ids of all finished runs of the submitter's home."""
    return {run.id for run in all_runs(Home.from_environment(os.environ))}


class Campaign:
    """A command of five pairs, begun again when its process or its scheduler is killed."""

    def __init__(self, cluster, folder, seed):
        words = ["verify", "--race", "khugepaged-retract", "--tree", TREE, "--before", "vulnerable"]
        words += ["--after", "fixes", "--no-attack", "--alpha", "0.05", "--for", "3s"]
        words += ["--seed", str(seed), "--on", cluster.url]
        self.argv = [sys.executable, "-m", "mmrace", "--json", *words]
        self.cluster = cluster
        self.out, self.messages = folder / f"{seed}.json", folder / f"{seed}.txt"
        self.process = None

    def go_on(self, seconds):
        """Let it run for so long at most; whether it has ended of itself."""
        up(self.cluster)
        if self.process is None:
            with self.out.open("w") as stdout, self.messages.open("a") as stderr:
                self.process = subprocess.Popen(self.argv, stdout=stdout, stderr=stderr)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.wait(seconds) != 69:  # the code when its scheduler is gone
                return True
            self.process = None
        return False

    def kill(self, name):
        """Kill the submitter, the scheduler or a worker."""
        if name != "submitter":
            self.cluster.end(name)
        elif self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def counted(self):
        """Ids of the runs that its answer counts."""
        return [run["id"] for run in json.loads(self.out.read_text())["runs"]]


def test_ten_kills_with_real_guests_lose_nothing_and_count_nothing_twice(mmrace, cluster, tmp_path):
    """Of workers, the scheduler and the submitter, over as many campaigns as that takes."""
    chance = secrets.SystemRandom()
    mmrace("build", "--tree", TREE, "--series", "vulnerable")
    mmrace("build", "--tree", TREE, "--series", "vulnerable", "--series", "fixes")
    known, kills, campaigns = arrived(), [], 0
    while len(kills) < KILLS:
        campaign, ended = Campaign(cluster, tmp_path, chance.randrange(2**31)), False
        campaigns += 1
        while not ended:
            left = KILLS - len(kills)
            ended = campaign.go_on(chance.uniform(3, 15) if left else 600)
            assert known <= (known := arrived())
            if not ended and left:
                kills.append(chance.choice(("submitter", "scheduler", "one", "two")))
                campaign.kill(kills[-1])
        counted = campaign.counted()
        assert len(counted) == len(set(counted)) >= 2, campaign.messages.read_text()
        assert set(counted) <= known
        assert len(counted) % 2 == 0
    print(f"{len(kills)} kills in {campaigns} campaigns: {dict(Counter(kills))}")
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
