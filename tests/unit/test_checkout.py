# SPDX-License-Identifier: GPL-2.0-only
"""Sources of builds that share files, and the options in them, with real git."""

from pathlib import Path

import pytest

from fakes.kerneltree import commit_all, make_kernel
from mmrace.building.checkout import check_out
from mmrace.building.kconfig import USER, ConfigRequest, Fragment
from mmrace.building.kernelconfig import check_names
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.sources.tree import add_tree


def test_what_one_source_changes_no_other_sees(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    repo = make_kernel(tmp_path / "repo")
    (repo / "mm/walk.c").write_text("int walk(void)\n{\n\treturn 3;\n}\n")
    commit_all(repo, "a walk")
    first = add_tree(home, "first", str(repo), None, str)
    (repo / "mm/walk.c").write_text("int walk(void)\n{\n\treturn 3333;\n}\n")
    commit_all(repo, "walk")
    second = add_tree(home, "second", str(repo), None, str)
    one, two = (home.builds / name / "source" for name in ("one", "two"))
    for folder in (one, two):
        check_out(home, "6.1", first.commit, folder, str)
    old = (one / "mm/walk.c").read_text()
    times = {path: path.stat().st_mtime_ns for path in one.rglob("*.c")}
    assert (one / "mm/walk.c").samefile(two / "mm/walk.c")

    check_out(home, "6.1", second.commit, two, str)
    assert "3333" in (two / "mm/walk.c").read_text()
    assert (one / "mm/walk.c").read_text() == old
    assert (home.sources / "6.1/tree/mm/walk.c").read_text() == old
    check_out(home, "6.1", first.commit, one, str)
    assert {path: path.stat().st_mtime_ns for path in one.rglob("*.c")} == times
    check_out(home, "6.1", first.commit, two, str)
    assert (two / "mm/walk.c").read_text() == old
    assert (two / "mm/walk.c").stat().st_mtime_ns > times[one / "mm/walk.c"]


def test_a_misspelt_option_is_found_in_the_trees_kconfig_files(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    repo = make_kernel(tmp_path / "repo")
    (repo / "mm/Kconfig").write_text("menuconfig KSM\n\tbool\n\nconfig HUGETLB_PAGE\n\tbool\n")
    commit_all(repo, "options")
    tree = add_tree(home, "t", str(repo), None, str)

    def check(text: str, *, lenient: bool = False) -> None:
        request = ConfigRequest((Fragment("my.config", text, USER),), lenient=lenient)
        check_names(home, tree.commit, request)

    check("CONFIG_KSM=y\nCONFIG_HUGETLB_PAGE=y\n# CONFIG_OF_ANOTHER is not set\n")
    with pytest.raises(UserError) as caught:
        check("CONFIG_KSM=y\n\nCONFIG_HUGETLB_PAGES=y\n")
    assert caught.value.message == (
        "my.config:3: this tree has no CONFIG_HUGETLB_PAGES; near: HUGETLB_PAGE"
    )
    with pytest.raises(UserError, match="CONFIG_ZZZ; --config-lenient drops it"):
        check("CONFIG_ZZZ=y\n")
    check("CONFIG_ZZZ=y\n", lenient=True)
    check("# [>=6.2]\nCONFIG_ZZZ=y\n")
