# SPDX-License-Identifier: GPL-2.0-only
"""Builds of patches from outside: they share nothing that they can write."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fakes import kernellab
from fakes.kernellab import FAKE, ROOT, Lab, on_the_host, same_in_other_words
from mmrace.proc import Sandbox


def test_outside_patches_share_nothing_they_can_write(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, str]] = []

    def spy(self: Sandbox, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        for bind in self.binds:
            if bind.inside == "/ccache":
                seen.append((bind.writable, env.get("CCACHE_READONLY", "")))
            if bind.inside == "/src":
                assert not bind.writable
        return on_the_host(self, argv, env)

    monkeypatch.setattr(Sandbox, "wrap", spy)
    lab.build("a")
    assert set(seen) == {(True, "")}
    seen.clear()
    lab.build("b", outside=True)
    assert set(seen) == {(False, "1")}
    assert [bench.name for bench in lab.benches() if "outside" in bench.name] == []


def test_outside_patches_build_what_they_change_and_nobody_sees_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = lab.build("a")
    (bench,) = lab.benches()
    before = {path: path.read_bytes() for path in bench.build.rglob("*.o")}
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 4;\n}\n")
    outside = lab.build("b", outside=True)
    assert lab.compiled() == ["mm/rmap.o"]
    assert outside.vmlinux.read_bytes() != trusted.vmlinux.read_bytes()
    assert {path: path.read_bytes() for path in bench.build.rglob("*.o")} == before
    assert not list(lab.home.builds.glob("*-outside"))
    shutil.copyfile(FAKE / "mm/rmap.c", lab.tree / "mm/rmap.c")
    shutil.rmtree(trusted.folder)
    again = lab.build("a")
    assert again.id == trusted.id
    assert lab.compiled() == ["mm/rmap.o"]


def returns(lab: Lab, number: int) -> None:
    (lab.tree / "mm/rmap.c").write_text(f"int rmap(void)\n{{\n\treturn {number};\n}}\n")


def test_before_outside_patches_the_tree_without_them_is_built(lab: Lab) -> None:
    """Once: what is built of the patches is thrown away, and there may be many of them."""
    lab.root = ROOT
    returns(lab, 4)
    first = lab.build("a", outside=True)
    assert sorted(set(lab.compiled())) == ["init/main.o", "mm/migrate.o", "mm/rmap.o"]
    assert lab.compiled().count("mm/rmap.o") == 2
    returns(lab, 5)
    second = lab.build("b", outside=True)
    assert lab.compiled() == ["mm/rmap.o"]
    assert first.id != second.id
    assert lab.build(ROOT[1]).reused


def test_before_outside_patches_another_tree_makes_way(lab: Lab) -> None:
    lab.build(ROOT[1])  # its kernel is there, its objects are not
    returns(lab, 3)
    lab.build("b")
    lab.root = ROOT
    returns(lab, 4)
    lab.build("c", outside=True)
    assert lab.compiled() == ["mm/rmap.o", "mm/rmap.o"]
    returns(lab, 5)
    lab.build("d", outside=True)
    assert lab.compiled() == ["mm/rmap.o"]


def test_outside_patches_may_make_a_tree_compile(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = lab.tree.parent / "broken"
    shutil.copytree(FAKE, broken)
    (broken / "mm/rmap.c").write_text("int rmap(void) { return unknown; }\n")
    monkeypatch.setattr(kernellab, "FAKE", broken)
    lab.root = ROOT
    assert not lab.build("a", outside=True).reused
    returns(lab, 4)
    lab.build("b", outside=True)
    assert lab.compiled().count("init/main.o") == 1  # nobody tries to build that tree again


def test_outside_patches_do_not_begin_with_what_a_killed_build_left(lab: Lab) -> None:
    lab.build("a")
    (bench,) = lab.benches()
    (bench.build / "mm/migrate.o").write_bytes(b"cut")
    bench.remember(building=[time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)])
    built = lab.build("b", outside=True)
    assert len(lab.compiled()) == 3
    assert b"cut" not in built.vmlinux.read_bytes()


def test_outside_patches_find_what_an_equal_config_has_built(lab: Lab, tmp_path: Path) -> None:
    lab.build()
    same = same_in_other_words(tmp_path)
    assert lab.build(configs=same).reused
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 9;\n}\n")
    lab.build("b", configs=same, outside=True)
    assert lab.compiled() == ["mm/rmap.o"]
    shutil.rmtree(lab.home.kernels)
    for bench in lab.benches():
        if not list(bench.build.glob("mm/*.o")):
            shutil.rmtree(bench.folder)  # nobody knows of the other request any more
    lab.build("c", configs=same, outside=True)
    assert lab.compiled() == ["mm/rmap.o"]
    assert not list(lab.home.builds.glob("*-outside"))
