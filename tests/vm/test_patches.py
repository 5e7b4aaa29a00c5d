# SPDX-License-Identifier: GPL-2.0-only
"""The patches on the kernels that they are for: they apply, in form, and build."""

import itertools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmrace.building.build import build_kernel
from mmrace.building.request import request_kernel
from mmrace.definitions.base import Base, Pristine, base_for, load_bases
from mmrace.definitions.race import load_race, race_dir
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.patching.series import (
    Applied,
    Series,
    apply_series,
    resolve_series,
    series_names,
    with_build,
)
from mmrace.sources.tree import Tree, export, find_tree

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


# Whoever has such a source adds it under this name: mmrace tree add v5.9 SOURCE.
TREES = (
    "debian:6.1",
    "debian:6.12",
    "v7.3",
    "v6.18",
    "v6.6",
    "v6.0",
    "v5.15",
    "v5.10",
    "v5.9",
    "v2.6.34",
)


@pytest.fixture(scope="module", params=TREES)
def source(request: pytest.FixtureRequest) -> Source:
    home = Home.from_environment(os.environ)
    try:
        tree = find_tree(home, request.param, str)
    except MmraceError as error:
        pytest.skip(f"not here: {request.param}: {error.message}")
    return Source(home, tree, base_for(tree.version))


def test_every_base_has_a_tree_of_its_own() -> None:
    assert sorted(name.removeprefix("debian:").removeprefix("v") for name in TREES) == sorted(
        base.name for base in load_bases()
    )


def test_checkpatch_has_nothing_to_say(source: Source, tmp_path: Path) -> None:
    if source.base.name == "2.6.34":
        pytest.skip("its checkpatch.pl does not run on a perl of today")
    export(source.home, source.tree.commit, ["scripts"], tmp_path)
    own = f"*/{source.base.name}/*.patch"
    beside = [path for race in source.base.race for path in race_dir(race).glob(own)]
    patches = sorted([*source.base.folder.glob("**/*.patch"), *beside])
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
    races = list(dict.fromkeys(patch.group for patch in source.series("fixes").patches))
    assert len(races) == (4 if vulnerable.patches else len(has(source.base)))
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


def has(base: Base) -> set[str]:
    return {race for race, state in base.race.items() if state.pristine is Pristine.HAS}


def test_what_the_tree_has_is_found(source: Source) -> None:
    fixes = source.series("fixes")
    made = source.apply(fixes)
    assert {name.partition("/")[0] for name in made.applied} == has(source.base)
    already = {name.partition("/")[0] for name in made.already}
    apart = {race for race in source.base.race if not load_race(race).shared}
    assert already == set(source.base.race) - has(source.base) - apart
    for race in apart:
        alone = source.apply(source.series(f"fixes/{race}"))
        assert alone.already, race
        assert not alone.applied
    again = source.apply(fixes, fixes)
    assert (again.commit, again.applied) == (made.commit, made.applied)


def test_alternatives_apply_in_place_of_a_fix(source: Source) -> None:
    names = [name for name in series_names(source.base) if name.startswith("alternatives/")]
    for name in names:
        made = source.apply(source.series("vulnerable"), source.series(name))
        assert not made.already, name


def test_what_makes_a_tree_compile_applies_beneath_its_fixes(source: Source) -> None:
    fixes = source.series("fixes")
    needed = [source.series(name) for name in with_build((), source.base)]
    assert bool(needed) == (source.base.name == "2.6.34")
    made = source.apply(*needed, fixes)
    assert set(made.applied) >= {patch.name for item in needed for patch in item.patches}
    races = {name.partition("/")[0] for name in made.applied if "/" in name}
    assert races == has(source.base)


@pytest.mark.slow
def test_every_prefix_of_the_series_builds(source: Source) -> None:
    needed = [source.series(name) for name in with_build((), source.base)]
    vulnerable, fixes = source.series("vulnerable"), source.series("fixes")
    counts = [(n, 0) for n in range(1, len(vulnerable.patches) + 1)]
    counts += [(len(vulnerable.patches), n) for n in range(1, len(fixes.patches) + 1)]
    for taken, put in counts:
        first = Series("vulnerable", vulnerable.patches[:taken], outside=False)
        second = Series("fixes", fixes.patches[:put], outside=False, opposite=fixes.opposite)
        made = source.apply(*needed, *((first, second) if put else (first,)))
        wanted = request_kernel(
            source.home,
            made.commit,
            made.tree_hash,
            source.base,
            CONFIGS,
            outside=False,
            touched=made.touched,
        )
        kernel = build_kernel(source.home, wanted, str)
        assert kernel.image.is_file()
