# SPDX-License-Identifier: GPL-2.0-only
"""Proof of exercise without a race's author: counts of functions.

For a comparison these are the functions that the series changes, for a bisection those of the
failing call trace. A run of "after" has to execute each of them a tenth as often as runs of
"before" did until they failed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.reproducer import EVENT, FUNCTIONS, FUNCTIONS_COUNTED
from mmrace.errors import NotHereError, UserError
from mmrace.home import Home
from mmrace.patching.applied import function_diff
from mmrace.patching.subject import read_change
from mmrace.symbols.countable import Countable
from mmrace.symbols.counted import KernelCounters
from mmrace.symbols.resolve import Resolver

SHARE = 0.1


@dataclass(frozen=True)
class Fitted:
    """A workload with what one kernel can count; ``notes``: functions that are not counted."""

    workload: Workload
    places: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Touched:
    """Functions (name, file) that differ between two commits.

    ``dropped``: (caller, callee) of each call whose line is in the first commit and not in the
    second.
    """

    functions: tuple[tuple[str, str], ...]
    dropped: frozenset[tuple[str, str]] = frozenset()


def touched_by(home: Home, before: str, after: str) -> Touched:
    """Return the functions that the change between two commits touches."""
    change = read_change(function_diff(home, before, after))
    files = (".c", ".h")
    functions = tuple((name, file) for name, file in change.changed if file.endswith(files))
    return Touched(functions, change.dropped)


def compiled(
    functions: Iterable[tuple[str, str]], resolvers: Sequence[Resolver]
) -> list[tuple[str, str]]:
    """Return the functions that either kernel has, up to FUNCTIONS_COUNTED.

    Functions of drivers and architectures that are not built must not use up that number.
    """
    found: list[tuple[str, str]] = []
    for name, file in functions:
        foreign = file.startswith("arch/") and not file.startswith("arch/x86/")
        if not foreign and any(_has(one, f"entry of {file}:{name}") for one in resolvers):
            found.append((name, file))
        if len(found) == FUNCTIONS_COUNTED:
            break
    return found


def _has(resolver: Resolver, point: str) -> bool:
    with suppress(UserError):
        return bool(resolver.resolve([point]).addresses)
    return False


def min_counts(
    runs: Sequence[Mapping[str, int]],
    dropped: Collection[tuple[str, str]] = (),
    share: float = SHARE,
) -> dict[str, int]:
    """Return min counts for later runs, from the counters of failed runs of the bad kernel.

    None for a function that no such run executed. None for the callee of a call that the fix
    removes (``dropped``), as removing it may be the whole fix; the caller gets one, so that the
    place of the removed call is executed.
    """
    names = {name for counters in runs for name in counters if name.startswith("probe:")}
    executed: dict[str, float] = {}
    for name in sorted(names):
        if counts := [counters[name] for counters in runs if counters.get(name)]:
            executed[name.removeprefix("probe:")] = median(counts)
    spared = _find_spared(executed, dropped)
    return {
        f"probe:{name}": max(1, int(share * count))
        for name, count in executed.items()
        if name not in spared
    }


def _find_spared(executed: Collection[str], dropped: Collection[tuple[str, str]]) -> set[str]:
    """Callees of removed calls, reached from an executed function that gets a min count."""
    calls = {(caller[:EVENT], callee[:EVENT]) for caller, callee in dropped}
    calls = {call for call in calls if set(call) <= set(executed)}
    called = {callee for _, callee in calls}
    reached = set(executed) - called
    while more := {callee for caller, callee in calls if caller in reached} - reached:
        reached |= more
    return reached & called


def name_counters(race: Race, workload: Workload, kernel: KernelCounters, release: str) -> Workload:
    """Return the workload with each counter under the name that this kernel has for it.

    A counter is ``vmstat:NAME``, or ``vmstat:NAME|NAME`` for names of different kernels; a probe
    has alternatives of its own. NotHereError names a counter that the kernel does not have, before
    a run would find only zeros.
    """
    counts = {}
    for counter, least in workload.min_counts.items():
        named = counter
        kind, _, name = counter.partition(":")
        if kind == "vmstat" and kernel.vmstat is not None:
            here = [one for one in name.split("|") if one in kernel.vmstat]
            if not here:
                raise _vanished(workload, counter, release, "no such counter in /proc/vmstat")
            named = f"vmstat:{here[0]}"
        elif kind == "probe":
            _check_probe(race, workload, name, kernel, release)
        counts[named] = least
    return workload.model_copy(update={"min_counts": counts})


def _check_probe(
    race: Race, workload: Workload, name: str, kernel: KernelCounters, release: str
) -> None:
    probe = next((one for one in race.probe if one.name == name), None)
    if probe and not probe.every and not kernel.functions & set(probe.function):
        tried = ", ".join(probe.function)
        raise _vanished(workload, f"probe:{name}", release, f"no function of these: {tried}")


def _vanished(workload: Workload, counter: str, release: str, why: str) -> NotHereError:
    return NotHereError(
        f"workload {workload.name} counts {counter}, but linux {release} has {why}; "
        "add its name in this version to race.toml"
    )


def fit_to_kernel(workload: Workload, countable: Countable) -> Fitted:
    """Drop probes of functions that the kernel does not have or cannot count."""
    refused = countable.refused
    absent = {f"probe:{name}" for name in workload.probes if name in refused}
    counts = {name: count for name, count in workload.min_counts.items() if name not in absent}
    if not countable.places:
        counts.pop(FUNCTIONS, None)
    notes = tuple(
        f"{name} is not counted: {refused[name]}" for name in workload.probes if name in refused
    )
    return Fitted(workload.model_copy(update={"min_counts": counts}), countable.places, notes)
