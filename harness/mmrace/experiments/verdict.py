# SPDX-License-Identifier: GPL-2.0-only
"""A verdict on a fix: pairs of runs on all paths, then an attack if the pairs say FIXED."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmrace.definitions.race import Race
from mmrace.definitions.witness import Witness
from mmrace.experiments.attack import Attack, check_attackable
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.reproducing import Learnt, learn_for_arms
from mmrace.experiments.session import Session
from mmrace.experiments.verification import Verification, Verified, works_of
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.facing import face, titles_of
from mmrace.verdicts.verdict import Arm, Pair, Rules, Verdict


@dataclass(frozen=True)
class Decided:
    """The pairs, what was learnt before them, and the attack after them (None: not made)."""

    verified: Verified
    learnt: Learnt
    attacked: Attacked | None = None

    @property
    def statement(self) -> Combined:
        """The verdict."""
        statement = self.verified.statement
        return face(statement, self.attacked.faced) if self.attacked else statement

    @property
    def attack_words(self) -> str:
        """The result of the attack in one line; "" if the pairs did not call for one."""
        if self.attacked:
            return f"attack: {self.attacked.line}"
        return "not attacked" if self.verified.statement.verdict is Verdict.FIXED else ""

    @property
    def runs(self) -> tuple[RunDir, ...]:
        """All runs, in the order in which they were made."""
        attempts = self.attacked.attempts if self.attacked else ()
        pairs = (run for _, run in self.verified.runs)
        return (*self.learnt.runs, *pairs, *(one.run for one in attempts))

    def document(self, race: str, witness: str) -> dict[str, Any]:
        """The JSON document; ``witness``: path of the witness that an attack found."""
        statement = self.statement
        return {
            **self.verified.document(race),
            **self.learnt.document(),
            "verdict": str(statement.verdict),
            "reason": statement.reason,
            "attack": self.attacked.document(witness) if self.attacked else None,
        }


def decide(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    race: Race,
    options: RunOptions,
    rules: Rules,
    workload: str | None = None,
    witness: Witness | None = None,
    attack: float = 0.0,
    tell: Callable[[Pair, Combined], None] = lambda *_: None,
    ahead: int = 0,
) -> Decided:
    """Build both kernels, make pairs until the verdict is reached, and attack if it is FIXED.

    ``attack``: seconds of the attack, 0 for none. ``tell`` is called after each pair. ``ahead``:
    pairs and boots under way at a time, 0 for as many as there are slots. Raises UserError for
    unknown names and, before any run, for kernels that cannot be attacked.
    """
    arms = session.arms(tree, before, after, options, race)
    if attack:
        check_attackable(arms)
    learnt = learn_for_arms(session, arms, race, options, rules.pairs)
    release = arms[Arm.BEFORE].kernel.release
    works, undecided = works_of(learnt.race, options, release, workload, witness)
    with Verification(session, arms, works, rules, undecided, ahead) as verification:
        if learnt.trouble:
            return Decided(verification.undecided(learnt.trouble), learnt)
        done = verification.run(tell)
    return attack_fixed(session, arms, Decided(done, learnt), options, attack, workload, ahead)


def attack_fixed(
    session: Session,
    arms: Mapping[Arm, Built],
    decided: Decided,
    options: RunOptions,
    seconds: float,
    workload: str | None = None,
    ahead: int = 0,
) -> Decided:
    """Attack the kernel after if the pairs say FIXED; for 0 ``seconds``, do nothing."""
    done = decided.verified
    if not seconds or done.statement.verdict is not Verdict.FIXED:
        return decided
    known = titles_of(run.judgement() for arm, run in done.runs if arm is Arm.BEFORE)
    with Attack(session, arms, decided.learnt.race, options, workload, ahead) as attacker:
        return replace(decided, attacked=attacker.run(seconds, known))
