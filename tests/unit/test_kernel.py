# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: what an id depends on, and who shares a build directory."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fakes.kernellab import Lab, base, on_the_host, same_in_other_words
from mmrace.building import checkout as checkout_module
from mmrace.building import request as request_module
from mmrace.building import tools
from mmrace.building.directory import BuildDirectory
from mmrace.building.kernel import load_kernel
from mmrace.building.tools import missing_tools
from mmrace.errors import InfraError
from mmrace.proc import Sandbox


def test_a_kernel_is_published_whole(lab: Lab) -> None:
    built = lab.build()
    assert built.release == "6.1.192"
    assert not built.reused
    assert built.folder == lab.home.kernels / built.id
    assert built.image.read_bytes() == built.vmlinux.read_bytes() != b""
    assert "CONFIG_COMPACTION=y" in built.config.read_text()
    assert (built.folder / "System.map").is_file()
    assert sorted(lab.compiled()) == ["init/main.o", "mm/migrate.o", "mm/rmap.o"]
    assert not list(lab.home.kernels.glob(".tmp-*"))


def test_nothing_to_do_does_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lab.build()
    monkeypatch.setattr(checkout_module, "checkout", None)
    started = time.monotonic()
    again = lab.build()
    assert time.monotonic() - started < 1
    assert again.reused
    assert again.id == first.id
    assert lab.messages == []


def test_a_variant_is_built_in_the_same_bench(lab: Lab) -> None:
    first = lab.build("a")
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 1;\n}\n")
    second = lab.build("b")
    assert second.id != first.id
    assert lab.compiled() == ["mm/rmap.o"]
    assert len(lab.benches()) == 1
    assert first.vmlinux.read_bytes() != second.vmlinux.read_bytes()


def test_equal_configs_of_different_requests_are_one_kernel(lab: Lab, tmp_path: Path) -> None:
    first = lab.build()
    same = tmp_path / "same.config"
    same.write_text("# a comment only\nCONFIG_MIGRATION=y\n")
    second = lab.build(configs=["migration", same])
    assert second.id == first.id
    assert second.reused
    assert lab.compiled() == []


def test_requests_with_equal_configs_share_a_bench(lab: Lab, tmp_path: Path) -> None:
    lab.build()
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 7;\n}\n")
    lab.build("b", configs=same_in_other_words(tmp_path))
    assert lab.compiled() == ["mm/rmap.o"]
    assert len([bench for bench in lab.benches() if list(bench.build.glob("mm/*.o"))]) == 1
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 8;\n}\n")
    lab.build("c", configs=same_in_other_words(tmp_path))
    assert lab.compiled() == ["mm/rmap.o"]
    assert "configuring" in lab.messages
    shared = next(bench for bench in lab.benches() if (bench.build / "configured").is_file())
    assert (shared.build / "configured").read_text().count("\n") == 1


def test_a_bench_that_was_configured_otherwise_is_not_shared(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build()
    (bench,) = lab.benches()
    first = BuildDirectory.has_built
    answers = iter([True, False])  # another process was faster
    monkeypatch.setattr(
        BuildDirectory, "has_built", lambda *words: next(answers, False) and first(*words)
    )
    lab.build("b", configs=same_in_other_words(tmp_path))
    assert len([one for one in lab.benches() if (one.build / "mm/rmap.o").is_file()]) == 2
    assert len(bench.configured) == 1


@pytest.mark.parametrize("change", ["tree", "config", "env", "tools"])
def test_what_an_id_depends_on(lab: Lab, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    first = lab.build()
    if change == "tools":
        monkeypatch.setattr(request_module, "toolchain", lambda _env: ("gcc 13", "ld 2"))
    second = lab.build(
        "b" if change == "tree" else "a",
        ["migration", "hugetlb"] if change == "config" else ["migration"],
        base(env={"WERROR": "0"}) if change == "env" else None,
    )
    assert second.id != first.id
    assert not second.reused


def test_a_cleaned_kernel_is_built_again(lab: Lab) -> None:
    first = lab.build()
    shutil.rmtree(first.folder)
    assert load_kernel(lab.home, first.id) is None
    again = lab.build()
    assert again.id == first.id
    assert not again.reused


def test_missing_tools_are_named_with_their_packages() -> None:
    def which(tool: str) -> str | None:
        return None if tool in ("bwrap", "flex") else f"/usr/bin/{tool}"

    error = missing_tools(which)
    assert error is not None
    assert "bwrap, flex missing" in error.message
    assert "install: bubblewrap flex" in error.message
    assert missing_tools(lambda tool: tool) is None


def test_toolchain_reads_the_first_lines() -> None:
    gcc, linker = tools.toolchain({})
    assert "gcc" in gcc
    assert "ld" in linker.lower()
    with pytest.raises(InfraError, match="no-such-gcc"):
        tools.toolchain({"CC": "no-such-gcc"})


def test_make_sees_the_fixed_paths_and_environment(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def spy(self: Sandbox, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        calls.append((list(argv), dict(env)))
        return on_the_host(self, argv, env)

    monkeypatch.setattr(Sandbox, "wrap", spy)
    lab.build(on=base(env={"WERROR": "0", "CC": "gcc-11"}))
    words, env = calls[-1]
    assert words[0] == "make"
    assert {"-C", "/src", "O=/build", "CC=ccache gcc-11"} <= set(words)
    assert env["WERROR"] == "0"
    assert env["LOCALVERSION"] == ""
    assert env["KBUILD_BUILD_USER"] == "mmrace"
