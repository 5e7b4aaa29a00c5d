# SPDX-License-Identifier: GPL-2.0-only
"""Names of accesses, windows and columns made of a witness."""

import tomllib
from dataclasses import replace

import pytest

from fakes.program import compiled
from fakes.searched import NEAR
from mmrace.definitions.window import Window
from mmrace.definitions.witness import Step
from mmrace.searching.explanation import Line, columns
from mmrace.searching.naming import Names
from mmrace.searching.windowing import orders_of, render_windows, windows_of
from mmrace.symbols.accesses import list_sites
from mmrace.symbols.decode import Place
from mmrace.symbols.resolve import Resolver

SOURCE = """
volatile int word;
int other;
__attribute__((noinline)) int leaf(int n) { word = n; return n; }
static inline __attribute__((always_inline)) void zero(int *p) { *p = 0; }
static inline __attribute__((always_inline)) int clear(int *p)
{
	int old = *p;
	zero(p);
	return old;
}
__attribute__((noinline)) int whole(int *p, int n)
{
	int sum = leaf(n);
	sum += clear(p);
	sum += leaf(sum);
	return sum;
}
int main(int argc, char **argv) { return whole(&argc, argc); }
"""


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    return Resolver(compiled(tmp_path_factory.mktemp("naming"), SOURCE), "small")


def test_an_access_is_named_by_what_is_behind_it(resolver: Resolver) -> None:
    sites = list_sites(resolver.debug, "small.c".__eq__)
    own = [site for site in sites if site.function == "whole" and not site.stack]
    names = Names(resolver, sites)
    exact = [names.exact(site.address) for site in own]
    for site, text in zip(own, exact, strict=True):
        assert resolver.resolve((text,)).addresses == (site.next,)
    offered = [name for text in exact for name in names.symbolic(text)]
    assert "after clear in whole" in offered
    assert any(name.startswith("line ") for name in offered)
    # What everybody calls stands for too much, and takes minutes to find in a kernel.
    assert "after zero in clear" not in offered
    assert names.address(exact[0]) == own[0].address
    assert names.address("entry of x") is None
    one, other = own[0].address, next(site.address for site in sites if site.function == "leaf")
    pairs = (replace(NEAR, first=other, second=one),)
    expected = names.symbolic(names.exact(other)) or (names.exact(other),)
    assert names.partner(names.exact(one), pairs) == expected[0]
    assert names.partner(names.exact(one), (NEAR,)) == names.partner("entry of x", pairs) == ""
    assert names.exact(0x10) == ""
    assert names.symbolic("at whole+0x0") == ()


def test_a_window_holds_an_actor_until_the_last_point_of_the_others() -> None:
    order = (
        Step(actor="V1", point=("entry of f",)),
        Step(actor="V0", point=("entry of g",)),
        Step(actor="V0", point=("return of g",)),
        Step(actor="V1", point=("after h in f",)),
        Step(actor="V0", seconds=0.1),
    )
    found = windows_of(order, "w", {"after h in f": "entry of k"}.get)
    assert [(one.hold[0], one.until[0]) for one in found[:2]] == [
        ("entry of f", "return of g"),
        ("return of g", "after h in f"),
    ]
    assert found[-1].until == ("entry of k",)
    read = tomllib.loads(render_windows(found))["window"]
    assert tuple(Window.model_validate(one) for one in read) == found


def test_an_order_in_which_nobody_meets_anybody_makes_no_window() -> None:
    order = (Step(actor="V1", point=("entry of f",)), Step(actor="V0", seconds=0.1))
    assert windows_of(order, "w") == ()


def test_windows_mean_the_orders_that_they_hold_vcpus_in() -> None:
    first = Window(name="a", hold=("entry of f",), until=("entry of g",))
    second = Window(name="b", hold=("entry of g",), until=("return of f",))
    apart = Window(name="c", hold=("entry of h",), until=("entry of k",))
    whole, *single = orders_of((first, second, apart))
    assert [(step.actor, step.point[0]) for step in whole] == [
        ("V0", "entry of f"),
        ("V1", "entry of g"),
        ("V0", "return of f"),
        ("V1", "entry of h"),
        ("V0", "entry of k"),
    ]
    assert len(single) == 6
    assert single[0] == whole[:2]
    assert (single[1][:2], single[1][2].actor) == (single[0], "V0")
    assert orders_of((first,)) == (single[0], single[1])
    assert orders_of(()) == ()


def test_a_witness_is_told_in_a_column_for_each_actor() -> None:
    place = (Place("f", "mm/rmap.c", 12),)
    lines = (
        Line("V1", "entry of f: waits there", place),
        Line("V0", "goes on for 100 ms"),
    )
    rows = columns(lines)
    assert rows[0].split() == ["V1", "V0"]
    assert rows[1].startswith("entry of f: waits there (mm/rmap.c:12)"[:20])
    assert rows[-1].strip() == "goes on for 100 ms"
    assert rows[-1].startswith(" " * 40)
