# SPDX-License-Identifier: GPL-2.0-only
"""Builds of the toy tree in tests/fakes/linux: real make and gcc, no sandbox, no real kernel."""

import errno
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.building import build as building
from mmrace.building import checkout as checkout_module
from mmrace.building import directory as directory_module
from mmrace.building import kernelconfig, tools
from mmrace.building import request as request_module
from mmrace.building.build import build_kernel
from mmrace.building.directory import BuildDirectory
from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.module import build_module
from mmrace.building.request import Request, built_among, request_kernel
from mmrace.building.tools import missing_tools
from mmrace.definitions.base import Base, Build, Mark, Need
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.home import Home
from mmrace.proc import Completed, Sandbox

FAKE = Path(__file__).parents[1] / "fakes" / "linux"


def base(env: dict[str, str] | None = None, config: tuple[str, ...] = ()) -> Base:
    return Base(
        name="6.1", versions="~=6.1.0", tested="6.1.192", build=Build(env=env or {}, config=config)
    )


def on_the_host(self: Sandbox, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Do without a namespace: put the host's paths in the place of those inside."""
    hosts = {bind.inside: str(bind.host) for bind in self.binds}
    names = "|".join(re.escape(name) for name in hosts)
    words = [re.sub(rf"(?<![\w/])({names})\b", lambda m: hosts[m[1]], word) for word in argv]
    settings = [f"{key}={value}" for key, value in env.items()]
    return ["env", "-i", f"PATH={os.environ['PATH']}", *settings, *words]


class Lab:
    """A home, and a tree whose files a test changes between builds."""

    def __init__(self, top: Path) -> None:
        self.home = Home(top / "cache", top / "data")
        self.tree = top / "tree"
        self.messages: list[str] = []
        shutil.copytree(FAKE, self.tree)

    def checkout(self, _home: Home, _commit: str, folder: Path) -> None:
        for path in self.tree.rglob("*"):
            there = folder / path.relative_to(self.tree)
            if path.is_dir():
                there.mkdir(parents=True, exist_ok=True)
            elif not there.exists() or there.read_bytes() != path.read_bytes():
                there.unlink(missing_ok=True)  # as git does: files may have other names
                shutil.copyfile(path, there)

    def build(
        self,
        tree_hash: str = "a",
        configs: Sequence[str | Path] = ("migration",),
        on: Base | None = None,
        outside: bool = False,
        touched: Sequence[tuple[str, str]] = (),
    ) -> Kernel:
        self.messages.clear()
        wanted = self.request(tree_hash, configs, on, outside, touched)
        return build_kernel(self.home, wanted, self.messages.append)

    def request(
        self,
        tree_hash: str = "a",
        configs: Sequence[str | Path] = ("migration",),
        on: Base | None = None,
        outside: bool = False,
        touched: Sequence[tuple[str, str]] = (),
    ) -> Request:
        commit = f"commit-{tree_hash}"
        return request_kernel(
            self.home, commit, tree_hash, on or base(), configs, outside=outside, touched=touched
        )

    def module(self, kernel: Kernel, sources: Path, outside: bool = False) -> Path:
        self.messages.clear()
        wanted = self.request(outside=outside)
        return build_module(self.home, kernel, wanted, sources, self.messages.append)

    def compiled(self) -> list[str]:
        return [text.split()[-1] for text in self.messages if text.endswith(".o")]

    def benches(self) -> list[BuildDirectory]:
        return [BuildDirectory(self.home, path.name) for path in self.home.builds.glob("*")]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    monkeypatch.setattr(Sandbox, "wrap", on_the_host)
    monkeypatch.setattr(checkout_module, "checkout", made.checkout)
    monkeypatch.setattr(building, "check_names", lambda *_args: None)  # there is no git
    monkeypatch.setattr(request_module, "missing_tools", lambda **_named: None)
    monkeypatch.setattr(request_module, "toolchain", lambda _env: ("gcc 12", "ld 2"))
    monkeypatch.setattr(request_module, "find_needs", lambda *_args: ())
    return made


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


def same_in_other_words(tmp_path: Path) -> list[str | Path]:
    path = tmp_path / "same.config"
    path.write_text("# a comment only\nCONFIG_MIGRATION=y\n")
    return ["migration", path]


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


def test_configuring_is_skipped_until_a_kconfig_file_changes(lab: Lab) -> None:
    lab.build("a")
    count = lab.benches()[0].build / "configured"
    assert count.read_text().count("\n") == 1
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 2;\n}\n")
    lab.build("b")
    assert count.read_text().count("\n") == 1
    (lab.tree / "Kconfig").write_text("# SPDX-License-Identifier: GPL-2.0-only\n")
    lab.build("c")
    assert count.read_text().count("\n") == 2


def test_the_base_adds_lines_and_the_user_overrides(lab: Lab, tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("# CONFIG_COMPACTION is not set\n")
    built = lab.build(configs=["migration", mine], on=base(config=("CONFIG_PREEMPT=y",)))
    lines = built.config.read_text().splitlines()
    assert "CONFIG_PREEMPT=y" in lines
    assert "# CONFIG_COMPACTION is not set" in lines


def test_a_trees_own_needs_are_in_its_kernels_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Mark(file="mm/rmap.c", contains="anything")
    need = Need(lines=("CONFIG_PREEMPT=y",), marks=(mark,), why="it does not link without")
    needs = {"b": (need,)}
    monkeypatch.setattr(request_module, "find_needs", lambda _home, tree: needs.get(tree, ()))
    plain, needy = lab.build("a"), lab.build("b")
    assert "CONFIG_PREEMPT=y" not in plain.config.read_text()
    assert "CONFIG_PREEMPT=y" in needy.config.read_text()
    assert built_among(lab.home, ["a", "b", "c"], base(), ["migration"]) == {"a", "b"}


def test_other_starts(lab: Lab, tmp_path: Path) -> None:
    built = lab.build(configs=["migration", "x86_64_defconfig"])
    assert "CONFIG_FROM_DEFCONFIG=y" in built.config.read_text()
    whole = tmp_path / "config-6.1"
    whole.write_text("# Automatically generated file; DO NOT EDIT.\nCONFIG_FROM_WHOLE=y\n")
    built = lab.build(configs=["migration", whole])
    assert "CONFIG_FROM_WHOLE=y" in built.config.read_text()
    assert "CONFIG_COMPACTION=y" in built.config.read_text()
    with pytest.raises(UserError, match="no arm_defconfig"):
        lab.build(configs=["arm_defconfig"])


def test_an_option_that_did_not_stick_stops_the_build(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_REFUSED=y\n")
    reasons = {"REFUSED": "it depends on ACPI (ACPI=n)"}
    monkeypatch.setattr(kernelconfig, "explain", lambda _bench, _missed: reasons)
    with pytest.raises(BuildError) as caught:
        lab.build(configs=["migration", mine])
    assert caught.value.message == (
        f"CONFIG_REFUSED=y ({mine}) did not stick, it is n: it depends on ACPI (ACPI=n)"
    )
    assert lab.compiled() == []
    # neither is the bench taken for configured the next time
    with pytest.raises(BuildError):
        lab.build(configs=["migration", mine])


def test_a_users_config_wins_where_the_guest_works_without(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelconfig, "explain", lambda _bench, _missed: {"NR_CPUS": "MAXSMP"})
    (lab.tree / "refused").write_text("NR_CPUS\n")
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_MAXSMP=y\n")
    with pytest.raises(BuildError, match="NR_CPUS"):
        lab.build(configs=["base"])
    built = lab.build(configs=["base", mine])
    assert built.notes[0] == "CONFIG_NR_CPUS=64 (configs/base.config) is n: MAXSMP"
    assert len(built.notes) == 2  # the toy tree has no debug information either
    assert lab.build(configs=["base", mine]).notes == built.notes
    (lab.tree / "refused").write_text("SMP\n")
    with pytest.raises(BuildError, match=r"CONFIG_SMP=y \(configs/base.config\) did not stick"):
        lab.build("b", configs=["base", "hugetlb", mine])


def test_lenient_drops_what_the_tree_has_not_and_says_so(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = {"REFUSED": "this tree has no such option"}
    monkeypatch.setattr(kernelconfig, "explain", lambda _bench, _missed: reasons)
    mine = tmp_path / "ci.config"
    mine.write_text("CONFIG_REFUSED=y\nCONFIG_TAKEN=m\n")
    built = lab.build(configs=["base", mine, "lenient"])
    assert f"CONFIG_REFUSED=y ({mine}) is n: this tree has no such option" in built.notes
    assert "CONFIG_TAKEN=y" in built.config.read_text().splitlines()


def test_a_whole_config_says_what_it_lost(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = {"REFUSED": "this tree has no such option"}
    monkeypatch.setattr(kernelconfig, "explain", lambda _bench, _missed: reasons)
    whole = tmp_path / "config-6.5-distribution"
    whole.write_text(
        "# Automatically generated file; DO NOT EDIT.\n"
        'CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/debian-uefi-certs.pem"\n'
        'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"\n'
        "CONFIG_REFUSED=m\nCONFIG_TAKEN=y\n"
    )
    built = lab.build(configs=["migration", whole])
    assert built.notes == (
        'CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/debian-uefi-certs.pem" is "": '
        "this tree has no such file",
        "CONFIG_REFUSED=m (the config) is n: this tree has no such option",
        "no debug information: no steering, no file names in traces",
    )
    lines = built.config.read_text().splitlines()
    assert 'CONFIG_SYSTEM_TRUSTED_KEYS=""' in lines
    assert 'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"' in lines


def test_a_compile_error_names_the_patch(lab: Lab) -> None:
    (lab.tree / "mm/migrate.c").write_text("int migrate(void)\n{\n\treturn mapping;\n}\n")
    with pytest.raises(BuildError) as caught:
        lab.build(touched=[("mm/migrate.c", "0001-mm-migrate.patch")])
    assert re.search(
        r"mm/migrate\.c:3: .mapping. undeclared .*\(0001-mm-migrate.patch touches mm/migrate.c\)",
        caught.value.message,
    )
    assert "return mapping;" in caught.value.detail
    assert not list(lab.home.kernels.glob("[!r]*"))


def test_a_build_goes_on_after_a_failed_one(lab: Lab) -> None:
    good = (lab.tree / "mm/migrate.c").read_text()
    (lab.tree / "mm/migrate.c").write_text("broken\n")
    with pytest.raises(BuildError):
        lab.build("a")
    kept = set(lab.compiled()) - {"mm/migrate.o"}
    (lab.tree / "mm/migrate.c").write_text(good)
    lab.build("b")
    assert "mm/migrate.o" in lab.compiled()
    assert not kept & set(lab.compiled())


def test_a_killed_build_leaves_no_cut_off_object_in_use(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build("a")
    for hours, folder in ((2, lab.benches()[0].source), (1, lab.benches()[0].build)):
        for path in folder.rglob("*"):
            os.utime(path, (time.time() - hours * 3600,) * 2)

    def killed(_home: Home, _commit: str, folder: Path) -> None:
        (folder.parent / "build/mm/rmap.o").write_bytes(b"cut")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkout_module, "checkout", killed)
    with pytest.raises(KeyboardInterrupt):
        lab.build("b")
    monkeypatch.setattr(checkout_module, "checkout", lab.checkout)
    built = lab.build("b")
    assert lab.compiled() == ["mm/rmap.o"]
    assert b"cut" not in built.vmlinux.read_bytes()


def test_a_full_disk_is_no_build_failure(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.tree / "mm/rmap.c").write_text("#error No space left on device\n")
    with pytest.raises(InfraError, match="disk is full"):
        lab.build()
    shutil.copyfile(FAKE / "mm/rmap.c", lab.tree / "mm/rmap.c")

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(directory_module.shutil, "copyfile", full)
    monkeypatch.setattr(checkout_module, "checkout", lambda *_args: None)
    with pytest.raises(InfraError, match="disk is full"):
        lab.build()
    assert not list(lab.home.kernels.glob(".tmp-*"))


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


def test_builds_of_a_base_share_the_files_of_their_sources(lab: Lab) -> None:
    lab.build()
    lab.build(configs=["migration", "hugetlb"])
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 5;\n}\n")
    lab.build("b")
    first, second = (bench.source for bench in lab.benches())
    assert (first / "mm/migrate.c").samefile(second / "mm/migrate.c")
    assert not (first / "mm/rmap.c").samefile(second / "mm/rmap.c")
    assert {path.name for path in lab.home.sources.iterdir()} == {"6.1"}


def test_sources_on_another_file_system_are_whole(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Completed(("cp",), 1, b"", b"cp: Invalid cross-device link", 0)
    monkeypatch.setattr(checkout_module, "run", lambda *_args, **_named: failed)
    lab.build()
    (bench,) = lab.benches()
    shared = lab.home.sources / "6.1/tree"
    assert not (bench.source / "mm/rmap.c").samefile(shared / "mm/rmap.c")


def test_progress_has_the_total_of_this_config_only(lab: Lab) -> None:
    lab.build()
    assert any(text.startswith("1, ") for text in lab.messages)
    lab.build(configs=["migration", "hugetlb"])
    assert any(text.startswith("1, ") for text in lab.messages)
    shutil.rmtree(lab.home.builds)
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 6;\n}\n")
    lab.build("b")
    assert any(text.startswith("1 of 3, ") for text in lab.messages)


def with_makefiles(lab: Lab) -> None:
    """Give the toy tree the lists of Kbuild, which its own Makefile does not read."""
    (lab.tree / "Kbuild").write_text("obj-y := mm/ init/\n")
    (lab.tree / "init/Makefile").write_text("obj-y := main.o\n")
    (lab.tree / "mm/Makefile").write_text("obj-y := rmap.o\nobj-$(CONFIG_MIGRATION) += migrate.o\n")


def test_a_first_build_says_about_how_many_objects_it_compiles(lab: Lab) -> None:
    with_makefiles(lab)
    lab.build()
    assert any(text.startswith("1 of about 3, ") for text in lab.messages)


def test_makefiles_of_untrusted_patches_are_not_read(lab: Lab) -> None:
    with_makefiles(lab)
    lab.build(outside=True)
    assert any(text.startswith("1, ") for text in lab.messages)


def test_a_build_that_follows_a_killed_one_counts_what_is_left_of_all_objects(lab: Lab) -> None:
    (lab.tree / "mm/rmap.c").write_text("int rmap(\n")
    with pytest.raises(BuildError):
        lab.build()
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 0;\n}\n")
    with_makefiles(lab)
    (bench,) = lab.benches()
    for name in ("mm/migrate.o", "init/main.o"):  # make may have ended before it came to these
        (bench.build / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.build / name).touch()
    lab.build("b")
    assert any(text.startswith("1 of about 1, ") for text in lab.messages)
    assert bench.state["objects"] == 3


def test_a_home_over_its_limit_drops_what_was_used_longest_ago(lab: Lab) -> None:
    lab.build("a")
    (old,) = lab.benches()
    for path in (old.folder, old.folder / "state.json"):
        os.utime(path, (time.time() - 5000,) * 2)
    lab.home = replace(lab.home, limit=1)
    built = lab.build(configs=["migration", "hugetlb"])
    assert [bench.name for bench in lab.benches()] != [old.name]
    assert not old.folder.exists()
    assert built.image.is_file()
    assert "dropped 1 build directories" in built.dropped
    assert "its limit is 0 MB" in built.dropped


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
