# SPDX-License-Identifier: GPL-2.0-only
"""Why Kconfig did not take an option: run as a program, next to kconfiglib alone.

A tree's Kconfig files run shell commands when they are read, so this is started inside the
sandbox of the build (``kernelconfig``) and not imported. Arguments: the finished .config, then
NAME=VALUE for each option; without a value, any but n will do. One JSON object on standard output.
"""

import difflib
import io
import json
import re
import sys
from typing import Any

import kconfiglib

# One line of an expression, or several with a backslash at the end, up to a comment.
_WORDS = r"(?:[^#\n\\]|\\\n)+?"
_NEW_SYNTAX = (
    # v5.13 on: a bare "modules" line; what it says could be said with "option" before.
    (re.compile(r"^([ \t]+)modules[ \t]*$", re.M), r"\1option modules"),
    # v6.18 on: a symbol that is going away; its properties are those of any other.
    (re.compile(r"^[ \t]+transitional[ \t]*$", re.M), ""),
    # v7.0 on: a dependency under a condition. Kconfig means X || Y = n; kconfiglib compares symbols
    # only, and !Y differs from that where Y is m, which matters for explanations alone.
    (
        re.compile(rf"^([ \t]+depends on )({_WORDS})[ \t]if[ \t]+({_WORDS})[ \t]*(?=#|$)", re.M),
        r"\1(\2) || !(\3)",
    ),
)


def modernise(text: str) -> str:
    """Return a Kconfig file in the words that kconfiglib 14 knows."""
    for pattern, known in _NEW_SYNTAX:
        text = pattern.sub(known, text)
    return text


class _Kconfig(kconfiglib.Kconfig):  # type: ignore[misc]
    # kconfiglib opens every Kconfig file through this method and offers no other hook.
    def _open(self, filename: str, mode: str) -> Any:
        with super()._open(filename, mode) as file:
            return io.StringIO(modernise(file.read()))


def explain(kconf: Any, name: str, value: str) -> str:
    """Return one line that says why option ``name`` has not the value asked for."""
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        defined = [other.name for other in kconf.unique_defined_syms]
        near = difflib.get_close_matches(name, defined, n=3, cutoff=0.75)
        return "this tree has no such option" + (f"; near: {', '.join(near)}" if near else "")
    if value and (fault := _of_another_type(kconf, symbol, value)):
        return fault
    return _selectors(symbol) if value == "n" else _hindrance(kconf, symbol, value)


def _hindrance(kconf: Any, symbol: Any, value: str) -> str:
    """What keeps an option from being y or m."""
    if failed := _failed(symbol.direct_dep):
        return "; ".join(_dependency(kconf, part) for part in failed)
    if value == "y" and (modules := _only_modules(symbol.direct_dep)):
        return f"it depends on {modules}, which is m; ask for {modules}=y as well"
    if symbol.choice and symbol.choice.selection not in (None, symbol):
        taken = symbol.choice.selection.name
        return f"it is one of a choice, and {taken} was taken; ask for {taken}=n as well"
    return _prompt(symbol)


def _of_another_type(kconf: Any, symbol: Any, value: str) -> str:
    """Say that an option cannot have such a value at all; empty when it can."""
    kind = kconfiglib.TYPE_TO_STR[symbol.orig_type]
    if symbol.orig_type == kconfiglib.BOOL and value not in ("y", "n"):
        return f"{symbol.name} is a bool; {value} is not possible"
    if symbol.orig_type == kconfiglib.TRISTATE and value not in ("y", "m", "n"):
        return f"{symbol.name} is a tristate; {value} is not possible"
    if symbol.orig_type == kconfiglib.TRISTATE and value == "m" and kconf.modules.tri_value == 0:
        return "there are no modules here (MODULES=n); ask for y"
    number = symbol.orig_type in (kconfiglib.INT, kconfiglib.HEX)
    if number and value in ("y", "m"):
        return f"{symbol.name} is {'an int' if kind == 'int' else 'a hex'}; {value} is not possible"
    return ""


def _only_modules(expression: Any) -> str:
    """The first of several conditions that is m, which keeps what depends on it from being y."""
    for part in kconfiglib.split_expr(expression, kconfiglib.AND):
        if kconfiglib.expr_value(part) == 1:
            return str(kconfiglib.expr_str(part))
    return ""


def _prompt(symbol: Any) -> str:
    prompts = [node.prompt[1] for node in symbol.nodes if node.prompt]
    if not prompts:
        return "it has no prompt: only other options can set it"
    if all(kconfiglib.expr_value(shown) == 0 for shown in prompts):
        return f"it can be set only if {kconfiglib.expr_str(prompts[0])}"
    return f"the tree settled on {symbol.str_value}"


def _selectors(symbol: Any) -> str:
    by = [
        kconfiglib.expr_str(part)
        for part in kconfiglib.split_expr(symbol.rev_dep, kconfiglib.OR)
        if kconfiglib.expr_value(part) > 0
    ]
    if by:
        return f"it is selected by {', '.join(by)}"
    return "it cannot be switched off here" if symbol.visibility == 0 else "another option needs it"


def _failed(expression: Any) -> list[Any]:
    return [
        part
        for part in kconfiglib.split_expr(expression, kconfiglib.AND)
        if kconfiglib.expr_value(part) == 0
    ]


def _dependency(kconf: Any, part: Any) -> str:
    """Name a failed dependency, its value, and below it the first that failed in turn."""
    text = f"it depends on {kconfiglib.expr_str(part)}"
    mentioned = [item for item in kconfiglib.expr_items(part) if not item.is_constant]
    values = [
        f"{item.name}={item.str_value}" if item.nodes else f"{item.name} does not exist here"
        for item in sorted(mentioned, key=lambda item: str(item.name))
    ]
    text += f" ({', '.join(values)})"
    if not isinstance(part, kconfiglib.Symbol):
        return text
    if deeper := _failed(part.direct_dep):
        text += f", and {part.name} depends on {kconfiglib.expr_str(deeper[0])}"
    elif part.nodes and not any(node.prompt for node in part.nodes):
        ways = kconfiglib.split_expr(part.rev_dep, kconfiglib.OR)
        by = sorted({kconfiglib.split_expr(way, kconfiglib.AND)[0].name for way in ways})
        text += f", which {' or '.join(by)} selects" if by != ["n"] else ""
    return text


def main(argv: list[str]) -> None:
    """Explain each NAME=VALUE of ``argv`` against the config named first."""
    kconf = _Kconfig(warn=False, suppress_traceback=True)
    kconf.load_config(argv[0])
    requests = [request.split("=", 1) for request in argv[1:]]
    json.dump({name: explain(kconf, name, value) for name, value in requests}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
