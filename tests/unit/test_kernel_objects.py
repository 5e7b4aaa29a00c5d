# SPDX-License-Identifier: GPL-2.0-only
"""What builds leave on disk, and how many objects are left to compile."""

import os
import shutil
import time
from dataclasses import replace

import pytest

from fakes.kernellab import Lab
from mmrace.building import checkout as checkout_module
from mmrace.errors import BuildError
from mmrace.proc import Completed


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
