# SPDX-License-Identifier: GPL-2.0-only
"""Builds of patches from outside: they share nothing that they can write."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fakes.kernellab import FAKE, Lab, on_the_host, same_in_other_words
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
