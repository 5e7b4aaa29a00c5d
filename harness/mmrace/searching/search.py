# SPDX-License-Identifier: GPL-2.0-only
"""The search: boot after boot under random schedules, until one shows the race's failure."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmrace.executors.executor import UnderWay
from mmrace.outcome import Outcome
from mmrace.runs.traces import read_traces
from mmrace.searching.boots import ANY, Boot, BootMaker, Slot
from mmrace.searching.bound import bound, missed
from mmrace.searching.coverage import Coverage
from mmrace.searching.profile import Profile, make_search
from mmrace.searching.schedule import Recorded, report_of, schedules_before
from mmrace.searching.seeding import NONE, Seeds
from mmrace.searching.slicing import Slice
from mmrace.symbols.accesses import AccessSite
from mmrace.symbols.resolve import Resolved
from mmrace.windows.plan import Plan
from mmrace.windows.search import WATCH, LogStep, SearchPlan, Tactics

PROFILE_SECONDS = 8.0  # of the workload in a boot that only profiles
# A boot that fails early adds little to a profile: up to WATCHES boots add up to PROFILE_LEAST s.
PROFILE_LEAST, WATCHES = 4.0, 3
BOOT_SECONDS = 30.0  # of the workload in one boot under schedules
TRACES = 1 << 21  # accesses that are kept: about two seconds of two vCPUs, 64 MB


@dataclass
class Tried:
    """What a search has tried so far; ``seconds``: of race phases, each up to a failure.

    ``armed``: seconds in which the director made schedules; ``held``: seconds of these in which a
    vCPU was held. ``failures``: boots with the race's own failure. ``foreign``: other failures by
    title.
    """

    boots: int = 0
    seconds: float = 0.0
    schedules: int = 0
    priorities: int = 0
    holds: int = 0
    met: int = 0
    switched: int = 0
    ended: int = 0
    held: float = 0.0
    armed: float = 0.0
    failures: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, boot: Boot) -> None:
        """Count one boot, unless the host spoilt it."""
        if boot.judgement.outcome is Outcome.INFRA:
            return
        counts = boot.searched.counts
        self.boots += 1
        self.seconds += boot.seconds
        self.schedules += counts.schedules
        self.priorities += counts.full
        self.holds += counts.holds
        self.met += counts.met
        self.switched += counts.switched
        self.ended += counts.timeouts + counts.stuck
        self.held += counts.held
        self.armed += boot.armed
        self.failures += boot.failed
        self.coverage.add(boot.searched)
        judged = boot.judgement
        if judged.outcome.failed and not boot.failed:
            self.foreign[judged.title] += 1

    def as_json(self) -> dict[str, Any]:
        """The fields of JSON documents."""
        own = replace(self, foreign=Counter(), coverage=Coverage())
        numbers = {key: value for key, value in asdict(own).items() if key != "coverage"}
        return {
            **numbers,
            "foreign": dict(self.foreign),
            "pairs": len(self.coverage.pairs),
            "pairs_by_schedules": self.coverage.growth,
            "unseen": self.coverage.unseen,
        }

    def missed(self, tactics: Tactics, vcpus: int) -> float:
        """Greatest probability that a bug of the tactics' depth was missed.

        Holds for a bug within ``length`` first visits of a schedule, by schedules by priorities.
        """
        return missed(bound(vcpus, tactics.length, tactics.depth), self.priorities)


@dataclass(frozen=True)
class Failure:
    """A boot that showed the race's failure, and the schedules before the failure, latest first.

    ``slice``: of the kernel's report; None when the failure was not one that the kernel reported.
    """

    boot: Boot
    schedules: tuple[Recorded, ...]
    slice: Slice | None = None


class Search:
    """Boots of one cell under schedules; ``profile`` grows with each profiling boot."""

    def __init__(
        self,
        boots: BootMaker,
        sites: Sequence[AccessSite],
        marks: Resolved | None,
        profile: Profile | None = None,
        tactics: Tactics | None = None,
        seed: int = 1,
        seeds: Seeds = NONE,
    ) -> None:
        self._boots = boots
        self._sites = sites
        self._beside = frozenset(site.address for site in sites if site.beside)
        self._marks = marks
        self._seeds = seeds
        self._chance = random.Random(seed)  # noqa: S311 - may be guessed
        self.tactics = tactics or Tactics()
        self.profile = profile or Profile()
        self.tried = Tried()
        self._watched = 0

    @property
    def watched(self) -> bool:
        """Whether the profile suffices to make schedules, or WATCHES boots did not make it so."""
        known = bool(self._seeds.addresses) or self.profile.seconds >= PROFILE_LEAST
        return known or self._watched >= WATCHES

    @property
    def words(self) -> str:
        """The search's progress in a few words."""
        if not self.tried.boots:
            return "watching for accesses that communicate"
        return (
            f"{self.tried.schedules} schedules in {self.tried.boots} boots,"
            f" {len(self.tried.coverage.pairs)} pairs"
        )

    def begin(self, seconds: float, slot: Slot = ANY) -> UnderWay[Boot]:
        """Begin the next boot, with at most ``seconds`` of the workload.

        While the profile does not suffice, no vCPU is held. The boot's results are added when it
        ends; boots begun meanwhile use the profile as it is.
        """
        if self.watched:
            return self.once(min(BOOT_SECONDS, seconds), slot)
        return self.watch(min(PROFILE_SECONDS, seconds), slot)

    def watch(self, seconds: float = PROFILE_SECONDS, slot: Slot = ANY) -> UnderWay[Boot]:
        """Begin a boot in which no vCPU is held, for the profile."""
        return self._begin(
            make_search(self._sites, WATCH, traces=TRACES), seconds, slot, self._seen
        )

    def once(self, seconds: float = BOOT_SECONDS, slot: Slot = ANY) -> UnderWay[Boot]:
        """Begin a boot under schedules over the accesses of the profile."""
        more, alone = self._seeds.addresses, self._seeds.functions
        scheduled = make_search(self._sites, self.tactics, self.profile, more, alone, TRACES)
        return self._begin(scheduled, seconds, slot, self.tried.add)

    def take(self, boot: Boot, *, watched: bool) -> None:
        """Add the results of a boot of an earlier process; ``watched``: no vCPU was held."""
        (self._seen if watched else self.tried.add)(boot)

    def _begin(
        self, search: SearchPlan, seconds: float, slot: Slot, take: Callable[[Boot], None]
    ) -> UnderWay[Boot]:
        seed = self._seed() if slot.seed is None else slot.seed
        begun = self._boots(Plan(search=search, marks=self._marks), seed, seconds, slot.name)

        def end() -> Boot:
            boot = begun.end()
            take(boot)
            return boot

        return UnderWay(begun.future, end)

    def _seen(self, boot: Boot) -> None:
        self._watched += 1
        seen, seconds = boot.searched, boot.seconds
        self.profile = self.profile.merged(seen, seconds, self._beside, boot.run.id)
        self.tried.seconds += boot.seconds
        self.tried.failures += boot.failed

    def _seed(self) -> int:
        return self._chance.randrange(2**31)


def examine(boot: Boot, function: Callable[[int], str]) -> Failure:
    """Read what a failed boot recorded before its failure.

    ``function``: that of an access at which an actor may stand, "" for other accesses.
    """
    report = report_of(boot.searched.log, boot.seconds)
    sliced = _sliced(boot, report, function) if report else None
    return Failure(boot, schedules_before(boot.searched.log, boot.seconds), sliced)


def _sliced(boot: Boot, report: LogStep, function: Callable[[int], str]) -> Slice | None:
    """The slice of a report; None when no accesses before it were kept."""
    before = read_traces(boot.run).until(report.time)
    return Slice(before, report.vcpu, function, report.word) if before else None
