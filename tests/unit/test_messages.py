# SPDX-License-Identifier: GPL-2.0-only
"""All messages of errors: one line, lower case, what is wrong, then the way out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "harness" / "mmrace"
USER = {"UserError", "NotHereError"}
ERRORS = {*USER, "BuildError", "InfraError"}
# A message may begin with a thing's name.
NAMES = ("KVM", "QEMU", "LTP", "TLS", "CONFIG_", "MMRACE_", "Debian")
RIDDLES = re.compile(r"\b(is|are) (no|none)\b|\bthere (is|are)\b|\bis not one\b", re.IGNORECASE)


def text_of(node: ast.expr) -> str | None:
    """A message as far as it is in the source; what is put in is ``{...}``, None: all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
        return "".join(map(str, parts))
    return None


def messages() -> Iterator[tuple[str, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ERRORS and node.args and (text := text_of(node.args[0])):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.id, text


FOUND = list(messages())


def test_the_catalogue_is_all_there() -> None:
    assert len(FOUND) > 300


@pytest.mark.parametrize(("where", "kind", "text"), FOUND, ids=[where for where, _, _ in FOUND])
def test_a_message_says_what_is_wrong_and_what_to_do(where: str, kind: str, text: str) -> None:
    assert "\n" not in text
    assert text[0] in "{`-'" or text[0].islower() or text.startswith(NAMES), text
    assert not RIDDLES.search(text), f"a riddle: {text}"
    assert not text.endswith("."), text
    if kind in USER:
        what, _, way_out = text.partition("; ")
        assert what, text
        assert way_out, f"no way out: {text}"
