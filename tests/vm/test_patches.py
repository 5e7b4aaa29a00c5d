# SPDX-License-Identifier: GPL-2.0-only
"""The patches on the kernels that they are for: they apply, in form, and build."""

import itertools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmrace.base import Base, base_for
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.kernel import build_kernel
from mmrace.series import Applied, Series, apply_series, resolve_series, series_names
from mmrace.tree import Tree, export, find_tree

IGNORED = "MISSING_SIGN_OFF,UNKNOWN_COMMIT_ID"  # reasons: patches/README.md
# All that the races ask for, so that no file which a patch touches is left out.
CONFIGS = ("base", "numa", "hugetlb", "userfaultfd", "migration", "memory-failure", "thp", "debug")


@dataclass(frozen=True)
class Source:
    """A base and the tree that stands for it."""

    home: Home
    tree: Tree
    base: Base

    def series(self, name: str) -> Series:
        return resolve_series(name, self.base)

    def apply(self, *series: Series) -> Applied:
        return apply_series(self.home, self.tree, series, str)


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def source(request: pytest.FixtureRequest) -> Source:
    home, name = Home.from_environment(os.environ), f"debian:{request.param}"
    try:
        tree = find_tree(home, name, str)
    except MmraceError as error:
        pytest.skip(f"linux-source-{request.param} absent: {error.message}")
    return Source(home, tree, base_for(tree.version))


def test_checkpatch_has_nothing_to_say(source: Source, tmp_path: Path) -> None:
    export(source.home, source.tree.commit, ["scripts"], tmp_path)
    patches = sorted(source.base.folder.glob("**/*.patch"))
    assert patches
    words = ["--strict", "--no-tree", "--no-summary", "--show-types", "--terse"]
    done = subprocess.run(
        [tmp_path / "scripts/checkpatch.pl", *words, "--ignore", IGNORED, *patches],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_subset_of_the_fixes_applies(source: Source) -> None:
    vulnerable = source.series("vulnerable")
    races = list(dict.fromkeys(patch.group for patch in vulnerable.patches))
    assert len(races) == 4
    trees = set()
    for size in range(len(races) + 1):
        for chosen in itertools.combinations(races, size):
            fixes = [source.series(f"fixes/{race}") for race in chosen]
            made = source.apply(vulnerable, *fixes)
            names = [patch.name for item in (vulnerable, *fixes) for patch in item.patches]
            assert len(made.applied) == len(names), (chosen, made)
            assert not made.already
            trees.add(made.tree_hash)
    assert len(trees) == 2 ** len(races)


def test_the_pristine_tree_has_the_fixes(source: Source) -> None:
    made = source.apply(source.series("fixes"))
    assert not made.applied
    assert len(made.already) == 4


def test_alternatives_apply_in_place_of_a_fix(source: Source) -> None:
    names = [name for name in series_names(source.base) if name.startswith("alternatives/")]
    for name in names:
        made = source.apply(source.series("vulnerable"), source.series(name))
        assert not made.already, name


@pytest.mark.slow
def test_every_prefix_of_the_series_builds(source: Source) -> None:
    vulnerable, fixes = source.series("vulnerable"), source.series("fixes")
    counts = [(n, 0) for n in range(1, len(vulnerable.patches) + 1)]
    counts += [(len(vulnerable.patches), n) for n in range(1, len(fixes.patches) + 1)]
    for taken, put in counts:
        first = Series("vulnerable", vulnerable.patches[:taken], outside=False)
        second = Series("fixes", fixes.patches[:put], outside=False, opposite=fixes.opposite)
        made = source.apply(*((first, second) if put else (first,)))
        kernel = build_kernel(
            source.home,
            made.commit,
            made.tree_hash,
            source.base,
            CONFIGS,
            outside=False,
            progress=str,
            touched=made.touched,
        )
        assert kernel.image.is_file()
