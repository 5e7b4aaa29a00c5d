# SPDX-License-Identifier: GPL-2.0-only
"""A toy kernel source: a Makefile with a version, a few files in mm/, a link and a script."""

import subprocess
import tarfile
from pathlib import Path

WALK = "".join(f"int step_{n}(void)\n{{\n\treturn {n};\n}}\n\n" for n in range(8))


def write_kernel(top: Path, version: str = "6.1.192") -> Path:
    """Write the source as plain files; returns ``top``."""
    numbers, _, extra = version.partition("-")
    major, minor, patch = numbers.split(".")
    files = {
        "Makefile": f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\n"
        f"EXTRAVERSION ={f' -{extra}' if extra else ''}\nNAME = Toy\n\nall:\n\t@echo toy\n",
        "Kconfig": "config TOY\n\tbool\n",
        "mm/Makefile": "obj-y := walk.o\n",
        "mm/walk.c": WALK,
        "mm/other.c": "int other(void)\n{\n\treturn 0;\n}\n",
        "scripts/run.sh": "#!/bin/sh\nexit 0\n",
    }
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (top / "scripts/run.sh").chmod(0o755)
    if not (top / "mm/link.c").is_symlink():
        (top / "mm/link.c").symlink_to("../mm/other.c")
    return top


def git(repository: Path, *words: str) -> str:
    """Run git in a repository of the test's own; returns what it said."""
    done = subprocess.run(
        ["/usr/bin/git", "-c", "user.name=Tess Ter", "-c", "user.email=t@example.org", *words],
        cwd=repository,
        env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit_all(repository: Path, message: str) -> str:
    """Commit the working files as they are; returns the commit's id."""
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", message)
    return git(repository, "rev-parse", "HEAD")


def make_kernel(top: Path, version: str = "6.1.192") -> Path:
    """Write the source and make a git repository of it."""
    write_kernel(top, version)
    git(top, "init", "-q", "-b", "main")
    commit_all(top, f"toy {version}")
    return top


def pack(top: Path, tarball: Path) -> Path:
    """Make a tarball of a directory, compressed as its suffix says."""
    with tarfile.open(tarball, f"w:{tarball.suffix[1:]}") as tar:
        tar.add(top, arcname=top.name)
    return tarball
