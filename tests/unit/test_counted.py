# SPDX-License-Identifier: GPL-2.0-only
"""Counters that a kernel has, read from an ELF file with a table like the kernel's."""

import subprocess
from pathlib import Path

import pytest

from mmrace.definitions.race import Race
from mmrace.errors import NotHereError, UserError
from mmrace.runs.exercise import name_counters
from mmrace.symbols.counted import KernelCounters, read_counters

SOURCE = """
const char * const vmstat_text[] = { "nr_free_pages", "pgmigrate_success", "thp_split_page" };
const char other[] = "pgmigrate_fail";
__attribute__((noinline)) int take_table(int n) { return n + other[n]; }
int _start(void) { return take_table(1) + vmstat_text[1][0]; }
"""


@pytest.fixture
def vmlinux(tmp_path: Path) -> Path:
    (tmp_path / "k.c").write_text(SOURCE)
    words = ["-nostdlib", "-static", "-no-pie", "-O1", "-o", "vmlinux", "k.c"]
    subprocess.run(["/usr/bin/gcc", *words], cwd=tmp_path, check=True, capture_output=True)
    listed = subprocess.run(
        ["/usr/bin/nm", "vmlinux"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    (tmp_path / "System.map").write_text(listed.replace(" take_table\n", " take_table.isra.0\n"))
    return tmp_path / "vmlinux"


def race(**counted: int) -> Race:
    return Race.model_validate(
        {
            "name": "r",
            "title": "t",
            "summary": "s",
            "signature": [{"title": "x"}],
            "probe": [
                {"name": "taken", "function": ["gone_by_now", "take_table"]},
                {"name": "lost", "function": ["gone_by_now", "gone_too"]},
            ],
            "path": [{"name": "p", "summary": "s", "workloads": ["w"]}],
            "workload": [
                {
                    "name": "w",
                    "summary": "s",
                    "source": "stressor",
                    "argv": ["w"],
                    "sources": ["w.c"],
                    "min_counts": {name.replace("__", ":"): n for name, n in counted.items()},
                }
            ],
        }
    )


def named(kernel: KernelCounters, **counted: int) -> dict[str, int]:
    made = race(**counted)
    return name_counters(made, made.workload[0], kernel, "7.3.4").min_counts


def test_counters_are_read_from_the_kernel(vmlinux: Path) -> None:
    kernel = read_counters(vmlinux, vmlinux.with_name("System.map"))
    assert kernel.vmstat == {"nr_free_pages", "pgmigrate_success", "thp_split_page"}
    assert kernel.functions >= {"take_table", "_start"}
    assert "vmstat_text" not in kernel.functions


def test_a_counter_has_the_name_of_its_kernel(vmlinux: Path) -> None:
    kernel = read_counters(vmlinux, vmlinux.with_name("System.map"))
    min_counts = {"moved": 1, "vmstat__thp_split|thp_split_page": 5, "probe__taken": 2}
    assert named(kernel, **min_counts) == {"moved": 1, "vmstat:thp_split_page": 5, "probe:taken": 2}


def test_a_counter_that_vanished_is_an_error_before_a_run(vmlinux: Path) -> None:
    kernel = read_counters(vmlinux, vmlinux.with_name("System.map"))
    words = "workload w counts vmstat:pgmigrate_fail, but linux 7.3.4 has no such counter in /proc"
    with pytest.raises(NotHereError, match=words):
        named(kernel, vmstat__pgmigrate_fail=1)
    words = (
        "counts probe:lost, but linux 7.3.4 has no function of these: gone_by_now, gone_too; add"
    )
    with pytest.raises(NotHereError, match=words):
        named(kernel, probe__lost=1)


def test_a_kernel_whose_table_is_not_known_is_asked_in_the_guest(vmlinux: Path) -> None:
    symbols = vmlinux.with_name("System.map")
    lines = [line for line in symbols.read_text().splitlines() if "vmstat_text" not in line]
    symbols.write_text("\n".join(lines))
    kernel = read_counters(vmlinux, symbols)
    assert named(kernel, vmstat__anything=1) == {"vmstat:anything": 1}
    with pytest.raises(UserError, match=r"gone: cannot be read"):
        read_counters(vmlinux, vmlinux.with_name("gone"))
