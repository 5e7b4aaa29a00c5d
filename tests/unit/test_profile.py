# SPDX-License-Identifier: GPL-2.0-only
"""Profiles of shared accesses, and what a search schedules of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from fakes.searched import FAR, NEAR, SITES, searched
from mmrace.errors import UserError
from mmrace.searching.files import BESIDE, choose_files
from mmrace.searching.listing import listed
from mmrace.searching.profile import Profile, load_profile, make_search, save_profile
from mmrace.symbols.accesses import AccessSite
from mmrace.symbols.decode import Place
from mmrace.windows.search import WATCH, Pair, Tactics


def test_a_profile_grows_with_each_boot_and_comes_back_from_its_file(tmp_path: Path) -> None:
    one = Profile().merged(searched(NEAR, FAR), 2.0)
    both = one.merged(searched(replace(NEAR, count=2, gap=0.0005, word=8)), 3.0)
    assert (both.boots, both.seconds, both.accesses) == (2, 5.0, 20)
    assert both.ranked() == (replace(NEAR, count=5, gap=0.0005, word=8), FAR)
    save_profile(tmp_path / "deep" / "profile.json", both)
    assert load_profile(tmp_path / "deep" / "profile.json") == both
    assert load_profile(tmp_path / "none.json") == Profile()


def test_accesses_beside_count_where_they_meet_others() -> None:
    other = Pair(3, 4, 3, (True, False), 0.001, 64)
    both = Profile().merged(searched(NEAR, other), 2.0, {2, 3, 4})
    assert both.pairs == (NEAR,)


def test_only_sites_that_communicate_are_scheduled_with_their_functions_stacks() -> None:
    sites = (
        AccessSite(1, "f", 2),
        AccessSite(2, "g", 3),
        AccessSite(3, "g", 4, stack=True),
        AccessSite(4, "h", 5),
        AccessSite(5, "h", 6, stack=True),
    )
    plan = make_search(sites, Tactics(), Profile(pairs=(NEAR,)))
    assert [(site.address, site.group, site.stack) for site in plan.sites] == [
        (1, 0, False),
        (2, 1, False),
        (3, 1, True),
    ]
    assert plan.groups == 2
    assert len(make_search(sites, WATCH).sites) == 5


def test_files_are_chosen_by_patterns_in_their_order() -> None:
    files = ("mm/rmap.c", "mm/slub.c", "fs/exec.c", "net/core/dev.c")
    assert choose_files(files) == {"mm/rmap.c"}
    assert choose_files(files, BESIDE) == {"fs/exec.c"}
    assert choose_files(files, ("mm/*", "!mm/r*")) == {"mm/slub.c"}
    with pytest.raises(UserError, match="no source file of this kernel matches 'drm/"):
        choose_files(files, ("drm/*",))


def test_what_lies_beside_shares_by_file() -> None:
    sites = (
        AccessSite(1, "f", 2),
        *(AccessSite(at, f"g{at}", at, beside="fs/x.c") for at in (2, 3)),
    )
    pairs = (NEAR, replace(NEAR, second=3))
    plan = make_search(sites, Tactics(), Profile(pairs=pairs))
    assert [(site.address, site.group) for site in plan.sites] == [(1, 0), (2, 1), (3, 1)]
    assert make_search(sites, Tactics(), Profile(pairs=pairs), alone={"g2"}).groups == 3


def test_each_access_of_a_function_that_stands_alone_has_a_share_of_its_own() -> None:
    sites = tuple(AccessSite(at, "fg"[at > 2], at + 1) for at in (1, 2, 3, 4))
    plan = make_search(sites, Tactics(), Profile(pairs=(NEAR,)), more={3, 4}, alone={"g"})
    assert [(site.address, site.group) for site in plan.sites] == [(1, 0), (2, 0), (3, 1), (4, 2)]
    assert plan.groups == 3


def test_a_profile_is_listed_by_closeness_with_lines() -> None:
    inside = (Place("test_bit", "bitops.h", 3), Place("get", "mm/a.h", 7))
    places = {1: (*inside, Place("f", "mm/a.c", 9), Place("g", "mm/a.c", 90))}
    one = listed(NEAR, places, {1: "page.flags"})
    assert str(one.first) == "store page.flags: get in f (mm/a.c:9)"
    assert str(one.second) == "load: 0x2 (?)"
    assert (one.gap, one.count) == (NEAR.gap, NEAR.count)
    assert Profile(pairs=(FAR, NEAR)).ranked() == (NEAR, FAR)


def test_a_plan_says_whether_anybody_is_held() -> None:
    assert make_search(SITES, Tactics()).holds
    assert not make_search(SITES, WATCH).holds
