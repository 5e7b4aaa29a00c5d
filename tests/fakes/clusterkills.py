# SPDX-License-Identifier: GPL-2.0-only
"""Kills parts of a cluster at random moments and looks at what is left: COUNT SEED.

The campaign is that of ``kills.py``, on two workers with homes of their own; a kill is of a worker,
of the scheduler or of the submitter. What died is started again, the submitter by the same command.
After each kill: every run that had arrived is still there and whole. At a campaign's end: its
verdict is FIXED by ten runs, each counted once, among them each whole pair that was there at any
kill; and no guest is left.
"""

import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from distributed.cli import dask_scheduler

from fakes.kills import PAIRS, Lab
from mmrace.cli import cli
from mmrace.executors import cluster, worker
from mmrace.outcome import Outcome
from mmrace.runs.record import RunDir

PRELOADED = (cluster, worker, cli)
WORKERS = ("a", "b")
UP = 60.0  # seconds for a part to come up


@dataclass
class ClusterLab(Lab):
    """A scheduler, two workers and a campaign, each a process."""

    port: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    pairs: dict[str, set[str]] = field(default_factory=dict)  # by index: both runs, once there

    @property
    def words(self) -> list[str]:
        return [*super().words, "--on", self.url] if self.port else super().words

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def fork(self, name: str, call: object, home: Path) -> None:
        """Start a part as a process that has imported all it needs."""
        pid = os.fork()
        if pid:
            self.parts[name] = pid
            return
        os.setsid()
        log = os.open(self.top / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["MMRACE_HOME"] = str(home)
        code = 70
        try:
            call()  # type: ignore[operator]
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)

    def up(self) -> None:
        """Start whatever is not there."""
        self.reap()
        if "scheduler" not in self.parts:
            for name in WORKERS:  # they end with the scheduler that they knew
                if name in self.parts:
                    self.end(name)
            words = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
            self.fork("scheduler", lambda: dask_scheduler.main(words), self.top / "scheduler")
            self.listening()
        for name in WORKERS:
            if name not in self.parts:
                words = ["worker", self.url, "--slots", "1", "--name", name]
                call = lambda words=words: cli.main(words, standalone_mode=False)  # noqa: E731
                self.fork(name, call, self.top / name)
        if "submitter" not in self.parts:
            self.parts["submitter"] = self.start(self.words)

    def listening(self) -> None:
        end = time.monotonic() + UP
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, (self.top / "scheduler.log").read_text()
                time.sleep(0.05)

    def reap(self) -> dict[str, int]:
        """Exit codes of parts that have ended by themselves."""
        ended = {}
        for name, pid in tuple(self.parts.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                ended[name] = os.waitstatus_to_exitcode(status)
                del self.parts[name]
        return ended

    def end(self, name: str) -> None:
        """SIGKILL."""
        pid = self.parts.pop(name)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def campaign(self, chance: random.Random, most: int) -> None:
        """One campaign, from its first command to its verdict, with kills up to ``most``."""
        self.begin("warm")
        self.pairs = {}
        while True:
            self.up()
            # Half of the kills wait for a run to arrive: most of the time none is under way.
            begun_runs = len(self.before) + chance.choice((0, 0, 1, 2))
            after = (
                chance.uniform(0, 0.5) if begun_runs > len(self.before) else chance.uniform(0, 2)
            )
            end = time.monotonic() + after if self.kills < most else float("inf")
            while time.monotonic() < end:
                ended = self.reap()
                if "submitter" in ended:
                    break
                if self.kills < most and self.arrived() < begun_runs:
                    end = time.monotonic() + after
                time.sleep(0.005)
            else:
                name = chance.choice(("submitter", "scheduler", *WORKERS))
                if name in self.parts:
                    self.end(name)
                    self.kills += 1
                    self.killed["worker" if name in WORKERS else name] += 1
                    self.resumed += self.arrived() > 0
                    if name == "submitter" and self.has_result():
                        self.look()
                        self.finish()  # the kill came after the result
                        return
                self.look()
                continue
            code = ended["submitter"]
            self.look()
            if code != 69:  # its scheduler was killed
                assert code == 0, (self.top / "err").read_text()
                self.finish()
                return

    def arrived(self) -> int:
        return len(list(self.home.runs.glob("[!.]*")))

    def look(self) -> None:
        """All that has to hold at any moment."""
        now = self.runs()
        assert self.before <= now, f"lost: {self.before - now}"
        self.before = now
        made = [RunDir(self.home.runs / one) for one in sorted(now)]
        valid = [run for run in made if run.judgement().outcome is not Outcome.INFRA]
        latest = {run.spec().slot: run.id for run in valid}
        for slot, one in latest.items():
            index, arm = slot.rsplit("-", 2)[1:]
            other = latest.get(slot.removesuffix(arm) + "after")
            if arm == "before" and other:
                self.pairs.setdefault(index, {one, other})

    def finish(self) -> None:
        """The verdict is by each pair once, those that were whole at a kill among them."""
        document = json.loads((self.top / "out").read_text())
        counted = [run["id"] for run in document["runs"]]
        assert document["verdict"] == "FIXED"
        assert len(counted) == len(set(counted)) == 2 * PAIRS, counted
        assert set(counted) <= self.runs(), "counted, and not there"
        slots = [RunDir(self.home.runs / one).spec().slot for one in counted]
        assert len(set(slots)) == len(slots), "a place was counted twice"
        assert all(run["worker"] in WORKERS for run in document["runs"])
        self.campaigns += 1
        for index in map(str, range(PAIRS)):
            whole = self.pairs.get(index, set())
            here = [(RunDir(self.home.runs / one).spec().slot, one) for one in sorted(self.runs())]
            assert whole <= set(counted), f"{whole} was there and not counted: {counted}, {here}"
        self.no_process_left()

    def close(self) -> None:
        for name in tuple(self.parts):
            self.end(name)


def main(count: int, seed: int) -> None:
    """Kill so many times; prints what was done."""
    chance = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="kills-") as top:
        lab = ClusterLab(Path(top))
        lab.prepare()
        lab.warm()
        with socket.create_server(("127.0.0.1", 0)) as free:
            lab.port = free.getsockname()[1]
        started = time.monotonic()
        try:
            while lab.kills < count:
                lab.campaign(chance, count)
                print(f"{lab.kills} kills, {lab.resumed} with runs made", file=sys.stderr)
        finally:
            lab.close()
        seconds = time.monotonic() - started
    who = ", ".join(f"{number} of a {name}" for name, number in sorted(lab.killed.items()))
    made = f"{lab.resumed} of them with runs made"
    print(f"{lab.kills} kills in {lab.campaigns} campaigns, {seconds:.0f} s: {who}; {made}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
