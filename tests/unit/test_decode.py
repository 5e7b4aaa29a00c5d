# SPDX-License-Identifier: GPL-2.0-only
import shutil
import subprocess

import pytest

from mmrace.crash import parse
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.symbols.decode import Place, Symbol, decode, render
from mmrace.symbols.symbolizer import Vmlinux

SYMBOLS = {
    "walk_fn": (Symbol(0xFFFFFFFF81000000, 0x40), Symbol(0xFFFFFFFF82000000, 0x34)),
    "caller_fn": (Symbol(0xFFFFFFFF81000100, 0x34),),
    "mod_fn": (Symbol(0xFFFFFFFF81000200, 0x34),),
}
LOG = """[    1.000000] BUG: kernel NULL pointer dereference, address: 0
[    1.000001] RIP: 0010:walk_fn+0x12/0x34
[    1.000002] Call Trace:
[    1.000003]  ? caller_fn+0x0/0x34
[    1.000004]  caller_fn+0x20/0x34
[    1.000005]  mod_fn+0x12/0x34 [mod]
[    1.000006]  caller_fn+0x20/0x99
[    1.000007]  [<ffffffff91000110>] 0xffffffff91000110
[    1.000008] Kernel Offset: 0x10000000 from 0xffffffff81000000 (relocation range: 0-1)
[    1.000009] Modules linked in: x+0x1/0x2""".splitlines()


def symbolize(addresses):
    table = {
        0xFFFFFFFF82000012: (Place("tiny_fn", "mm/t.h", 5), Place("walk_fn", "mm/w.c", 50)),
        0xFFFFFFFF81000100: (Place("caller_fn", "mm/c.c", 10),),
        0xFFFFFFFF8100011F: (Place("caller_fn", "mm/c.c", 12),),
        0xFFFFFFFF8100010F: (Place("caller_fn", "mm/c.c", 11),),
    }
    return {address: table[address] for address in addresses}


def test_frames_pointers_and_bare_addresses_are_looked_up() -> None:
    decoded = decode(LOG, SYMBOLS, symbolize)
    assert [str(item.places[-1]) if item.places else "" for item in decoded] == [
        "",
        "mm/w.c:50",  # the one of that name with that size, where the CPU was
        "",
        "mm/c.c:10",
        "mm/c.c:12",  # the call, not what it returns to
        "",  # in a module
        "",  # another kernel's
        "mm/c.c:11",  # without KASLR's offset
        "",
        "",
    ]


def test_inlined_functions_come_first_and_the_parser_reads_them() -> None:
    lines = list(render(decode(LOG, SYMBOLS, symbolize)))
    assert lines[1:3] == [
        "[    1.000001] RIP: 0010:tiny_fn mm/t.h:5 [inline]",
        "[    1.000001] RIP: 0010:walk_fn+0x12/0x34 mm/w.c:50",
    ]
    (found,) = parse("\n".join(lines).encode())
    assert found.function == "tiny_fn"
    assert found.frames[1].location == "mm/c.c:12"


def test_source_of_the_top_frames_is_quoted() -> None:
    source = {"mm/t.h": [f"line {n}" for n in range(1, 9)]}
    lines = list(render(decode(LOG, SYMBOLS, symbolize), lambda name: source.get(name, [])))
    assert "    >     5 line 5" in lines
    assert "          2 line 2" in lines
    assert not any("line 1" in line for line in lines)


PROGRAM = """
static inline __attribute__((always_inline)) int tiny(int *p)
{
	return *p + 1;
}
__attribute__((noinline)) int start_kernel(int *p)
{
	return tiny(p) * 3;
}
int main(int argc, char **argv)
{
	return start_kernel(&argc);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("gcc")
    assert compiler
    folder = tmp_path_factory.mktemp("tree")
    (folder / "init").mkdir()
    (folder / "init" / "main.c").write_text(PROGRAM)
    argv = [compiler, "-g", "-O1", "-no-pie", "-Wl,--build-id", f"{folder}/init/main.c"]
    subprocess.run([*argv, "-o", folder / "vmlinux"], check=True)
    return folder / "vmlinux"


def test_an_image_is_asked_in_one_batch_and_remembered(program, tmp_path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    first = Vmlinux(program, home)
    (symbol,) = first.symbols["start_kernel"]
    assert symbol.size
    places = first.places([symbol.address, symbol.address + 1])
    assert places[symbol.address][-1].file == "init/main.c"
    files = {place.function for found in places.values() for place in found}
    assert files == {"tiny", "start_kernel"}
    kept = next((tmp_path / "cache" / "symbols").glob("*.json"))
    again = Vmlinux(program, home)
    assert again.places([symbol.address]) == {symbol.address: places[symbol.address]}
    kept.write_text("{")
    assert Vmlinux(program, home).symbols == first.symbols


def test_what_is_no_image_is_the_users_error(tmp_path) -> None:
    path = tmp_path / "vmlinux"
    path.write_text("no")
    with pytest.raises(UserError, match="vmlinux"):
        _ = Vmlinux(path).symbols
