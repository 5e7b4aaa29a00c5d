# SPDX-License-Identifier: GPL-2.0-only
"""What a verdict on one path excludes, in words."""

from mmrace.verdicts.verdict import Statement, Verdict

_AS_OFTEN = 0.995  # a bound on the ratio that two digits show as 1 excludes nothing more


def exclusions(statement: Statement) -> tuple[str, ...]:
    """Say what is excluded and how surely, what is left open, and what an assumption adds.

    Nothing for NOT_FIXED: the failure was seen.
    """
    if statement.verdict is Verdict.NOT_FIXED:
        return ()
    return (*_rests_on_pairs(statement), *_rests_on_hazard(statement))


def _rests_on_pairs(statement: Statement) -> tuple[str, ...]:
    pairs, chance = statement.discordant, 2.0**-statement.discordant
    exact = f"only before failed in {pairs} pairs: p = 2^-{pairs} = {chance:.2g}, exact"
    if statement.verdict is not Verdict.FIXED:
        return (f"not excluded: that the kernel after fails as often as before ({exact})",)
    rarely = f"in less than {100 * statement.rate_bound_after:.2g} % of its runs"
    if statement.ratio_bound is not None and statement.ratio_bound < _AS_OFTEN:
        rarely += f" and less than {statement.ratio_bound:.2g} times as often as before"
    return (
        f"excluded: that the kernel after fails as often as before ({exact})",
        f"not excluded: that it fails {rarely} (alpha {statement.alpha:g})",
    )


def _rests_on_hazard(statement: Statement) -> tuple[str, ...]:
    stress, bound = statement.stress, statement.hazard_ratio_bound
    if bound is None or not stress.clean:
        return ()
    text = f"the kernel after held for {stress.clean:.0f} s in the race phase"
    if stress.median is not None and stress.medians is not None:
        text += f", {stress.medians:.0f} times the median time to failure before"
        text += f" ({stress.median:.2g} s)"
    return (
        f"assuming a constant failure rate: {text}; its rate per second is below "
        f"{bound:.2g} times that of before (alpha {statement.alpha:g})",
    )
