# SPDX-License-Identifier: GPL-2.0-only
"""What no test may take from the shell that it was started in."""

import pytest


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in an ordinary terminal: output is laid out by TERM, COLUMNS and NO_COLOR."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
