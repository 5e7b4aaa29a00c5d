# SPDX-License-Identifier: GPL-2.0-only
"""A revision's kernel is built once; what cannot be run is skipped, what the host spoils is not."""

from collections.abc import Callable, Iterator
from pathlib import Path

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
        self.probe = KernelProbe(self.build, lambda _built, _seed: next(runs), self.notes.append)

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
