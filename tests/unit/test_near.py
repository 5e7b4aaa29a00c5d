# SPDX-License-Identifier: GPL-2.0-only
"""A new config's build begins with what the nearest one has built."""

import shutil
from pathlib import Path

import pytest

from fakes.kernellab import Lab
from mmrace.building.directory import BuildDirectory
from mmrace.errors import BuildError
from mmrace.home import build_lock


def of(lab: Lab, *configs: str, tree: str = "a", outside: bool = False) -> list[str]:
    """What a build of some fragments compiled."""
    lab.build(tree, configs=configs, outside=outside)
    return sorted(lab.compiled())


def test_only_what_another_config_changes_is_compiled(lab: Lab) -> None:
    assert len(of(lab, "migration")) == 3
    kernel = lab.build(configs=["migration", "hugetlb"])
    assert lab.compiled() == ["init/main.o"]
    assert "CONFIG_HUGETLBFS=y" in kernel.config.read_text()
    assert len(lab.benches()) == 2
    assert all(bench.state["objects"] == 3 for bench in lab.benches())
    assert not any("near" in bench.state for bench in lab.benches())


def test_what_the_commits_differ_in_is_compiled_as_well(lab: Lab) -> None:
    of(lab, "migration")
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 1;\n}\n")
    assert of(lab, "migration", "hugetlb", tree="b") == ["init/main.o", "mm/rmap.o"]
    # And the older directory still has its own.
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 2;\n}\n")
    assert of(lab, "migration", tree="c") == ["mm/rmap.o"]


def test_the_config_with_most_in_common_is_begun_with(lab: Lab) -> None:
    of(lab, "migration")
    of(lab, "migration", "hugetlb")
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 3;\n}\n")
    of(lab, "migration", "hugetlb", tree="b")  # so one directory is of another commit
    assert of(lab, "migration", "hugetlb", "thp", tree="b") == ["init/main.o"]


def test_a_directory_at_work_is_left_alone(lab: Lab) -> None:
    of(lab, "migration")
    (first,) = lab.benches()
    with lab.home.lock(build_lock(first.name)):
        assert len(of(lab, "migration", "hugetlb")) == 3


@pytest.mark.parametrize("state", [{"building": [1.0, 1.0]}, {"objects": None}, {"latest": 4e9}])
def test_nothing_is_taken_from_what_cannot_be_trusted(lab: Lab, state: dict[str, object]) -> None:
    of(lab, "migration")
    (first,) = lab.benches()
    first.remember(**state)
    assert len(of(lab, "migration", "hugetlb")) == 3


def test_a_failed_build_goes_on_with_its_copy(lab: Lab) -> None:
    of(lab, "migration")
    (lab.tree / "mm/rmap.c").write_text("int rmap(\n")
    with pytest.raises(BuildError):
        lab.build("b", configs=["migration", "hugetlb"])
    (lab.tree / "mm/rmap.c").write_text("int rmap(void)\n{\n\treturn 0;\n}\n")
    assert "mm/migrate.o" not in of(lab, "migration", "hugetlb", tree="c")


def test_untrusted_builds_are_no_model_and_take_their_own(lab: Lab) -> None:
    assert len(of(lab, "migration", outside=True)) == 3
    assert len(of(lab, "migration", tree="b")) == 3
    assert len(of(lab, "migration", "hugetlb", tree="b", outside=True)) == 3


def test_a_copy_that_is_cut_off_is_none(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    of(lab, "migration")

    def killed(_self: BuildDirectory, _other: BuildDirectory) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BuildDirectory, "_copy_build", killed)
        with pytest.raises(KeyboardInterrupt):
            lab.build(configs=["migration", "hugetlb"])
    assert of(lab, "migration", "hugetlb") == ["init/main.o"]


def test_what_was_copied_in_vain_is_dropped(lab: Lab, tmp_path: Path) -> None:
    of(lab, "migration")
    of(lab, "migration", "hugetlb")
    shutil.rmtree(lab.home.kernels)
    same = tmp_path / "same.config"
    same.write_text("# a comment only\nCONFIG_MIGRATION=y\n")
    lab.build(configs=["migration", "hugetlb", same])
    assert not lab.compiled()
    built = [bench for bench in lab.benches() if (bench.build / "mm/rmap.o").is_file()]
    assert len(built) == 2
    assert not any("near" in bench.state for bench in lab.benches())
