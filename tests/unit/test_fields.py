# SPDX-License-Identifier: GPL-2.0-only
"""Which fields instructions access, by the debug information that gcc writes."""

import subprocess

import pytest

from mmrace.symbols.accesses import list_sites
from mmrace.symbols.dwarf import Debug
from mmrace.symbols.fields import fields_of

SOURCE = """
typedef struct { int counter; } count_t;
struct inner { long lock; long owner; };
struct page {
	unsigned long flags;
	union { struct { long first, second; }; void *other; };
	count_t refs;
	struct inner rw;
	long tail[4];
};
struct box { struct page pages[2]; long last; };
static inline __attribute__((always_inline)) void up(count_t *c)
{
	*(volatile int *)&c->counter += 1;
}
__attribute__((noinline)) long reads(struct page *p) { return *(volatile long *)&p->flags; }
__attribute__((noinline)) void owner(struct page *p, long n) { *(volatile long *)&p->rw.owner = n; }
__attribute__((noinline)) void second(struct page *p, long n) { *(volatile long *)&p->second = n; }
__attribute__((noinline)) void gets(struct page *p) { up(&p->refs); }
__attribute__((noinline)) void plain(volatile long *word) { *word = 3; }
__attribute__((noinline)) void last(const struct box *b) { ((volatile struct box *)b)->last = 1; }
int main(void) {
	static struct page page; static struct box box; static volatile long word;
	owner(&page, reads(&page)); second(&page, 1); gets(&page); plain(&word); last(&box);
	return 0;
}
"""
FIELDS = {
    "reads": "page.flags",
    "owner": "page.rw.owner",
    "second": "page.second",
    "gets": "page.refs.counter",
    "plain": None,
    "last": "box.last",
}


@pytest.fixture(scope="module", params=["-gdwarf-4", "-gdwarf-5"])
def debug(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Debug:
    folder = tmp_path_factory.mktemp("fields")
    (folder / "small.c").write_text(SOURCE)
    argv = ["gcc", "-O2", request.param, "-no-pie", "-fcf-protection=none"]
    subprocess.run([*argv, "-o", "small", "small.c"], cwd=folder, check=True)
    return Debug(folder / "small")


@pytest.mark.parametrize("function", FIELDS)
def test_an_access_is_named_by_the_field_behind_its_register(debug: Debug, function: str) -> None:
    sites = list_sites(debug, "small.c".__eq__)
    own = [one for one in sites if one.function == function and not one.stack]
    found = fields_of(debug, [(one.address, one.next) for one in own])
    assert found.get(own[0].address) == FIELDS[function]
    assert len(found) <= 1 + (function == "gets")  # behind it is padding at most


def test_code_is_read_by_address(debug: Debug) -> None:
    (entry,) = debug.symbol_addresses("plain")
    assert len(debug.code(entry, entry + 4)) == 4
    assert debug.code(0x10, 0x20) == b""
    assert fields_of(debug, []) == {}
