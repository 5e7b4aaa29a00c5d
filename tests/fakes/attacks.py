# SPDX-License-Identifier: GPL-2.0-only
"""Attacks whose boots are made runs: nothing is planned, nothing boots."""

import itertools
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from made_runs import BUG, FAILED, PASSED, made_run
from made_session import made_session, quiet_step
from mmrace.ci import checks
from mmrace.definitions.race import load_race
from mmrace.errors import NotHereError
from mmrace.executors.executor import UnderWay
from mmrace.executors.local import LocalExecutor
from mmrace.experiments import attacked as attacked_module
from mmrace.experiments import attempts as attempting
from mmrace.experiments import boots as booting
from mmrace.experiments import proving
from mmrace.experiments import verdict as deciding
from mmrace.experiments.attack import Attack
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.attempts import FREE, SEARCH, WINDOWS, Attempt, Berth
from mmrace.experiments.session import Session
from mmrace.home import Home
from mmrace.hunting.proof import Proof
from mmrace.outcome import VmEnd
from mmrace.runs.exercise import Touched
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.searching.boots import Boot, Slot
from mmrace.searching.profile import Profile
from mmrace.searching.search import Tried
from mmrace.verdicts.facing import NONE, Titles
from mmrace.verdicts.verdict import Arm

RACE = load_race("hugetlb-uffd")
FOREIGN = {"console": BUG.replace(b"made_to_fail", b"elsewhere"), "channel": PASSED}
SPOILT = {"channel": "", "console": b"", "end": VmEnd.QEMU_DIED}


def ended(result: Any) -> "Future[Any]":
    """A future that holds its result already."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


class Guests:
    """Boots of an attack: ``fails`` says what the boot of that number, arm and way looks like."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch, fails: Any = None) -> None:
        self.top, self.fails = top, fails or (lambda *_: {})
        self.made: list[tuple[Arm, str, str]] = []
        self.sown: dict[str, Any] = {}
        self.proofs: list[float] = []
        self.seeds: list[int | None] = []
        self.options = RunOptions(seed=1)
        self.by_windows: list[str] = []
        self.absent: set[str] = set()
        self.home = Home(top / "cache", top / "data")
        self.arms: Any = {arm: self._kernel(arm) for arm in Arm}
        monkeypatch.setattr(booting, "touched_by", lambda *_: Touched((("changed", "mm/x.c"),)))
        monkeypatch.setattr(booting, "plan_search", self._plan)
        monkeypatch.setattr(booting, "Hunter", lambda *cell: FakeHunter(self, *cell))
        for module in (booting, proving):
            monkeypatch.setattr(module, "read_boot", read_boot)
        monkeypatch.setattr(Session, "begin", self._begin)
        clock = itertools.count()  # a second passes at each look
        monkeypatch.setattr(attempting, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def _kernel(self, arm: Arm) -> Any:
        kernel = SimpleNamespace(id=str(arm), has_debug_info=True, release="6.1.192")
        return SimpleNamespace(kernel=kernel, applied=SimpleNamespace(commit=str(arm)), arm=arm)

    def _plan(self, _session: Any, built: Any, _race: Any, workload: Any, _options: Any) -> Any:
        if workload.name in self.absent:
            raise NotHereError("no such selftest")
        return built.arm, workload.name

    def _begin(self, built: Any, _race: Any, workload: Any, options: RunOptions, slot: str) -> Any:
        way = WINDOWS if options.steer else FREE
        return ended((self.boot(built.arm, workload.name, way, slot),))

    def boot(self, arm: Arm, workload: str, way: str, slot: str) -> Any:
        self.made.append((arm, workload, way))
        number = len(self.made)
        fields = self.fails(number, arm, workload, way)
        run = made_run(
            self.home.runs, name=f"run-{number:03}", slot=slot, **fields.get("made", fields)
        )
        if judged := fields.get("judged"):
            run.store(judged)
        return run

    def attack(self, seconds: float = 40, known: Titles = NONE, slots: int = 1) -> Attacked:
        session = made_session(self.home, executor=LocalExecutor(self.home, quiet_step, slots))
        with Attack(session, self.arms, RACE, self.options) as one:
            return one.run(seconds, known)


def attacks(monkeypatch: pytest.MonkeyPatch, top: Path, failing: bool) -> list[float]:
    """Have attacks find a failure in a run ``attacked``, or nothing; returns their seconds."""
    asked: list[float] = []
    run = made_run(top / "attacked-runs", name="attacked", channel=FAILED if failing else PASSED)
    boot = Attempt(Berth(0, 0.0, Arm.AFTER, "w", SEARCH), run)
    finding: Any = SimpleNamespace(proof=Proof(), story=(), proven=SimpleNamespace(witness=None))

    class Made:
        def __init__(self, _session: Any, _arms: Any, race: Any, *_more: Any) -> None:
            self._race = race

        def __enter__(self) -> "Made":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def run(self, seconds: float, _known: Titles) -> Attacked:
            asked.append(seconds)
            failed = {"failure": boot, "finding": finding} if failing else {}
            tried = {"w": Tried(boots=1, schedules=9)}
            missed = {"w": 0.5}
            return Attacked(self._race, seconds, (boot,), tried, missed=missed, **failed)

    monkeypatch.setattr(deciding, "Attack", Made)
    monkeypatch.setattr(attacked_module, "save_witness", lambda place, _: place.write_text(""))
    for module in (deciding, checks):
        monkeypatch.setattr(module, "check_attackable", lambda _arms: None)
    return asked


def read_boot(run: RunDir) -> Boot:
    """A boot of which only the run matters."""
    return Boot(run.judgement(), SimpleNamespace(), 1.0, 1.0, run)  # type: ignore[arg-type]


class FakeSearch:
    """A search whose boots are made runs; it watches once."""

    profile = Profile()
    words = "at work"

    def __init__(self, guests: Guests, arm: Arm, workload: str) -> None:
        self._guests, self._arm, self._workload = guests, arm, workload
        self.watched = False
        self.tried = Tried()

    def begin(self, _seconds: float, slot: Slot) -> UnderWay[Boot]:
        watched, self.watched = self.watched, True

        def end() -> Boot:
            made = read_boot(self._guests.boot(self._arm, self._workload, SEARCH, slot.name))
            self._guests.seeds.append(slot.seed)
            self.take(made, watched=not watched)
            return made

        return UnderWay(ended(()), end)

    def take(self, boot: Boot, *, watched: bool) -> None:
        self.watched = True
        if not watched:
            self.tried.boots += 1
            self.tried.schedules += 9
            self.tried.foreign[boot.judgement.title] += 1


class FakeHunter:
    """A hunter of made runs, whose second failure is proven."""

    def __init__(self, guests: Guests, _session: Any, _built: Any, cell: Any, _seed: int) -> None:
        self._guests = guests
        self._workload = cell[1]
        self.proven = False
        self.finding = None
        self.missed = 0.5
        self.ground = SimpleNamespace(sites=())
        self.search = FakeSearch(guests, *cell)

    def __enter__(self) -> "FakeHunter":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def sow(self, seeds: Any) -> None:
        self._guests.sown[self._workload] = seeds

    def prove_windows(self, _seconds: float, _tell: Any) -> None:
        self._guests.by_windows.append(self._workload)
        self.proven = True

    def prove(self, _boot: Boot, seconds: float, _tell: Any) -> None:
        self._guests.proofs.append(seconds)
        self.proven = len(self._guests.proofs) == 2
