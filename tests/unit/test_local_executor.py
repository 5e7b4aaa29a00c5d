# SPDX-License-Identifier: GPL-2.0-only
"""What the executor of this machine does with its guests when it is closed."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from mmrace.errors import InfraError
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.progress import Step, unseen


def test_a_run_whose_guest_was_ended_by_closing_is_not_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, killed, again = Event(), Event(), Event()

    def run(_home: Home, cell: Any, step: Step) -> Any:
        with step("run") as tell:
            begun.set()
            assert killed.wait(10)
            tell("QEMU ended; once more")
            again.set()
        return cell

    monkeypatch.setattr("mmrace.executors.local.run", run)
    monkeypatch.setattr("mmrace.executors.local.proc.end_consoles", killed.set)
    executor = LocalExecutor(Home(tmp_path / "cache", tmp_path / "data"), unseen, 2)
    cells: Any = ("cell",)
    future = executor.submit(lambda: cells)
    assert begun.wait(10)
    executor.close()
    with pytest.raises(InfraError, match="interrupted; the same command goes on"):
        future.result()
    assert not again.is_set()
