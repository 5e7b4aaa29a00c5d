# SPDX-License-Identifier: GPL-2.0-only
"""docs/concepts/architecture.md is true: modules import only from their own row and those above."""

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "harness" / "mmrace"


def rows():
    text = (TOP / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("|---|---|\n")[2].partition("\n\n")[0]
    return [re.findall(r"`(\w+\*?)`", line.split("|")[1]) for line in table.splitlines()]


def row_of(module):
    found = [n for n, names in enumerate(rows()) if any(fnmatch(module, name) for name in names)]
    assert found, f"{module} is in no row of docs/concepts/architecture.md"
    return found[0]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name not in ("__main__.py",) and path != PACKAGE / "__init__.py":
            yield path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "mmrace":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("mmrace."):
                yield node.module.split(".")[1]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Lazy":
            name = ast.literal_eval(node.args[0])
            yield from name.split(".")[1:2] if name.startswith("mmrace.") else ()


def test_every_module_has_its_row_and_imports_only_from_above():
    wrong = []
    for path, module in modules():
        for name in imports(path):
            if name != "__version__" and row_of(name) > row_of(module):
                wrong.append(f"{module} imports {name}")
    assert not wrong


def test_only_proc_starts_processes_and_only_the_command_line_prints():
    for path, module in modules():
        text = path.read_text(encoding="utf-8")
        if module != "proc":
            assert not re.search(r"^(import|from) (subprocess|pexpect)", text, re.MULTILINE), path
        if module not in ("cli", "plugin"):
            assert not re.search(r"^\s*print\(|os\.environ|getenv", text, re.MULTILINE) or (
                module in ("proc", "kexplain")
            ), path


SHARED = {"app", "command", "options", "runoptions", "session", "document"}


def cli_modules():
    return {path.stem: path.read_text() for path in sorted((PACKAGE / "cli").glob("*.py"))}


def test_commands_share_options_printing_and_the_session_and_nothing_else():
    for name, text in cli_modules().items():
        if name == "__init__":  # it ties them together
            continue
        found = re.findall(r"^from mmrace\.cli(?:\.(\w+))? import", text, re.MULTILINE)
        assert set(found) <= SHARED, f"{name} imports {sorted(set(found) - SHARED)}"


def test_the_command_line_stays_small():
    lines = {name: len(text.splitlines()) for name, text in cli_modules().items()}
    assert sum(lines.values()) <= 1900, lines


def test_commands_have_no_loop_and_lay_out_no_table():
    """A command parses, has one experiment done, and returns what ``answers`` makes of it."""
    loops = (ast.For, ast.While, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
    for name, text in cli_modules().items():
        if name not in SHARED | {"__init__", "commands"}:
            tree = ast.parse(text)
            found = [
                f"{name}.py:{node.lineno}" for node in ast.walk(tree) if isinstance(node, loops)
            ]
            assert not found
            assert "Table(" not in text
            assert "table(" not in text


def test_one_module_starts_qemu_and_one_makes_pairs():
    def users(call):
        return {
            str(path.relative_to(PACKAGE))
            for path, _ in modules()
            if re.search(rf"(?<!def )(?<!class )\b{re.escape(call)}", path.read_text())
        }

    assert users("proc.console(") == {"guests/guest.py"}
    assert users("Campaign(") - {"verdicts/campaign.py"} == {"experiments/verification.py"}
    # Pairs, the runs before them from which a reproducer's failure is learnt, and the attack.
    names = ("verification", "reproducing", "attack")
    campaigns = {f"experiments/{name}.py" for name in names}
    assert users("campaign_slots(") - {"runs/slots.py"} == campaigns


def lazy_uses():
    """Attributes that modules take from others by Lazy, by the module that has them."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                pairs = zip(*map(_flat, (node.targets[0], node.value)), strict=False)
                names |= {one.id: of.args[0].value for one, of in pairs if _is_lazy(of)}
        for node in ast.walk(tree):
            of = getattr(getattr(node, "value", None), "id", "")
            if isinstance(node, ast.Attribute) and names.get(of, "").startswith("mmrace"):
                found.setdefault(names[of], set()).add(node.attr)
    return found


def _flat(node):
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_lazy(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Lazy"


@pytest.mark.parametrize(("module", "names"), sorted(lazy_uses().items()))
def test_what_is_imported_late_is_there_when_nothing_else_was_imported(module, names):
    code = f"import importlib\nm = importlib.import_module({module!r})\n"
    code += f"print([name for name in {sorted(names)} if not hasattr(m, name)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
