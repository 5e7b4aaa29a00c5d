# SPDX-License-Identifier: GPL-2.0-only
"""``mmrace points`` on a small program in a kernel's place."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from fakes.program import compiled
from mmrace.cli import search
from mmrace.cli.app import App
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.runs import kernels
from mmrace.symbols.resolve import Resolver

SOURCE = """
volatile int word;
__attribute__((noinline, noclone)) int leaf(int n) { word = n; return n + word; }
static inline __attribute__((always_inline)) int twice(int n) { word = 3; return n * 2; }
__attribute__((noinline, noclone)) int body(int n)
{
	n = leaf(n) + 1;
	n = twice(n);
	return n + leaf(n) * 3;
}
int main(int argc, char **argv) { (void)argv; return body(argc); }
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    vmlinux = compiled(tmp_path, SOURCE)
    kernel = SimpleNamespace(id="0123", release="6.1", vmlinux=vmlinux, folder=tmp_path / "kernel")
    built = SimpleNamespace(tree=SimpleNamespace(name="t"), series=("s",), kernel=kernel)
    built.resolver = lambda: Resolver(kernel.vmlinux, "t s (6.1)", kernel.folder / "points.json")
    monkeypatch.setattr(kernels, "build", lambda *_: built)
    return App(Home(tmp_path / "cache", tmp_path / "data"), True)


def test_all_that_can_be_named_by_source_line(app):
    done = CliRunner().invoke(search.points, ["body", "--tree", "t"], obj=app)
    assert done.exception is None, done.output
    found = json.loads(done.stdout)
    assert [(item["name"], item["kind"]) for item in found["points"]] == [
        ("leaf", "call"),
        ("twice", "inlined"),
        ("leaf", "call"),
    ]
    assert len(found["edges"]["entry"]) == 1
    assert found["edges"]["return"]


def test_a_function_that_is_not_there_is_named(app):
    with pytest.raises(UserError, match="no code of boddy; nearest: body"):
        CliRunner().invoke(search.points, ["boddy", "--tree", "t"], obj=app, catch_exceptions=False)
