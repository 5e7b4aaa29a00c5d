# SPDX-License-Identifier: GPL-2.0-only
"""Cells as pure jobs: sent as JSON, run where there is no vmlinux, no tree, no race directory."""

import json
import os
import pickle
import shutil
import sys

import pytest
from test_cell import FAKE, GOOD, spec

from mmrace.definitions.race import load_race
from mmrace.definitions.window import Delays, Window
from mmrace.definitions.witness import Step, Witness
from mmrace.errors import InfraError
from mmrace.guests.accel import Accel
from mmrace.guests.printk import LogBuffer
from mmrace.guests.scheduler import Placed
from mmrace.home import Home
from mmrace.outcome import Outcome
from mmrace.runs.cell import Cell, run_cell
from mmrace.runs.options import RunOptions
from mmrace.runs.record import all_runs
from mmrace.symbols.resolve import Gate, Resolved
from mmrace.windows.plan import Plan, PlannedMeter, PlannedWindow

ADDRESS = 0xFFFFFFFF81000040
FIRST = Resolved("entry of f", (ADDRESS,))
GATED = Resolved("return of g from h", (ADDRESS + 8, ADDRESS + 16), Gate((1,), (2, 3)))
WINDOW = Window(name="w", hold=("entry of f",), until=("return of g from h",), timeout=2.5)
PLAN = Plan(
    windows=(PlannedWindow(WINDOW, FIRST, GATED),),
    delays=(GATED,),
    delay=Delays(points=(("entry of f",),), probability=0.25),
    meters=(PlannedMeter("m", FIRST, GATED),),
    seed=2**63 + 1,
)
WITNESS = Witness(
    race="r", workload="w", machine="m", seed=7, found_on="k", release="6.1.192", settle=0.3,
    patience=0.3, step=(Step(actor="M", point="entry of f"), Step(actor="E", seconds=0.1)),
)  # fmt: skip
PLACED = (Placed(WITNESS.step[0], frozenset([ADDRESS, 5])), Placed(WITNESS.step[1], frozenset()))


def cell(**changes):
    known = {
        "spec": spec(),
        "image": "abc.cpio",
        "accel": Accel("tcg", "asked for"),
        "log": LogBuffer(ADDRESS, 1 << 17),
    }
    return Cell(**{**known, **changes})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A worker's: only what cells name is there, and no mmrace data either."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    made = Home(tmp_path / "cache", tmp_path / "data")
    kernel = made.kernels / "k"
    kernel.mkdir(parents=True)
    (kernel / "config").write_text("CONFIG_SMP=y\n")
    made.images.mkdir(parents=True)
    (made.images / "abc.cpio").write_bytes(b"")
    return made


def script(home, text):
    (home.kernels / "k" / "bzImage").write_text(text, encoding="utf-8")


def full():
    """One that has everything."""
    replayed = spec(witness=WITNESS, options=RunOptions(seconds=2, steer=False))
    return cell(spec=replayed, plan=PLAN, module="kprobe-delay-0/delay.ko", placed=PLACED)


def test_a_cell_is_the_same_after_its_journey():
    sent = full()
    assert Cell.model_validate_json(sent.model_dump_json()) == sent
    assert pickle.loads(pickle.dumps(sent)) == sent  # noqa: S301
    assert Cell.model_validate(json.loads(json.dumps(sent.model_dump(mode="json")))) == sent


def test_the_races_that_there_are_make_the_journey():
    race = load_race("hugetlb-uffd")
    sent = cell(spec=spec(race=race, workload=race.workload[0]))
    assert Cell.model_validate_json(sent.model_dump_json()) == sent


def test_a_cell_needs_the_files_that_it_names_and_nothing_else(home, monkeypatch):
    """No vmlinux, no tree, no race directory, no machine file: all of that is in the cell."""
    for name, module in tuple(sys.modules.items()):
        if name.startswith("mmrace.") and hasattr(module, "data_dir"):
            monkeypatch.setattr(module, "data_dir", pytest.fail)
    script(home, GOOD)
    made = run_cell(home, Cell.model_validate_json(cell().model_dump_json()), str)
    assert made.judgement().outcome is Outcome.PASS
    assert made.id == cell().id
    named = {home.cache / name for name in cell().inputs}
    assert {path for path in home.cache.rglob("*") if path.is_file()} == named


def test_a_replay_is_a_cell_as_well(home):
    text = GOOD.partition("channel # out mmrace: count")[0]
    script(home, f"{text}sleep 0.5\nstand {ADDRESS}\nsleep 30\n")
    sent = full().model_copy(update={"plan": None, "module": ""})
    made = run_cell(home, Cell.model_validate_json(sent.model_dump_json()), str)
    assert made.judgement().outcome is Outcome.PASS
    assert made.replay().attempts[0].steps == 2
    assert made.spec().witness == WITNESS


@pytest.mark.parametrize("name", ["kernels/k/bzImage", "images/abc.cpio"])
def test_an_input_that_is_not_there_is_named(home, name):
    script(home, GOOD)
    (home.cache / name).unlink()
    with pytest.raises(InfraError, match=name):
        run_cell(home, cell(), str)
    assert not list(all_runs(home))


def test_a_cell_that_is_run_twice_counts_once(home):
    script(home, GOOD)
    first = run_cell(home, cell(), str)
    stamp = (first.folder / "qemu.json").stat().st_mtime_ns
    shutil.rmtree(home.kernels)
    again = run_cell(home, cell(), str)
    assert again == first
    assert (again.folder / "qemu.json").stat().st_mtime_ns == stamp
    assert len(list(all_runs(home))) == 1
