# SPDX-License-Identifier: GPL-2.0-only
"""What steers one run: a race's windows, resolved for one kernel, and the director for them."""

from mmrace.definitions.race import Race
from mmrace.home import Home
from mmrace.symbols.resolve import Resolver
from mmrace.windows.director import Director, build
from mmrace.windows.plan import make_plan


def director_for(
    home: Home, race: Race, workload: str, resolver: Resolver, seed: int
) -> Director | None:
    """Return the director for a workload of a race, None when nothing steers it.

    Raises UserError for a point that the kernel does not have, BuildError when the plugin does
    not compile.
    """
    windows = race.windows_for(workload)
    if not windows and not race.delays:
        return None
    return Director(make_plan(windows, resolver, seed, race.delays), build(home))
