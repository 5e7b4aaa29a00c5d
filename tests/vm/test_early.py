# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that end before a console of theirs is up: the run says what they said, and soon."""

import difflib
import os
from pathlib import Path

import pytest

from mmrace.home import Home
from mmrace.sources.tree import find_tree, store

TREE = "debian:6.1"
SECONDS = 20.0  # of QEMU, on a host that does nothing else
pytestmark = pytest.mark.slow
SETUP = ("arch/x86/kernel/setup.c", "\tparse_early_param();\n")
START = ("init/main.c", "\tsetup_arch(&command_line);\n")
LOOP = '\tpr_emerg("nobody goes on\\n");\n\tfor (;;)\n\t\tcpu_relax();\n'
PANIC = '\tpanic("nobody is at home");\n'
CASES = {
    "panic-setup-arch": (SETUP, PANIC, "CRASH", "nobody is at home"),
    "loop-setup-arch": (SETUP, LOOP, "HANG", "nobody goes on"),
    "panic-start-kernel": (START, PANIC, "CRASH", "nobody is at home"),
    "loop-start-kernel": (START, LOOP, "HANG", "nobody goes on"),
}


def broken(folder: Path, place: tuple[str, str], code: str) -> Path:
    """A patch that puts code behind a line of a source file."""
    home = Home.from_environment(os.environ)
    path, line = place
    old = store(home).file(find_tree(home, TREE, lambda _text: None).commit, path).decode()
    assert old.count(line) == 1
    new = old.replace(line, line + code)
    names = (f"a/{path}", f"b/{path}")
    found = difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names)
    patch = folder / "broken.patch"
    patch.write_text("".join(found))
    return patch


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_that_ends_early_is_told_with_its_text(name, mmrace, tmp_path, capsys):
    place, code, outcome, text = CASES[name]
    patch = broken(tmp_path, place, code)
    words = ("--race", "khugepaged-retract", "--workload", "collapse-punch", "--for", "2s")
    done = mmrace("run", "--tree", TREE, "--series", str(patch), *words)
    run = done.run("collapse-punch")
    with capsys.disabled():
        print(f"\n{name}: {run['outcome']} {run['title']!r} after {run['seconds']:.1f} s")
    assert run["outcome"] == outcome, done.text
    assert text in run["title"]
    assert done.code == 1
    assert run["seconds"] <= SECONDS * max(1.0, os.getloadavg()[0] / 2)
