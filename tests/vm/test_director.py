# SPDX-License-Identifier: GPL-2.0-only
"""The director on a real QEMU: it looks at nothing before the race phase."""


def test_what_was_translated_before_the_race_phase_is_seen_in_it(after):
    """Huge pages were faulted in, and move_pages(2) asked, before that."""
    done = after("hugetlb-uffd", "--workload", "missing-by-migration", "--steer", "--for", "4s")
    windows = done.run("missing-by-migration")["windows"]
    assert {window["name"] for window in windows} == {"migration-clears-pte", "fault-before-read"}
    assert all(window["hits"] >= 50 for window in windows), windows
