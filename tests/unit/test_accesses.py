# SPDX-License-Identifier: GPL-2.0-only
"""Which instructions a search watches."""

import subprocess

import pytest

from mmrace.errors import UserError
from mmrace.symbols.accesses import accesses, list_files, list_sites
from mmrace.symbols.disassembly import disassemble
from mmrace.symbols.dwarf import Debug


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("mov", "0x8(%rdi),%rax"),
        ("mov", "%rax,(%rdx,%rcx,8)"),
        ("lock", "cmpxchg %rdx,(%rdi)"),
        ("xchg", "%rax,(%rbx)"),
        ("testb", "$0x1,0x34(%rax)"),
        ("mov", "0x1234(%rip),%rax        # ffffffff82345678 <init_mm>"),
        ("incl", "(%rbp)"),
    ],
)
def test_what_accesses_memory(name: str, operands: str) -> None:
    assert accesses(name, operands)


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("mov", "%rax,%rdx"),
        ("lea", "0x8(%rdi),%rax"),
        ("mov", "0x8(%rsp),%rax"),
        ("mov", "%gs:0x14(%rip),%rax"),
        ("nopl", "0x0(%rax)"),
        ("nopw", "%cs:0x0(%rax,%rax,1)"),
        ("rep", "stos %rax,%es:(%rdi)"),
        ("invlpg", "(%rax)"),
        ("prefetcht0", "(%rax)"),
        ("call", "*0x18(%rax)"),
        ("ret", ""),
    ],
)
def test_what_does_not_or_says_nothing(name: str, operands: str) -> None:
    assert not accesses(name, operands)


@pytest.fixture(scope="module")
def debug(tmp_path_factory: pytest.TempPathFactory) -> Debug:
    folder = tmp_path_factory.mktemp("accesses")
    (folder / "one.c").write_text(
        "int first(int *p) { *p += 1; return *p; }\n"
        "int two(int);\nint both(int *p) { int n = two(*p); *p = n; return n; }\n"
    )
    (folder / "two.c").write_text("int word;\nint two(int n) { word = n; return n; }\n")
    (folder / "main.c").write_text(
        "int both(int *); int main(int c, char **v) { return both(&c); }"
    )
    argv = ["gcc", "-O2", "-gdwarf-5", "-fcf-protection=none", "-no-pie", "-o", "program"]
    subprocess.run([*argv, "one.c", "two.c", "main.c"], cwd=folder, check=True)
    return Debug(folder / "program")


def test_sites_are_those_of_the_files_chosen(debug: Debug) -> None:
    assert {"one.c", "two.c", "main.c"} <= set(list_files(debug))
    sites = list_sites(debug, {"one.c"}.__contains__)
    assert {site.function for site in sites} == {"first", "both"}
    assert [site.address for site in sites] == sorted(site.address for site in sites)
    (stack,) = (site for site in sites if site.stack)
    assert stack.function == "both"  # it saves a register, the other does not
    assert {site.function for site in list_sites(debug, {"two.c"}.__contains__)} == {"two"}


def test_a_site_knows_the_instruction_after_it(debug: Debug) -> None:
    code = disassemble(debug.vmlinux, debug.bodies("first")[0].container)
    for site in list_sites(debug, {"one.c"}.__contains__):
        if site.function == "first":
            assert code[site.address].next == site.next


def test_files_without_code_are_an_error(debug: Debug) -> None:
    with pytest.raises(UserError, match="no code of the files chosen"):
        list_sites(debug, lambda _name: False)
