# SPDX-License-Identifier: GPL-2.0-only
"""Calibration of verify and bisect on planted truths: ``python -m tests.bench.statistics [SHARE]``.

SHARE of the simulations (default 1, the full 500 and 10,000) for a quicker, weaker look. Ends with
1 when a limit is missed. The same seeds give the same tables.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binomtest

from mmrace.bisect.dag import Dag
from mmrace.bisect.posterior import Model
from mmrace.bisect.values import Answer, Phase, Settings
from mmrace.verdicts.verdict import Rules, Verdict

from .simulators import (
    MODELS,
    OUTSIDE,
    Random,
    Truth,
    constant,
    line,
    merges,
    run_bisection,
    run_campaign,
    run_steps,
)

RATES = (0.5, 0.2, 0.05)
UNRELATED = (0.0, 0.005)
# Most search runs and kernels on average, by failure rate and unrelated failures.
SEARCH_RUNS = {(0.05, 0.0): 320, (0.05, 0.005): 420, (0.5, 0.0): 30, (0.5, 0.005): 30}
KERNELS = {(0.05, 0.0): 10, (0.05, 0.005): 13}
PHASES = (Phase.LEARN, Phase.SEARCH, Phase.PROVE)


@dataclass
class Report:
    """What was missed; the tables go to standard output as they come."""

    missed: list[str] = field(default_factory=list)

    def check(self, ok: bool, what: str) -> str:
        if not ok:
            self.missed.append(what)
        return "" if ok else " (!)"


def main(share: float = 1.0) -> int:
    """Print all tables; return how many limits were missed."""
    started, report = time.monotonic(), Report()
    _bisections(report, max(5, round(500 * share)))
    _outside(max(5, round(500 * share)))
    _baselines(max(5, round(500 * share)), max(2, round(100 * share)))
    _nobody(report, max(20, round(500 * share)))
    _verdicts(report, max(50, round(10_000 * share)), max(10, round(1000 * share)))
    print(f"\n{time.monotonic() - started:.0f} s, {time.process_time():.0f} s of CPU time")
    for one in report.missed:
        print(f"missed: {one}")
    return min(len(report.missed), 1)


def _right_enough(right: int, reported: int) -> bool:
    """Whether 0.95 stands against a one-sided binomial test at 1 %."""
    return not reported or binomtest(right, reported, 0.95, alternative="less").pvalue >= 0.01


def _culprits(dag: Dag, rows: list[int], random: Random, count: int) -> list[int]:
    return [int(random.choice(rows or range(dag.size))) for _ in range(count)]


def _cell(
    make: Callable[[float, Random], object],
    dag: Dag,
    rows: list[int],
    q: float,
    e: float,
    count: int,
) -> tuple[list[Answer], list[str]]:
    random, model, answers = np.random.default_rng(20240607), Model(dag), []
    planted = _culprits(dag, rows, random, count)
    for culprit in planted:
        truth = Truth(culprit, make(q, random), e)  # type: ignore[arg-type]
        answers.append(run_bisection(model, truth, random, Settings()))
    return answers, [dag.names[row] for row in planted]


def _row(
    name: str, q: float, e: float, answers: list[Answer], names: list[str]
) -> tuple[str, dict]:
    reported = sum(one.culprit is not None and one.confirmed for one in answers)
    right = sum(
        one.culprit == name and one.confirmed for one, name in zip(answers, names, strict=True)
    )
    runs = {phase: np.mean([one.runs[phase] for one in answers]) for phase in PHASES}
    builds = np.mean([one.builds for one in answers])
    figures = {"right": right, "reported": reported, "search": runs[Phase.SEARCH], "builds": builds}
    text = f"| {name} | {q} | {e} | {right} of {reported} | {len(answers) - reported} "
    text += f"| {runs[Phase.SEARCH]:.0f} | {runs[Phase.LEARN]:.0f} | {runs[Phase.PROVE]:.0f} "
    return text + f"| {builds:.1f} |", figures


def _head(title: str) -> None:
    print(f"\n{title}\n")
    print("| model | q | unrelated | right of reported | no answer ", end="")
    print("| search runs | learn | prove | kernels |")
    print("|---|---|---|---|---|---|---|---|---|")


def _bisections(report: Report, count: int) -> None:
    _head(f"Bisection over 128 commits, {count} each; kernels include both ends")
    tangled, beside = merges()
    for name, make in {**MODELS, "merges": constant}.items():
        dag, rows = (tangled, beside) if name == "merges" else (line(), [])
        for q, e in ((q, e) for q in RATES for e in UNRELATED):
            answers, names = _cell(make, dag, rows, q, e, count)
            text, seen = _row(name, q, e, answers, names)
            what = f"{name}, q {q}, unrelated {e}: "
            mark = report.check(
                _right_enough(seen["right"], seen["reported"]), what + "share right"
            )
            limit = SEARCH_RUNS.get((q, e), np.inf)
            mark += report.check(seen["search"] <= limit, f"{what}{seen['search']:.1f} search runs")
            limit = KERNELS.get((q, e), np.inf)
            mark += report.check(seen["builds"] <= limit, f"{what}{seen['builds']:.1f} kernels")
            print(text + mark, flush=True)


def _outside(count: int) -> None:
    _head("Outside what the method assumes (no limit)")
    for name, make in OUTSIDE.items():
        for q, e in ((q, e) for q in RATES for e in UNRELATED):
            print(_row(name, q, e, *_cell(make, line(), [], q, e, count))[0], flush=True)


def _baselines(count: int, fewer: int) -> None:
    print(f"\nOther methods, constant rate, {count} each (git_bayesect: {fewer})\n")
    print("| method | q | unrelated | right | runs |\n|---|---|---|---|---|")
    for q, e in ((q, e) for q in RATES for e in UNRELATED):
        for steps, name in ((1, "one run a step"), (10, "ten runs a step")):
            random = np.random.default_rng(7)
            done = [
                run_steps(
                    128, Truth(int(random.integers(128)), constant(q, random), e), random, steps
                )
                for _ in range(count)
            ]
            right, runs = np.mean(done, axis=0)
            print(f"| {name} | {q} | {e} | {right:.1%} | {runs:.0f} |", flush=True)
        _bayesect(q, e, fewer)


def _bayesect(q: float, e: float, count: int) -> None:
    try:
        from git_bayesect import Bisector  # type: ignore[import-not-found]
    except ImportError:
        print(f"| git_bayesect (not installed) | {q} | {e} | | |")
        return
    random, right, ended, runs = np.random.default_rng(7), 0, 0, []
    for _ in range(count):
        culprit, bisector, made = int(random.integers(128)), Bisector([1.0] * 128), 0
        # Its index 0 is the newest commit.
        while bisector.distribution.max() < 0.95 and made < 3000:
            index = int(bisector.select())
            bad = 127 - index >= culprit
            bisector.record(index, bool(random.random() < 1 - (1 - q * bad) * (1 - e)))
            made += 1
        sure = bisector.distribution.max() >= 0.95
        ended += sure
        right += sure and 127 - int(bisector.distribution.argmax()) == culprit
        runs.append(made)
    shown = f"{right} of {ended} reported" + (
        f", {count - ended} cut at 3000" if ended < count else ""
    )
    print(f"| git_bayesect | {q} | {e} | {shown} | {np.mean(runs):.0f} |", flush=True)


def _nobody(report: Report, count: int) -> None:
    print(f'\nHalf of {count} without a culprit between the ends, prior of "no culprit" 0.5\n')
    print("| q | unrelated | planted | found | right of found | culprits named | right |")
    print("|---|---|---|---|---|---|---|")
    model = Model(line(), nobody=0.5)
    for q, e in ((q, e) for q in RATES for e in UNRELATED):
        random, nobody, named, none = np.random.default_rng(11), [], [], 0
        for _ in range(count):
            culprit = None if random.random() < 0.5 else int(random.integers(128))
            none += culprit is None
            answer = run_bisection(
                model, Truth(culprit, constant(q, random), e), random, Settings()
            )
            if answer.no_culprit >= 0.95:
                nobody.append(culprit is None)
            elif answer.culprit:
                named.append(answer.culprit == f"c{culprit}")
        marks = report.check(
            _right_enough(sum(nobody), len(nobody)),
            f"no culprit, q {q}, unrelated {e}: share right",
        ) + report.check(
            _right_enough(sum(named), len(named)), f"culprit beside none, q {q}, unrelated {e}"
        )
        print(f"| {q} | {e} | {none} | {len(nobody)} | {sum(nobody)} ", end="")
        print(f"| {len(named)} | {sum(named)} |{marks}", flush=True)


def _verdicts(report: Report, count: int, fixed: int) -> None:
    print(f"\nVerify at alpha 0.001: {count} campaigns of a kernel that is not fixed, ", end="")
    print(f"{fixed} of one that is, one whose race is 4 times rarer; 1000 pairs at most\n")
    print("| model | q | not fixed: FIXED | fixed: FIXED | pairs | rarer: FIXED |")
    print("|---|---|---|---|---|---|")
    for name, make in {**MODELS, **OUTSIDE}.items():
        for q in (0.5, 0.05):
            random = np.random.default_rng(13)

            def fixes(times: int, scale: float, q: float = q, make=make, random=random) -> list:
                verdicts = []
                for seed in range(times):
                    rates = make(q, random)
                    after = lambda runs, rates=rates: scale * rates(runs)  # noqa: E731
                    rules = Rules(alpha=0.001, pairs=1000, seed=seed)
                    verdicts.append(run_campaign(rules, rates, after, random))
                return verdicts

            wrong = sum(one.verdict is Verdict.FIXED for one in fixes(count, 1.0))
            held = fixes(fixed, 0.0)
            power = np.mean([one.verdict is Verdict.FIXED for one in held])
            pairs = np.mean([one.after.runs for one in held])
            rarer = np.mean([one.verdict is Verdict.FIXED for one in fixes(fixed, 0.25)])
            mark = ""
            if name in MODELS:
                limit = max(1, round(20 * count / 10_000))
                mark = report.check(wrong <= limit, f"verify, {name}, q {q}: {wrong} times FIXED")
            print(f"| {name} | {q} | {wrong} of {count} | {power:.1%} | {pairs:.0f} ", end="")
            print(f"| {rarer:.1%} |{mark}", flush=True)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
