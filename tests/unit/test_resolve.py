# SPDX-License-Identifier: GPL-2.0-only
"""Points resolved in a small program, compiled as the kernel is."""

import re
import subprocess
from pathlib import Path

import pytest

from fakes.program import compiled
from mmrace import proc
from mmrace.errors import UserError
from mmrace.symbols.disassembly import Exits, Flow, Insn, decode, disassemble, find_exits
from mmrace.symbols.dwarf import Debug
from mmrace.symbols.resolve import Resolver

SOURCE = """
#define noinline __attribute__((noinline, noclone))
#define inlined inline __attribute__((always_inline))
volatile int word, other;

noinline int leaf(int n) { word = n; return n + other; }
static inlined int clear(int *p) { int old = *p; *p = 0; word = old; return old; }
static inlined int once(int n) { return leaf(n) * 3; }

noinline int body(int *p, int n)
{
	int sum = leaf(n);
	if (n > 3)
		sum += clear(p);
	sum += once(sum);
	sum ^= leaf(sum);
	other = sum;
	return sum;
}

noinline int tail(int n) { word = 7; return leaf(n); }
static inlined int middle(int *p, int n) { other = 9; n = body(p, n); other = 10; return n; }
noinline int outer(int *p, int n) { n = middle(p, n) + 1; word = n; return n; }
noinline int stranger(int *p, int n) { n = body(p, n) + 2; word = n; return n; }

int main(int argc, char **argv)
{
	return outer(&argc, argc) + stranger(&argc, argc) + tail(argc);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("resolve"), SOURCE)


@pytest.fixture
def resolver(program: Path) -> Resolver:
    return Resolver(program, "small")


def code_of(program: Path, function: str) -> list[tuple[int, str]]:
    """Addresses and text of a function's instructions, as objdump prints them."""
    argv = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(program)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^ +([0-9a-f]+):\t(.*)$", text, re.MULTILINE)
    return [(int(address, 16), insn) for address, insn in rows]


def calls_to(program: Path, function: str, callee: str) -> list[int]:
    return [at for at, text in code_of(program, function) if f"<{callee}>" in text]


def after(program: Path, function: str, address: int) -> int:
    return min(at for at, _ in code_of(program, function) if at > address)


def test_entry_is_the_first_instruction(program: Path, resolver: Resolver) -> None:
    assert resolver.resolve(["entry of body"]).addresses == (code_of(program, "body")[0][0],)


def test_return_is_every_ret(program: Path, resolver: Resolver) -> None:
    rets = [at for at, text in code_of(program, "body") if text.startswith("ret")]
    assert rets
    assert list(resolver.resolve(["return of body"]).addresses) == rets


def test_anywhere_is_its_entry_its_returns_and_before_each_call_and_copy(
    program: Path, resolver: Resolver
) -> None:
    found = set(resolver.resolve(["anywhere in body"]).addresses)
    parts = ("entry of body", "return of body", "before leaf in body", "before clear in body")
    named = [set(resolver.resolve([part]).addresses) for part in parts]
    assert all(part < found for part in named)
    inside = {at for at, _ in code_of(program, "body")}
    assert found < inside


def test_before_and_after_find_calls_also_within_what_is_inlined(
    program: Path, resolver: Resolver
) -> None:
    calls = calls_to(program, "body", "leaf")
    assert len(calls) == 3
    assert list(resolver.resolve(["before leaf in body"]).addresses) == calls
    returns = [after(program, "body", at) for at in calls]
    assert list(resolver.resolve(["after leaf in body"]).addresses) == returns


def test_the_nth_occurrence_counts_source_lines(program: Path, resolver: Resolver) -> None:
    first, second, third = calls_to(program, "body", "leaf")
    found = [resolver.resolve([f"before leaf #{n} in body"]).addresses for n in (1, 2, 3)]
    assert found == [(first,), (second,), (third,)]
    with pytest.raises(UserError, match="occurs 3 times there"):
        resolver.resolve(["before leaf #4 in body"])


def test_after_an_inlined_function_nothing_of_it_is_left(program: Path, resolver: Resolver) -> None:
    copy = next(item for item in resolver.occurrences("body") if item.name == "clear")
    assert copy.copy is not None
    found = resolver.resolve(["after clear in body"])
    assert found.addresses
    assert not any(address in copy.copy for address in found.addresses)
    # The store that clears is before each of them.
    store = next(at for at, text in code_of(program, "body") if "movl   $0x0,(" in text)
    assert all(address > store for address in found.addresses)


def straight(*insns: Insn) -> dict[int, Insn]:
    return {insn.address: insn for insn in insns}


def test_exits_pass_over_code_that_the_compiler_moved() -> None:
    code = straight(
        Insn(1, Flow.NEXT, next=2),  # of the piece, but moved up before its entry
        Insn(2, Flow.BRANCH, target=7, next=3),
        Insn(3, Flow.NEXT, next=4),  # entry
        Insn(4, Flow.NEXT, next=5),  # not of the piece: control comes back at 5
        Insn(5, Flow.NEXT, next=6),
        Insn(6, Flow.BRANCH, target=1, next=7),
        Insn(7, Flow.RETURN),
    )
    exits = find_exits(code, 1, 3, {1, 3, 5})
    assert exits.addresses == {6}
    assert not exits.shared


def test_an_exit_that_is_reached_around_the_piece_is_shared() -> None:
    code = straight(
        Insn(1, Flow.BRANCH, target=4, next=2),
        Insn(2, Flow.NEXT, next=3),
        Insn(3, Flow.NEXT, next=4),
        Insn(4, Flow.RETURN),
    )
    assert find_exits(code, 1, 2, {2, 3}) == Exits(frozenset({4}), shared=True)


def test_a_function_that_exists_only_inlined_has_an_entry(
    program: Path, resolver: Resolver
) -> None:
    low, high = code_of(program, "outer")[0][0], code_of(program, "outer")[-1][0]
    (entry,) = resolver.resolve(["entry of middle"]).addresses
    assert low <= entry <= high
    assert list(resolver.resolve(["before body in middle"]).addresses) == calls_to(
        program, "outer", "body"
    )


def test_from_turns_an_entry_into_the_call_and_a_return_into_what_follows_it(
    program: Path, resolver: Resolver
) -> None:
    (call,) = calls_to(program, "stranger", "body")
    assert resolver.resolve(["entry of body from stranger"]).addresses == (call,)
    follows = after(program, "stranger", call)
    assert resolver.resolve(["return of body from stranger"]).addresses == (follows,)


def test_from_puts_a_gate_before_a_point_inside(program: Path, resolver: Resolver) -> None:
    found = resolver.resolve(["before leaf in body from stranger"])
    assert list(found.addresses) == calls_to(program, "body", "leaf")
    assert found.gate is not None
    assert list(found.gate.calls) == calls_to(program, "stranger", "body")
    assert found.gate.entries == (code_of(program, "body")[0][0],)


def test_a_tail_call_has_no_after_and_its_function_no_return(resolver: Resolver) -> None:
    with pytest.raises(UserError, match="leave by a jump into leaf"):
        resolver.resolve(["return of tail"])
    with pytest.raises(UserError, match="does not come back"):
        resolver.resolve(["after leaf in tail"])


def test_the_first_alternative_that_the_kernel_has_is_taken(resolver: Resolver) -> None:
    found = resolver.resolve(["entry of newer_name", "entry of body"])
    assert found.point == "entry of body"


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("entry of bodi", r"^small lacks a sync point; `entry of bodi`.*nearest: body"),
        ("before leav in body", r"neither calls nor inlines leav; nearest: leaf"),
        ("before clear in stranger", r"neither calls nor inlines clear"),
        ("entry of tail from outer", r"outer neither calls nor inlines tail"),
        ("entry of elsewhere.c:body", r"no code of body"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    resolver: Resolver, point: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        resolver.resolve([point])


def test_the_cache_knows_what_a_kernel_does_not_have(program: Path, tmp_path: Path) -> None:
    cache = tmp_path / "points.json"
    with pytest.raises(UserError, match="no code of gone") as first:
        Resolver(program, "small", cache).resolve(["entry of gone"])
    with pytest.raises(UserError) as second:
        Resolver(tmp_path / "gone", "small", cache).resolve(["entry of gone"])
    assert first.value.message == second.value.message


def test_the_cache_answers_without_the_vmlinux(program: Path, tmp_path: Path) -> None:
    cache = tmp_path / "points.json"
    points = ["after clear in body"], ["entry of body"]
    found = [Resolver(program, "small", cache).resolve(point) for point in points]
    gone = Resolver(tmp_path / "gone", "small", cache)
    assert [gone.resolve(point) for point in points] == found
    with pytest.raises(UserError, match="gone"):
        gone.resolve(["entry of outer"])


def test_no_debug_information_is_an_error_that_says_so(program: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    proc.run(["strip", "-o", stripped, program], deadline=20)
    with pytest.raises(UserError, match="no debug information"):
        Debug(stripped)


def test_a_return_thunk_is_a_return() -> None:
    assert decode(1, "jmp    ffffffff82000020 <__x86_return_thunk>", 6).flow is Flow.RETURN
    assert decode(1, "jmp    40 <f+0x20>", 6).flow is Flow.JUMP
    assert not decode(1, "jmp    40 <f+0x20>", 6).tail
    assert decode(1, "jne,pt 40 <f+0x20>", 6).flow is Flow.BRANCH
    assert decode(1, "bnd jmp *%rax", 6).successors == ()


def test_disassembly_covers_the_whole_range(program: Path) -> None:
    rows = code_of(program, "body")
    code = disassemble(program, ((rows[0][0], rows[-1][0] + 1),))
    assert sorted(code) == [at for at, _ in rows]


def test_a_line_is_where_its_code_begins(resolver: Resolver) -> None:
    lines = SOURCE.splitlines()
    start = lines.index("noinline int body(int *p, int n)")
    nth = lines.index("\tother = sum;") - start + 1
    found = resolver.resolve((f"line {nth} of body",))
    (body,) = (one for one in resolver.debug.bodies("body") if not one.inlined)
    assert found.addresses
    assert {resolver.debug.line(body, at) for at in found.addresses} == {start + nth}


def test_a_line_without_code_is_an_error(resolver: Resolver) -> None:
    with pytest.raises(UserError, match=r"no code of body belongs to that line"):
        resolver.resolve(("line 900 of body",))


def test_an_instruction_is_named_as_reports_do(resolver: Resolver) -> None:
    (entry,) = resolver.resolve(("entry of leaf",)).addresses
    second = sorted(disassemble(resolver.vmlinux, resolver.debug.bodies("leaf")[0].container))[1]
    assert resolver.resolve((f"at leaf{second - entry:+#x}",)).addresses == (second,)
    with pytest.raises(UserError, match="no instruction of leaf begins there"):
        resolver.resolve(("at leaf+0xfff",))
