# SPDX-License-Identifier: GPL-2.0-only
"""A revision's kernel is built once; what cannot be run is skipped, what the host spoils is not."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Barrier

import pytest

from made_runs import BOOT, BUG, FAILED, made_run
from mmrace.bisect.values import Result
from mmrace.errors import BuildError, InfraError
from mmrace.experiments.revision import ATTEMPTS, KernelProbe
from mmrace.outcome import Outcome, VmEnd
from mmrace.runs.record import RunDir


class Bench:
    """Builds by name, and gives the runs that a test has made."""

    def __init__(self, runs: Iterator[RunDir]) -> None:
        self.built: list[str] = []
        self.notes: list[str] = []
        self.slots = 1
        self.begun = self.dropped = 0
        self._runs = runs
        self._probe = KernelProbe(self.build, self.make, self.notes.append, lambda: self.slots)

    def probe(self, revision: str, ahead: int = 1) -> Result:
        return self._probe(revision, ahead)

    def make(self, _built: object, _seed: int) -> Future[tuple[RunDir, ...]]:
        self.begun += 1
        bench = self

        class Begun(Future[tuple[RunDir, ...]]):
            def cancel(self) -> bool:
                bench.dropped += 1
                return True

        made = Begun()
        made.set_result((next(self._runs),))
        return made

    def build(self, revision: str) -> object:
        self.built.append(revision)
        if revision == "broken":
            raise BuildError("the kernel did not build: mm/a.c:1: no such thing")
        return object()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RunDir]:
    made = iter(range(100))

    def make(**fields: object) -> RunDir:
        return made_run(tmp_path, name=f"run-{next(made)}", **fields)

    return make


def test_each_kernel_is_built_once_and_judged_by_the_signature(run: Callable[..., RunDir]) -> None:
    bench = Bench(iter([run(), run(channel=FAILED), run(floor=1000)]))
    assert bench.probe("a") is Result.GOOD
    assert bench.probe("a") is Result.BAD
    assert bench.probe("a") is Result.VOID
    assert bench.built == ["a"]


def test_revisions_that_may_follow_are_built_meanwhile_in_all_slots_but_one(
    run: Callable[..., RunDir],
) -> None:
    bench = Bench(iter([run() for _ in range(9)]))
    together = Barrier(3)
    build = bench.build

    def with_others(revision: str) -> object:
        together.wait(timeout=20)  # BrokenBarrierError where three builds are not under way
        return build(revision)

    bench._probe._build = with_others  # type: ignore[assignment]
    bench._probe.following = lambda: ("b", "broken", "d")
    bench.slots = 3
    assert bench.probe("a") is Result.GOOD
    bench._probe.following = tuple
    assert bench.probe("b") is Result.GOOD
    assert bench.probe("broken") is Result.SKIP
    assert sorted(bench.built) == ["a", "b", "broken"]
    bench._probe._build = build  # type: ignore[assignment]
    bench._probe.following = lambda: ("f",)
    bench.slots = 1
    assert bench.probe("e") is Result.GOOD
    assert bench.built[3:] == ["e"]


def test_what_does_not_build_is_skipped(run: Callable[..., RunDir]) -> None:
    bench = Bench(iter([]))
    assert bench.probe("broken") is Result.SKIP
    assert "mm/a.c:1" in bench.notes[0]


def test_what_does_not_boot_twice_is_skipped(run: Callable[..., RunDir]) -> None:
    def panics() -> RunDir:
        foreign = BUG.replace(b"made_to_fail", b"another_function")
        return run(channel="", console=BOOT + foreign, end=VmEnd.RESET)

    bench = Bench(iter([panics(), panics(), panics(), run(), panics()]))
    assert bench.probe("a") is Result.SKIP
    assert bench.probe("b") is Result.GOOD  # it boots the second time
    assert bench.probe("b") is Result.VOID  # and is known to boot from then on


def test_what_the_host_spoils_is_made_again(run: Callable[..., RunDir]) -> None:
    def spoilt() -> RunDir:
        return run(channel="", console=b"", end=VmEnd.QEMU_DIED)

    assert spoilt().judgement().outcome is Outcome.INFRA
    bench = Bench(iter([spoilt(), run(), *[spoilt()] * ATTEMPTS]))
    assert bench.probe("a") is Result.GOOD
    with pytest.raises(InfraError):
        bench.probe("a")


def test_runs_of_one_revision_are_side_by_side_and_taken_in_order(
    run: Callable[..., RunDir],
) -> None:
    """No more than are wanted; what a bisection does not want any more is dropped."""
    bench = Bench(iter([run(), run(), run(channel=FAILED), *(run() for _ in range(9))]))
    bench.slots = 4
    assert bench.probe("a", 9) is Result.GOOD
    assert bench.begun == 1, "the first one says whether it boots"
    assert bench.probe("a", 3) is Result.GOOD
    assert bench.begun == 4
    assert bench.probe("a", 2) is Result.BAD
    assert bench.begun == 4
    assert bench.probe("b", 9) is Result.GOOD
    assert (bench.begun, bench.dropped) == (5, 1)
