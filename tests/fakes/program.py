# SPDX-License-Identifier: GPL-2.0-only
"""A small program, compiled as the kernel is, in which tests look up symbols."""

import subprocess
from pathlib import Path


def compiled(folder: Path, source: str) -> Path:
    (folder / "small.c").write_text(source)
    argv = ["gcc", "-O2", "-gdwarf-5", "-no-pie", "-fcf-protection=none", "-o", "small", "small.c"]
    subprocess.run(argv, cwd=folder, check=True)
    return folder / "small"
