# SPDX-License-Identifier: GPL-2.0-only
"""What a test of the pytest plugin can ask for, and what it gets: a kernel, and runs of it."""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmrace.definitions.race import Race, Signature, Source, Workload, load_race
from mmrace.errors import MmraceError, NotHereError, UserError
from mmrace.experiments.reproducing import race_of
from mmrace.experiments.session import Session
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome
from mmrace.progress import Tell, clock
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.terminal.steps import PLAIN_INTERVAL, time_left
from mmrace.userland.program import compile_program

ENDED = "the run ended as "
_SILENCE = 60  # seconds without a word of a test's own program that make a HANG


@dataclass(frozen=True)
class Wish:
    """The arguments of ``@pytest.mark.mmrace``; what takes several texts may be given one.

    ``repro``: a program in place of a race, as ``mmrace run --repro`` takes it, with ``crash``,
    ``procs``, ``user`` and ``fails_by``.
    """

    race: str | None = None
    repro: tuple[str, ...] | str = ()
    crash: str | None = None
    procs: int = 1
    user: bool = False
    fails_by: tuple[str, ...] | str = ()
    workload: str | None = None
    tree: str | None = None
    series: tuple[str, ...] | str = ()
    configs: tuple[str, ...] | str = ()
    machine: str = "numa2"
    accel: str = "auto"
    ltp: str | None = None

    def find_race(self, home: Home) -> Race | None:
        """Return its race, or what its program becomes; UserError for one that is not there."""
        if not self.repro:
            return load_race(self.race) if self.race else None
        words, ways = as_texts(self.repro), as_texts(self.fails_by)
        return race_of(home, words, self.crash, self.procs, self.user, ways)


def as_texts(value: tuple[str, ...] | str) -> tuple[str, ...]:
    """Return texts as a tuple; a single text may come without one."""
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True, repr=False)
class Shown:
    """A run that a test made: its directory, and what it showed."""

    run: RunDir
    judgement: Judgement

    def __repr__(self) -> str:
        """What an assertion that fails shows: outcome, title and directory."""
        result = f"{self.judgement.outcome} {self.judgement.title}".strip()
        return f"<{result}, {self.run.folder}>"

    @property
    def outcome(self) -> Outcome:
        """Outcome of the run; compares equal to its word."""
        return self.judgement.outcome

    @property
    def output(self) -> str:
        """The console, undecodable bytes replaced."""
        return self.run.console().decode(errors="replace")


@contextmanager
def errors_end_test() -> Iterator[None]:
    """End a test with mmrace's one line when it cannot tell; skip it when a source is not there.

    An error that meets several tests has its detail in the first of them, as captured output:
    pytest prints a failure's own message again in its summary, uncut where ``CI`` is set.
    """
    try:
        yield
    except NotHereError as missing:
        pytest.skip(missing.message)
    except MmraceError as error:
        detail, error.detail = error.detail, ""
        if detail:
            sys.stderr.write(f"{detail}\n")
        pytest.fail(error.message, pytrace=False)


class Vm:
    """Boots the kernel of a test; every run is recorded in the home, as ``mmrace run`` does it."""

    def __init__(
        self, home: Home, built: Built, wish: Wish, slot: str, messages: list[str]
    ) -> None:
        self.built = built
        self._home = home
        self._wish = wish
        self._slot = slot  # lock of the home: its holder may run a guest
        self._messages = messages
        self._session = Session(home, self._step, messages.append)

    def run(
        self,
        workload: str | None = None,
        *,
        race: str | None = None,
        seconds: float = 30,
        seed: int | None = None,
        steer: bool | None = None,
        boot: tuple[str, ...] = (),
    ) -> Shown:
        """Run a workload of a race; by default the mark's, or its race's first."""
        with errors_end_test():
            found = load_race(race) if race else self._wish.find_race(self._home)
            if not found:
                raise UserError(
                    "mmrace_vm.run() needs a race; @pytest.mark.mmrace(race=...) names one"
                )
            name = workload or self._wish.workload
            chosen = found.find_workload(name) if name else found.default_workloads()[0]
            return self._cell(found, chosen, self._options(seconds, seed, steer, boot))

    def boot(
        self,
        source: Path,
        *arguments: str,
        seconds: float = 1,
        min_counts: Mapping[str, int] | None = None,
        exercised: Mapping[str, int] | None = None,
        silence: int = _SILENCE,
        boot: tuple[str, ...] = (),
    ) -> Shown:
        """Compile a C file and run it as PID 1's workload; ``stressor.h`` is there to include.

        It runs again and again for ``seconds``. Exit codes are those of stressors: 0 held, 1
        failed. ``min_counts``: of its counters, below which it is NOT_EXERCISED;
        ``exercised`` is their older name.
        """
        workload = Workload(
            name="program",
            summary=f"a test's own {source.name}",
            source=Source.STRESSOR,
            argv=(source.stem, *arguments),
            sources=(source.name,),
            silence=silence,
            min_counts=dict(min_counts or exercised or {"iterations": 1}),
        )
        race = Race(
            name="test",
            title="a test's own program",
            summary="",
            machine=self._wish.machine,
            signature=(Signature(output="mmrace: fail "),),
            workload=(workload,),
        )
        options = self._options(seconds, None, False, boot)
        with errors_end_test():
            return self._cell(race, workload, options, source)

    def _options(
        self, seconds: float, seed: int | None, steer: bool | None, boot: tuple[str, ...]
    ) -> RunOptions:
        wish = self._wish
        return RunOptions(
            machine=wish.machine,
            accel=wish.accel,
            seconds=seconds,
            seed=seed,
            ltp=wish.ltp,
            steer=steer,
            boot=boot,
        )

    def _cell(
        self, race: Race, workload: Workload, options: RunOptions, source: Path | None = None
    ) -> Shown:
        program = source and compile_program(
            self._home,
            source.parent,
            [source.name],
            workload.argv[0],
            self._messages.append,
            self.built.guest_cc,
        )
        origin = shlex.join(("pytest", str(source or race.name)))
        with self._home.lock(self._slot, self._messages.append):
            planned = self._session.planner.plan(
                self.built, race, workload, options, origin=origin, program=program or None
            )
            run = self._session.run_cell(lambda: planned)
        judged = run.judgement()
        self._messages.append(f"{ENDED}{judged.outcome} {judged.title}".strip())
        self._messages.append(f"run directory: {run.folder}")
        return Shown(run, judged)

    @contextmanager
    def _step(self, title: str) -> Iterator[Tell]:
        yield progress_teller(title, self._messages)


def progress_teller(title: str, messages: list[str], show: Tell = lambda _text: None) -> Tell:
    """Keep a step's result in ``messages``; ``show`` its state now and then, when it takes long."""
    started = last = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if text.startswith("="):
            messages.append(f"{title}: {text[1:].strip()}")
        elif now - last > PLAIN_INTERVAL:
            last = now
            left = time_left(text, now - started)
            show(f"{title}: {text} ({clock(now - started)}{f', {left}' if left else ''})")

    return tell
