# SPDX-License-Identifier: GPL-2.0-only
"""Modules for a kernel, built in its build directory."""

from dataclasses import replace
from pathlib import Path

import pytest

from fakes.kernellab import Lab
from mmrace.errors import BuildError


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.c").write_text("int toy;\n")
    return folder


def test_a_module_is_built_in_its_kernels_bench_and_kept(lab: Lab, toy: Path) -> None:
    kernel = lab.build()
    made = lab.module(kernel, toy)
    assert made.name == "toy.ko"
    assert made.is_relative_to(lab.home.programs)
    assert "building toy" in lab.messages
    assert len(lab.benches()) == 1
    assert lab.module(kernel, toy) == made
    assert lab.messages == []
    assert lab.build().id == kernel.id


def test_a_module_of_other_sources_or_another_kernel_is_another_one(lab: Lab, toy: Path) -> None:
    kernel = lab.build()
    first = lab.module(kernel, toy)
    (toy / "toy.c").write_text("int other;\n")
    second = lab.module(kernel, toy)
    third = lab.module(replace(kernel, id="another"), toy)
    assert len({first, second, third}) == 3


def test_a_module_that_does_not_compile_says_why(lab: Lab, toy: Path) -> None:
    (toy / "toy.c").write_text("int toy\n")
    with pytest.raises(BuildError, match=r"toy\.c"):
        lab.module(lab.build(), toy)


def test_a_module_of_patches_from_outside_leaves_no_bench(lab: Lab, toy: Path) -> None:
    kernel = lab.build(outside=True)
    assert lab.module(kernel, toy, outside=True).is_file()
    assert [bench for bench in lab.benches() if bench.build.is_dir()] == []
    assert not [bench for bench in lab.benches() if "outside" in bench.name]
