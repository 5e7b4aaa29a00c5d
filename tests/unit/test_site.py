# SPDX-License-Identifier: GPL-2.0-only
"""The documentation site builds strictly: no dead link, no page without a place."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


def build(top: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout into a directory."""
    if not importlib.util.find_spec("material"):
        pytest.skip("mkdocs-material absent: make setup-dev")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out],
        cwd=top,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = build(TOP, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "search" / "search_index.json").stat().st_size > 100_000
    assert "race.toml" in (tmp_path / "reference" / "race-toml.html").read_text(encoding="utf-8")


def test_what_is_dead_or_lost_is_refused(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    for name in ("docs", "harness", "patches", "qemu"):
        shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("*.o", "__pycache__"))
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(TOP / name, top)
    page = top / "docs" / "index.md"
    links = "[gone](howto/gone.md) [nowhere](howto/ci.md#no-such-heading)\n"
    page.write_text(page.read_text(encoding="utf-8") + links, encoding="utf-8")
    (top / "docs" / "lost.md").write_text("# Lost\n", encoding="utf-8")
    done = build(top, tmp_path / "site")
    assert done.returncode != 0
    assert "'howto/gone.md'" in done.stderr
    assert "does not contain an anchor '#no-such-heading'" in done.stderr
    assert "lost.md" in done.stderr
