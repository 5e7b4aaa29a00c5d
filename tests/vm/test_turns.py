# SPDX-License-Identifier: GPL-2.0-only
"""Turns of real vCPUs, where the command line has no way to the case."""

import os
import time
from contextlib import contextmanager

from mmrace.definitions.race import load_race
from mmrace.guests.turns import Turns
from mmrace.home import Home
from mmrace.judging.oracle import Oracle
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.runs.replay import start

TREE = "debian:6.1"


@contextmanager
def quiet(_title):
    yield lambda _text: None


def test_a_guest_that_powers_itself_off_is_over_and_was_listened_to_until_then():
    """Its workload ends with a second left: the replays of the command line have ten minutes."""
    home = Home.from_environment(os.environ)
    race = load_race("khugepaged-retract")
    built = kernels.build(home, TREE, ("vulnerable", "fixes"), (), quiet)
    options = RunOptions(accel="tcg", seconds=1, seed=1, steer=False)
    cell = Planner(home, quiet).plan(built, race, race.workload[0], options)
    with start(home, cell.spec, cell.parts(home)) as kept:
        guest = kept.restore()
        turns = Turns(guest, Oracle(race, race.workload[0]))
        begun = time.monotonic()
        assert turns.let_go(60) is None
        assert time.monotonic() - begun < 30
        assert turns.over
        assert guest.channel.endswith(b"# end\n"), guest.channel
        assert turns.run(turns.threads, frozenset([1]), {}, time.monotonic() + 5) is None
        assert turns.let_go(1) is None
