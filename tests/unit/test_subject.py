# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from mmrace.data import data_dir
from mmrace.definitions.race import load_race, race_names
from mmrace.patching.subject import Change, read_change, subjects, unfit

RACES = [load_race(name) for name in race_names()]

WHOLE = """\
diff --git a/mm/a.c b/mm/a.c
--- a/mm/a.c
+++ b/mm/a.c
@@ -1,20 +1,21 @@
 static int before(void)
 {
 \treturn 1;
 }

 /* zap_pte_range() is only named here */
 static bool try_to_migrate_one(struct folio *folio,
 \t\t\t       unsigned long address)
 {
-\tunlock(folio);
+\trmap_unlock(folio);
 out:
 \treturn true;
 }

 int after(void);
"""


def test_the_function_around_a_changed_line_counts_not_its_neighbours() -> None:
    change = read_change(WHOLE)
    dropped = frozenset({("try_to_migrate_one", "unlock")})
    assert change == Change((("try_to_migrate_one", "mm/a.c"),), ("unlock", "rmap_unlock"), dropped)


def test_a_changed_definition_and_an_added_call_drop_no_call() -> None:
    diff = """\
--- a/mm/a.c
+++ b/mm/a.c
@@ -1,7 +1,8 @@
-static int walk(struct page *page)
+static int walk(struct page *page, bool locked)
 {
-\tretry(walk(page));
+\tadded();
 }
-int declared(void);
"""
    assert read_change(diff).dropped == frozenset({("walk", "retry")})


def test_a_hunk_head_names_the_function_and_a_label_none() -> None:
    head = "--- a/mm/x.c\n+++ b/mm/x.c\n"
    line = "@@ -10,2 +10,2 @@ {}\n \tint x;\n-\ta = 1;\n+\ta = 2;\n"
    named = read_change(head + line.format("vm_fault_t hugetlb_fault(struct mm_struct *mm,"))
    assert named.changed == (("hugetlb_fault", "mm/x.c"),)
    for other in ("drop_hpage:", "struct vm_area_struct {", "int declared(void);"):
        assert read_change(head + line.format(other)).changed == ()


def test_a_new_function_and_comments() -> None:
    diff = "+++ b/mm/x.c\n@@ -1 +1,6 @@\n+static void fresh(void)\n+{\n+\told();\n+}\n"
    assert read_change(diff).changed == (("fresh", "mm/x.c"),)
    assert read_change("+++ b/mm/x.c\n@@ -1 +1 @@ int f(void)\n+ * zap(x)\n").changed == ()


@pytest.mark.parametrize("base", ["6.1", "6.12"])
def test_each_fix_of_ours_is_about_its_own_race_first(base: str) -> None:
    folder = data_dir("patches") / base / "fixes"
    names = (folder / "series").read_text().splitlines()
    paths = [Path(name) for name in names if name and not name.startswith("#")]
    assert paths
    for path in paths:
        found = subjects(read_change((folder / path).read_text()), RACES)
        assert str(path.parent) in [item.race for item in found], path
        assert all("it changes" in item.why for item in found)


def test_what_only_calls_is_taken_when_nothing_changes_and_told_so() -> None:
    change = Change((("do_wp_page", "mm/memory.c"),), ("zap_pte_range",))
    assert [(item.race, item.why) for item in subjects(change, RACES)] == [
        ("khugepaged-retract", "it calls zap_pte_range")
    ]


def test_none_fits() -> None:
    change = Change((("do_wp_page", "mm/memory.c"),), ())
    assert subjects(change, RACES) == ()
    words = "no race matches this series: it changes do_wp_page; name one with --race"
    assert unfit(change).message == words
    assert "it changes no function" in unfit(Change((), ())).message
