# SPDX-License-Identifier: GPL-2.0-only
"""Kills mmrace at random moments of a campaign, and looks at what is left: kills.py COUNT SEED.

The campaign is ``mmrace verify`` as a user types it, on a toy kernel that is really built, in a
QEMU that boots nothing. After each kill: every finished run is still there and whole, no process is
left, no lock is held, and the next command works and leaves nothing of the dead one. The campaign
is then gone on with; at its end each run was counted once.
"""

import fcntl
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fakes.kerneltree import commit_all, git
from mmrace.cli import cli, comparing, records, sources
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.runs.record import RunDir
from mmrace.sources.tree import add_tree

FAKES = Path(__file__).parent
PRELOADED = (records, sources, comparing)
ALPHA = "0.05"
FEW = 20  # kills that do not pay for a warm home
PAIRS = 5  # that only "before" fails: 2^-5 < ALPHA
RACE = """\
name = "toy"
title = "toy"
summary = "toy"
machine = "numa2"
[[signature]]
output = "mmrace: fail lost"
[[workload]]
name = "storm"
summary = "storm"
source = "stressor"
argv = ["storm"]
sources = ["storm.c"]
silence = 5
exercised = { turns = 3 }
invariants = []
"""
GUEST = """\
deaf
console booting
channel KTAP version 1
channel # release 6.1.192
channel # start storm
channel # out mmrace: race
channel # out mmrace: count turns 4
sleep 0.05
search 7
{end}
channel 1..1
channel # end
poweroff
"""
FAILS = "channel # out mmrace: fail lost a page\nchannel not ok 1 - storm # exit=1 seconds=0.10"
HOLDS = "channel ok 1 - storm # exit=0 seconds=0.10"


@dataclass
class Lab:
    """A template of a home, and the campaign that is being killed."""

    top: Path
    kills: int = 0
    campaigns: int = 0
    resumed: int = 0
    moments: tuple[float, ...] = (1.0, 2.5)  # seconds before which kills come
    before: set[str] = field(default_factory=set)
    where: dict[str, int] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.top / "now" / "cache", self.top / "now" / "data")

    @property
    def words(self) -> list[str]:
        fix = str(self.top / "fix.patch")
        words = ["--json", "verify", "--race", "toy", "--tree", "toy", "--before", "none"]
        words += ["--after", fix, "--alpha", ALPHA, "--accel", "tcg", "--for", "1s"]
        return [*words, "--no-attack"]  # the toy kernel has nothing to steer by

    def prepare(self) -> None:
        repo = shutil.copytree(FAKES / "linux", self.top / "repo")
        makefile = (repo / "Makefile").read_text()
        made = "@cp $< $(O)/arch/x86/boot/bzImage"
        assert made in makefile
        # The "kernel" is what the fake QEMU plays.
        (repo / "Makefile").write_text(makefile.replace(made, made.replace("$<", "script")))
        (repo / "script").write_text(GUEST.format(end=FAILS))
        git(repo, "init", "-q", "-b", "main")
        commit_all(repo, "toy")
        (repo / "script").write_text(GUEST.format(end=HOLDS))
        commit_all(repo, "toy: hold")
        patch = git(repo, "format-patch", "--stdout", "-1") + "\n"
        (self.top / "fix.patch").write_text(patch)
        cold = Home(self.top / "cold" / "cache", self.top / "cold" / "data")
        add_tree(cold, "toy", str(repo), "HEAD~1", lambda _text: None)
        race = cold.races / "toy"
        race.mkdir(parents=True)
        (race / "race.toml").write_text(RACE)
        (race / "storm.c").write_text("int main(void)\n{\n\treturn 0;\n}\n")
        programs = self.top / "bin"
        programs.mkdir()
        (programs / "qemu-system-x86_64").symlink_to(FAKES / "qemu.py")
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        os.environ["MMRACE_HOME"] = str(self.top / "now")
        os.chdir(self.top)

    def warm(self) -> str:
        """Make a template that has its kernels and programs, by a campaign that nobody kills."""
        self.begin("cold")
        assert self.run(self.words) == 0, (self.top / "err").read_text()
        warm = self.top / "warm"
        shutil.copytree(self.top / "cold", warm, symlinks=True)
        shutil.copytree(self.top / "now/cache", warm / "cache", symlinks=True, dirs_exist_ok=True)
        self.campaigns = 0
        return warm.name

    def kinds(self, count: int) -> tuple[str, ...]:
        """Homes in which campaigns begin, for so many kills."""
        return ("cold", self.warm()) if count > FEW else ("cold",)

    def begin(self, kind: str) -> None:
        """Begin a campaign on a home that has its kernels and programs, or not."""
        shutil.rmtree(self.top / "now", ignore_errors=True)
        shutil.copytree(self.top / kind, self.top / "now", symlinks=True)
        self.campaigns += 1
        self.before = set()

    def start(self, words: list[str]) -> int:
        """Start a command as a process that has imported all it needs; its output is a file."""
        pid = os.fork()
        if pid:
            return pid
        os.setsid()
        out = os.open(self.top / "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        err = os.open(self.top / "err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(err, 2)
        code = 70
        try:
            code = cli.main(words, standalone_mode=False) or 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            code = error.exit_code if isinstance(error, MmraceError) else code
        finally:
            os._exit(code)

    def run(self, words: list[str]) -> int:
        """Run a command to its end; returns its exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.start(words), 0)[1])

    def round(self, after: float) -> bool:
        """Start the campaign and kill it after some seconds; False when it was done before."""
        pid = self.start(self.words)
        end = time.monotonic() + after
        while time.monotonic() < end:
            end = end if self.ripe() else time.monotonic() + after
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.finished(os.waitstatus_to_exitcode(status))
                return False
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.kills += 1
        ended = self.has_result()
        if ended:  # the kill came after the result
            self.counted_once()
        self.inspect()
        return not ended

    def ripe(self) -> bool:
        """Whether seconds are counted already."""
        return True

    def has_result(self) -> bool:
        """Whether the result was printed, so that the same command begins a new campaign."""
        states = (self.home.data / "campaigns").glob("*.json")
        return any(not json.loads(path.read_bytes())["open"] for path in states)

    def inspect(self) -> None:
        """All that has to hold after a kill."""
        self.no_process_left()
        self.no_lock_left()
        now = self.runs()
        assert self.before <= now, f"lost: {self.before - now}"
        self.before = now
        stage = self.stage()
        self.where[stage] = self.where.get(stage, 0) + 1
        code = self.run(["--json", "runs", "--last", "1000"])
        assert code == 0, (self.top / "err").read_text()
        listed = json.loads((self.top / "out").read_text())["runs"]
        assert {run["id"] for run in listed} == now
        assert not list((self.top / "now").rglob(".tmp-*")), "left over"
        assert not list(self.home.builds.glob("*-outside")), "left over"

    def stage(self) -> str:
        """How far the campaign was."""
        if self.before:
            self.resumed += 1
            return "running"
        built = len(list(self.home.kernels.glob("[0-9a-f]*/kernel.json")))
        return f"{built} of 2 kernels built"

    def runs(self) -> set[str]:
        """Ids of all runs; each has to be whole."""
        found = set()
        for folder in self.home.runs.glob("[!.]*"):
            run = RunDir(folder)
            run.spec(), run.vm(), run.judgement(), run.console(), run.channel()
            found.add(run.id)
        return found

    def no_lock_left(self) -> None:
        """All locks are free, at the latest when what the dead one was about to start has begun."""
        end = time.monotonic() + 5
        for lock in self.home.locks.glob("*"):
            with lock.open() as file:
                while True:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        assert time.monotonic() < end, f"held: {lock.name}"
                        time.sleep(0.01)

    def no_process_left(self) -> None:
        """Nothing that names our home may live on for long: git ends what it has begun."""
        end = time.monotonic() + 5
        while left := self.processes():
            assert time.monotonic() < end, f"left: {left}"
            time.sleep(0.01)

    def processes(self) -> list[str]:
        mark = str(self.top)
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            if int(path.name) == os.getpid():
                continue
            try:
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in line:
                found.append(line)
        return found

    def finished(self, code: int) -> None:
        """The campaign has come to its end: the kernel held, and each run counted once."""
        assert code == 0, (self.top / "err").read_text()
        self.counted_once()
        self.no_process_left()

    def counted_once(self) -> None:
        """What the campaign told is FIXED, by each run that there is, once."""
        document = json.loads((self.top / "out").read_text())
        counted = [run["id"] for run in document["runs"]]
        assert document["verdict"] == "FIXED"
        assert len(counted) == len(set(counted)) == 2 * PAIRS, counted
        assert set(counted) == self.runs(), "a run was lost or not counted"
        assert document["before"]["failures"] == PAIRS
        assert document["after"]["failures"] == 0


def main(count: int, seed: int, make: Callable[[Path], Lab] = Lab) -> None:
    """Kill so many times; prints what was done."""
    chance = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="kills-") as top:
        lab = make(Path(top))
        lab.prepare()
        kinds = lab.kinds(count)
        started = time.monotonic()
        lab.begin(kinds[0])
        while lab.kills < count:
            # Kernels are built in the first second or two of a campaign on a cold home.
            if not lab.round(chance.uniform(0, chance.choice(lab.moments))):
                lab.begin(chance.choice(kinds))
        while lab.round(600):
            pass
        seconds = time.monotonic() - started
    places = ", ".join(f"{number} with {where}" for where, number in sorted(lab.where.items()))
    print(f"{lab.kills} kills in {lab.campaigns} campaigns, {seconds:.0f} s: {places}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
