# SPDX-License-Identifier: GPL-2.0-only
"""Kills ``mmrace attack`` at random moments, and looks at what is left: attackkills.py COUNT SEED.

As kills.py does it; the toy kernel has no debug information, so its accesses are made up here, and
the fake QEMU says what came of schedules over them.
"""

import json
import sys
from typing import Any

from fakes import kills
from mmrace.building.kernel import Kernel
from mmrace.cli import search
from mmrace.experiments import hunter
from mmrace.home import Home
from mmrace.searching import search as searching
from mmrace.searching.ground import Ground
from mmrace.searching.profile import load_profile
from mmrace.symbols.accesses import AccessSite

SECONDS = 8.0
SCHEDULES = 7  # of a boot under schedules, says the guest
SITES = (AccessSite(1, "one", 2), AccessSite(5, "other", 6))
PRELOADED = (search,)


def made_ground(home: Home, _resolver: Any, kernel: str, workload: str, _files: Any) -> Ground:
    """Two accesses, and the profile that is kept of them."""
    path = home.cache / "profiles" / kernel / f"{workload}.json"
    return Ground(SITES, None, load_profile(path), path)


class Lab(kills.Lab):
    """An attack that is being killed."""

    moments = (0.5, 2.0)

    def kinds(self, count: int) -> tuple[str, ...]:
        """Begin where all is built: a boot takes a second then."""
        return (self.warm(),)

    @property
    def words(self) -> list[str]:
        """The command."""
        verify = super().words
        at = verify.index("--alpha")
        return ["--json", "attack", *verify[2:at], "--for", f"{SECONDS:g}s"]

    def ripe(self) -> bool:
        """Whether this process has begun a boot; every other time, whether it has made one."""
        made = len(list(self.home.runs.glob("[!.]*"))) > len(self.before)
        return made or (self.kills % 2 == 0 and any(self.home.runs.glob(".tmp-*")))

    def counted_once(self) -> None:
        """What the attack told is of each run that there is, once; and of its time alone."""
        document = json.loads((self.top / "out").read_text())
        counted = [run["id"] for run in document["runs"]]
        assert len(counted) == len(set(counted)), counted
        assert set(counted) == self.runs(), "a run was lost or not counted"
        held = [run for run in document["runs"] if run["way"] == "schedules"]
        assert document["schedules"] == SCHEDULES * len(held) > 0
        assert document["pairs"] == 1
        assert (document["failure"], document["trouble"]) == (None, "")
        ended = sum(run["seconds"] for run in document["runs"][:-1])  # one after another
        assert ended < SECONDS <= document["seconds"], f"{ended} s in {counted}"


if __name__ == "__main__":
    hunter.survey = made_ground  # type: ignore[assignment]
    searching.WATCHES = 1  # a busy host takes seconds for a boot
    Kernel.has_debug_info = property(lambda _kernel: True)  # type: ignore[assignment]
    kills.main(int(sys.argv[1]), int(sys.argv[2]), Lab)
