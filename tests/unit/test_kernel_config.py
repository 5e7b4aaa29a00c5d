# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel is configured with, and what did not stick."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes.kernellab import Lab, base
from mmrace.building import kernelconfig
from mmrace.building import request as request_module
from mmrace.building.kconfig import Option
from mmrace.building.request import built_among
from mmrace.definitions.base import Mark, Need
from mmrace.errors import BuildError, UserError


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


def test_what_a_tree_adds_keeps_its_default_and_mainline_s_does_not(
    lab: Lab, tmp_path: Path
) -> None:
    (lab.tree / "defaults").write_text("CONFIG_64BIT=y\nCONFIG_ADDED=y\nCONFIG_OTHER=m\n")
    built = lab.build("a", configs=["migration"])
    config = built.config.read_text()
    assert "CONFIG_ADDED=y" in config.splitlines()
    assert "CONFIG_64BIT" not in config
    assert "CONFIG_OTHER" not in config
    assert built.notes == ("this tree's own, on by its default: CONFIG_ADDED",)
    mine = tmp_path / "mine.config"
    mine.write_text("# CONFIG_ADDED is not set\n")
    built = lab.build("a", configs=["migration", mine])
    assert "CONFIG_ADDED=y" not in built.config.read_text().splitlines()


def test_a_driver_that_a_tree_adds_stays_off(lab: Lab) -> None:
    (lab.tree / "defaults").write_text("CONFIG_ADDED=y\nCONFIG_BOARD=y\nCONFIG_SOUND_OF=y\n")
    for file, name in (("drivers/char/board/Kconfig", "BOARD"), ("sound/Kconfig.of", "SOUND_OF")):
        (lab.tree / file).parent.mkdir(parents=True)
        (lab.tree / file).write_text(f"menuconfig {name}\n\ttristate\n\tdefault y\n")
    built = lab.build(configs=["migration"])
    assert built.notes == ("this tree's own, on by its default: CONFIG_ADDED",)
    assert "CONFIG_BOARD" not in built.config.read_text()


def test_a_tree_that_is_older_than_alldefconfig_adds_nothing(lab: Lab) -> None:
    makefile = (lab.tree / "Makefile").read_text()
    (lab.tree / "Makefile").write_text(makefile.replace("alldefconfig:", "nodefconfig:"))
    (lab.tree / "defaults").write_text("CONFIG_ADDED=y\n")
    built = lab.build(configs=["migration"])
    assert "CONFIG_ADDED" not in built.config.read_text()


def test_many_additions_are_not_all_named(lab: Lab) -> None:
    names = [f"CONFIG_ADDED_{number}" for number in range(7)]
    (lab.tree / "defaults").write_text("".join(f"{name}=y\n" for name in names))
    (note,) = lab.build(configs=["migration"]).notes
    assert note.endswith(f": {', '.join(names[:5])} and 2 more")


def test_an_option_that_the_tree_insists_on_is_explained(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(_bench: object, missed: Sequence[Option], _config: str) -> dict[str, str]:
        return {option.name: "it depends on NUMA (NUMA=n)" for option in missed}

    monkeypatch.setattr(kernelconfig, "explain", explain)
    insists = '#error "CONFIG_NODES is not defined, and CONFIG_COMPACTION is"\n'
    (lab.tree / "mm/rmap.c").write_text(insists)
    with pytest.raises(BuildError) as caught:
        lab.build("a", configs=["migration"])
    assert caught.value.message.endswith(
        'COMPACTION is"; CONFIG_NODES: it depends on NUMA (NUMA=n); '
        "give --config a file with what it needs"
    )
    (lab.tree / "mm/rmap.c").write_text("int rmap(void) { return CONFIG_NODES; }\n")
    with pytest.raises(BuildError) as caught:
        lab.build("b", configs=["migration"])
    assert "NUMA" not in caught.value.message


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
