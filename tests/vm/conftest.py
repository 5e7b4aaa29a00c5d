# SPDX-License-Identifier: GPL-2.0-only
"""Tests on real kernels, through the command line as a user has it.

They use the user's own mmrace home, so that kernels survive from one `make test` to the next.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

TREE = "debian:6.1"


@dataclass(frozen=True)
class Ended:
    """What a command answered: exit code, its JSON document, what it told people."""

    code: int
    document: dict
    text: str

    def run(self, workload):
        """The one run of a workload."""
        found = [run for run in self.document["runs"] if run["workload"] == workload]
        assert len(found) == 1, self.text
        return found[0]


@pytest.fixture(scope="session")
def mmrace():
    """Call mmrace with arguments; returns what it said."""

    def call(*argv, timeout=1800):
        done = subprocess.run(
            [sys.executable, "-m", "mmrace", "--json", *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        document = json.loads(done.stdout) if done.stdout else {}
        return Ended(done.returncode, document, done.stderr)

    return call


@pytest.fixture(scope="session")
def before(mmrace):
    """Run a race on Debian's 6.1 with the bugs put back."""

    def call(race, *argv):
        return mmrace("run", "--race", race, "--tree", TREE, "--series", "vulnerable", *argv)

    return call


@pytest.fixture(scope="session")
def after(mmrace):
    """Run a race on the same kernel with the fixes on top."""

    def call(race, *argv):
        words = ("--tree", TREE, "--series", "vulnerable", "--series", "fixes")
        return mmrace("run", "--race", race, *words, *argv)

    return call


@pytest.fixture(scope="session")
def ltp(mmrace):
    """Name of an LTP source, or a skip that says so by name."""
    trees = mmrace("tree", "list").document["trees"]
    for tree in trees:
        if tree["kind"] == "ltp":
            return tree["name"]
    return pytest.skip("LTP absent: no tree of kind ltp; mmrace tree add ltp SOURCE")
