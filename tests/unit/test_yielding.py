# SPDX-License-Identifier: GPL-2.0-only
"""A whole config keeps its own way of scheduling, and is told where mmrace would have another."""

from pathlib import Path

from fakes.kernellab import Lab
from mmrace.building.kconfig import dispensable, load_fragment, parse_fragment, yielding

WHOLE = """# Automatically generated file; DO NOT EDIT.
# CONFIG_PREEMPT is not set
CONFIG_PREEMPT_VOLUNTARY=y
CONFIG_NR_CPUS=8192
CONFIG_LOG_BUF_SHIFT=18
CONFIG_MIGRATION=y
CONFIG_DEBUG_INFO=y
"""


def test_a_whole_config_decides_how_the_kernel_schedules(lab: Lab, tmp_path: Path) -> None:
    whole = tmp_path / "config-of-a-distribution"
    whole.write_text(WHOLE)
    built = lab.build(configs=["base", whole])
    lines = built.config.read_text().splitlines()
    assert "CONFIG_PREEMPT=y" not in lines
    assert {"CONFIG_PREEMPT_VOLUNTARY=y", "CONFIG_NR_CPUS=8192"} <= set(lines)
    assert "CONFIG_HZ_1000=y" in lines  # of which this config says nothing
    notes = [note for note in built.notes if "decides" in note]
    assert notes == [
        "CONFIG_NR_CPUS=64 (configs/base.config) is 8192: the config decides that",
        "CONFIG_PREEMPT=y (configs/base.config) is n: the config decides that",
    ]


def test_a_fragment_of_the_users_own_decides_over_the_whole_config(
    lab: Lab, tmp_path: Path
) -> None:
    whole, own = tmp_path / "whole", tmp_path / "own.config"
    whole.write_text(WHOLE)
    own.write_text("CONFIG_PREEMPT=y\n# CONFIG_PREEMPT_VOLUNTARY is not set\n")
    built = lab.build(configs=["base", whole, own])
    assert "CONFIG_PREEMPT=y" in built.config.read_text().splitlines()
    assert not any("CONFIG_PREEMPT=" in note for note in built.notes)


def test_only_what_a_guest_works_without_yields() -> None:
    base = {option.name for option in parse_fragment(load_fragment("base"), (6, 1))}
    assert yielding() <= dispensable()
    assert {"PREEMPT", "HZ_1000", "NO_HZ_IDLE"} <= yielding() & base
