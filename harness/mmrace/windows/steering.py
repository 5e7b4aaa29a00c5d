# SPDX-License-Identifier: GPL-2.0-only
"""What steers one run: a race's windows, resolved for one kernel, and who holds in them."""

from pathlib import Path

from mmrace.definitions.race import Race
from mmrace.symbols.resolve import Resolver
from mmrace.symbols.unprobeable import read_unprobeable
from mmrace.windows import delay
from mmrace.windows.delay import Delay
from mmrace.windows.plan import Plan, make_plan


def plan_for(race: Race, workload: str, resolver: Resolver, seed: int) -> Plan | None:
    """Return what the director does for a workload of a race, None when nothing steers it.

    Raises UserError for a point that the kernel does not have.
    """
    windows = race.windows_for(workload)
    if not windows and not race.delays:
        return None
    return make_plan(windows, resolver, seed, race.delays)


def delay_for(race: Race, workload: str, resolver: Resolver, seed: int, module: Path) -> Delay:
    """Return the windows of a workload of a race for the module in the guest.

    ``module`` is built for the resolver's kernel, whose System.map is beside its vmlinux. Raises
    UserError for a point that the kernel does not have, or that kprobes cannot implement.
    """
    plan = make_plan(race.windows_for(workload), resolver, seed, race.delays)
    unprobeable = read_unprobeable(resolver.vmlinux, resolver.vmlinux.with_name("System.map"))
    return delay.delay_for(plan, module, unprobeable)
