# SPDX-License-Identifier: GPL-2.0-only
"""A session for tests: nothing is shown, and cells run one after another in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmrace.executors.executor import Executor
from mmrace.experiments.session import Session
from mmrace.home import Home


@contextmanager
def quiet_step(_title: str) -> Iterator[Callable[[str], None]]:
    """Show nothing."""
    yield lambda _text: None


def made_session(
    home: Home, note: Callable[[str], object] = str, executor: Executor | None = None
) -> Session:
    """Return a session whose notes go to ``note``."""
    return Session(home, quiet_step, note, executor=executor)
