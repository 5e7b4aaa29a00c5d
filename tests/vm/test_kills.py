# SPDX-License-Identifier: GPL-2.0-only
"""Kills at random moments: 200 with a toy kernel and a fake QEMU, 10 with the real ones."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
RACE = "khugepaged-retract"
pytestmark = pytest.mark.slow


def test_two_hundred_kills_lose_nothing_and_count_nothing_twice():
    env = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}
    words = [sys.executable, "-m", "fakes.kills", "200", str(secrets.randbelow(2**31))]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    assert re.match(r"200 kills in \d+ campaigns", done.stdout)
    print(done.stdout)


def test_fifty_kills_of_attacks_lose_nothing_and_count_nothing_twice():
    env = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}
    words = [sys.executable, "-m", "fakes.attackkills", "50", str(secrets.randbelow(2**31))]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    assert re.match(r"50 kills in \d+ campaigns", done.stdout)
    print(done.stdout)


def qemus():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(Path(word.decode()).name == "qemu-system-x86_64" for word in words[:8] if word):
            found.append(path.parent.name)
    return set(found)


def test_ten_kills_of_real_runs(mmrace):
    """A campaign of five pairs, killed ten times, ends with ten runs."""
    chance = secrets.SystemRandom()
    words = ["verify", "--race", RACE, "--tree", "debian:6.1", "--before", "vulnerable"]
    words += ["--after", "fixes", "--no-attack", "--alpha", "0.05", "--for", "3s", "--seed"]
    words.append(str(chance.randrange(2**31)))
    mmrace("build", "--tree", "debian:6.1", "--series", "vulnerable")
    others = qemus()
    kills, code = 0, None
    known = {run["id"] for run in mmrace("runs", "--last", "100000").document["runs"]}
    while code is None:
        process = subprocess.Popen(
            [sys.executable, "-m", "mmrace", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if kills == 10:
            out, err = process.communicate(timeout=1800)
            code = process.returncode
            continue
        time.sleep(chance.uniform(1, 20))
        if process.poll() is not None:
            out, err = process.communicate()
            code = process.returncode
            continue
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        end = time.monotonic() + 5
        while qemus() - others:
            assert time.monotonic() < end, "a QEMU is left"
            time.sleep(0.05)
        listed = mmrace("runs", "--last", "100000")
        assert listed.code == 0
        now = {run["id"] for run in listed.document["runs"]}
        assert known <= now
    print(f"{kills} kills of a real campaign")
    document = json.loads(out)
    counted = [run["id"] for run in document["runs"]]
    assert len(counted) == len(set(counted)) >= 2, err
    now = {run["id"] for run in mmrace("runs", "--last", "100000").document["runs"]}
    assert set(counted) <= now
    assert code in (0, 1, 3)


def test_a_hundred_kills_of_a_cluster_lose_nothing_and_count_nothing_twice():
    env = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}
    words = [sys.executable, "-m", "fakes.clusterkills", "100", str(secrets.randbelow(2**31))]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    assert re.match(r"100 kills in \d+ campaigns", done.stdout)
    print(done.stdout)
