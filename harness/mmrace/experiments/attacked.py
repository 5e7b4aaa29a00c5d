# SPDX-License-Identifier: GPL-2.0-only
"""The result of an attack: what was tried, what failed, and what that means for a verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mmrace.definitions.race import Race
from mmrace.definitions.witness import save_witness
from mmrace.experiments.attempts import Attempt
from mmrace.experiments.hunter import Finding
from mmrace.runs.record import NotRun
from mmrace.searching.search import Tried
from mmrace.verdicts.facing import Faced
from mmrace.verdicts.verdict import Arm

WITNESS = "attack.witness.toml"  # beside a run that an attack has made


@dataclass(frozen=True)
class Attacked:
    """The result of an attack; ``seconds`` of wall time.

    ``failure``: the boot of "after" that showed the race's own failure; ``finding``: the order
    behind it, None if none was found. By workload, ``tried``: what the search of "after" did;
    ``missed``: the probability, at most, that this search missed a bug of its tactics' depth.
    ``steered``: hits of each hand-written window. ``regressions``: titles that "after" showed, and
    "before" never or far less often. ``hangs``: workloads on which "after" showed the race's own
    hang only while vCPUs were held. ``spoilt``: the error of the host that ended the last way of
    attack.
    """

    race: Race
    seconds: float
    attempts: tuple[Attempt, ...] = ()
    tried: Mapping[str, Tried] = field(default_factory=dict)
    steered: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, float] = field(default_factory=dict)
    failure: Attempt | None = None
    finding: Finding | None = None
    regressions: tuple[str, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    hangs: tuple[str, ...] = ()
    spoilt: str = ""
    seed: int = 0

    @property
    def schedules(self) -> int:
        """Number of schedules that ran on "after"."""
        return sum(one.schedules for one in self.tried.values())

    @property
    def pairs(self) -> int:
        """Interleaving coverage: number of ordered pairs of accesses seen, over all workloads."""
        return sum(len(one.coverage.pairs) for one in self.tried.values())

    def keep_witness(self) -> str:
        """Write the witness beside the run that failed, and return its path; "" for none."""
        if not (self.failure and self.finding):
            return ""
        place = self.failure.run.folder / WITNESS
        save_witness(place, self.finding.proven.witness)
        return str(place)

    @property
    def words(self) -> str:
        """What was tried, in a few words."""
        boots = sum(one.arm is Arm.AFTER for one in self.attempts)
        absent = f", not run: {', '.join(one.workload for one in self.not_run)}"
        hits = sum(self.steered.values())
        windows = f", {hits:,} hits of windows" if self.steered else ""
        return (
            f"{self.schedules:,} schedules and {self.pairs:,} pairs of accesses in {boots} boots"
            f"{windows}, {self.seconds:.0f} s{absent if self.not_run else ''}"
        )

    @property
    def trouble(self) -> str:
        """Why the attack proves nothing, "" when it proves something."""
        if self.spoilt:
            return f"INFRA: {self.spoilt}"
        if not self.schedules and not any(self.steered.values()):
            return f"nothing was tried in {self.seconds:.0f} s"
        if self.hangs:
            return f"the kernel after hangs while vCPUs are held: {', '.join(self.hangs)}"
        after = [one for one in self.attempts if one.arm is Arm.AFTER]
        held = {one.workload for one in after if one.title or one.held}
        held &= {name for name, one in self.tried.items() if one.schedules} | {
            one.workload
            for one in after
            if any(window.hits for window in one.run.judgement().windows)
        }
        idle = [name for name in dict.fromkeys(one.workload for one in after) if name not in held]
        if not idle:
            return ""
        return f"no boot of the kernel after was exercised and held: {', '.join(idle)}"

    @property
    def line(self) -> str:
        """The result in one line."""
        if self.failure:
            return f"NOT_FIXED: {self.faced.failure}; {self.words}"
        if self.regressions:
            return f"only the kernel after failed with {', '.join(self.regressions)}; {self.words}"
        return self.trouble or f"nothing found: {self.words}"

    @property
    def faced(self) -> Faced:
        """The part of a verdict that the attack decides."""
        title = self.failure.title if self.failure else ""
        where = f"{title} ({self.failure.workload}, {self.failure.way})" if self.failure else ""
        return Faced(where, self.regressions, self.words, self.trouble)

    @property
    def exit_code(self) -> int:
        """1: the race's own failure; 69: the host failed; 3: other failures or no evidence.

        0: nothing found.
        """
        if self.failure:
            return 1
        if self.spoilt:
            return 69
        return 3 if self.regressions or self.trouble else 0

    def document(self, witness: str | None) -> dict[str, Any]:
        """The JSON document; ``witness``: path of the witness file."""
        proof = self.finding.proof if self.finding else None
        return {
            "race": self.race.name,
            "failure": self.failure.title if self.failure else None,
            "workload": self.failure.workload if self.failure else None,
            "way": self.failure.way if self.failure else None,
            "run": str(self.failure.run.folder) if self.failure else None,
            "witness": witness if self.finding else None,
            "proven": bool(proof and proof.holds),
            "replays": len(proof.replays) if proof else 0,
            "failed": proof.shown if proof else 0,
            "story": [
                {"actor": line.actor, "text": line.words}
                for line in (self.finding.story if self.finding else ())
            ],
            "regressions": list(self.regressions),
            "trouble": self.trouble,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "schedules": self.schedules,
            "pairs": self.pairs,
            "searches": {
                name: {**one.as_json(), "missed_at_most": self.missed[name]}
                for name, one in self.tried.items()
            },
            "windows": dict(self.steered),
            "not_run": [asdict(one) for one in self.not_run],
            "runs": [
                {"side": str(one.arm), "way": one.way, **one.run.as_json()} for one in self.attempts
            ],
        }
