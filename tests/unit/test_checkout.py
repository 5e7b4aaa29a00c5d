# SPDX-License-Identifier: GPL-2.0-only
"""Sources of builds that share files, with real git."""

from pathlib import Path

from fakes.kerneltree import commit_all, make_kernel
from mmrace.building.checkout import check_out
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
    one, two = (home.benches / name / "source" for name in ("one", "two"))
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
