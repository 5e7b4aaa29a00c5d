# SPDX-License-Identifier: GPL-2.0-only
"""A home for tests of series: a small kernel tree in a repository, taken as ``toy``, and a base."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.kerneltree import git, make_kernel
from mmrace.definitions import base as base_module
from mmrace.home import Home
from mmrace.sources.tree import add_tree

BASE = 'name = "6.1"\nversions = "==6.1.*"\ntested = "6.1.192"\n'


def toy_template(top: Path, commit: Callable[[Path], None], base: str = BASE) -> Path:
    """Make a tree of tag ``start``, let ``commit`` go on from there, and write one base."""
    repo = make_kernel(top / "repo")
    git(repo, "tag", "start")
    add_tree(Home(top / "cache", top / "data"), "toy", str(repo), None, lambda _text: None)
    commit(repo)
    (top / "patches/6.1").mkdir(parents=True)
    (top / "patches/6.1/BASE.toml").write_text(base)
    return top


def toy_home(template: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Copy a template for one test, and have its base be the only one."""
    shutil.copytree(template, top, symlinks=True, dirs_exist_ok=True)
    monkeypatch.setattr(base_module, "data_dir", lambda _kind: top / "patches")
    return Home(top / "cache", top / "data")
