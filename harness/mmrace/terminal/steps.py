# SPDX-License-Identifier: GPL-2.0-only
"""What is under way, as people see it: one line a step, its time, and the time left where known."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from mmrace.errors import NotHereError
from mmrace.progress import Counted, Tell, clock

PLAIN_INTERVAL = 15.0  # seconds between the plain lines of one step
WAITING = "waiting for "
QUICK = 1.0  # seconds that a step may take unseen
_SURE = 5.0  # seconds of a step from which the time left can be told


@contextmanager
def shown(console: Console, title: str, *, live: bool) -> Iterator[Tell]:
    """Show that something is under way; yields what tells its present state.

    A ``live`` line, else plain lines now and then. A state that begins with "=" is the result, and
    stands in the closing line; a step without one that took no time leaves no line.
    """
    step = (_Live if live else _Plain)(console, title)
    ended = "failed"
    try:
        yield step.tell
        ended = "done"
    except NotHereError:
        ended = "not here"  # nothing failed, and the caller says what is left out
        raise
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    finally:
        step.close()
        if step.result or ended in ("failed", "interrupted") or step.seconds > QUICK:
            console.print(f"{title}: {step.result or ended} ({clock(step.seconds)})", markup=False)


class _Step:
    """A step that shows nothing until it ends."""

    def __init__(self, console: Console, title: str) -> None:
        self.result = ""
        self._console = console
        self._title = title
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._started

    def tell(self, text: str) -> None:
        if text.startswith("="):
            self.result = text[1:].strip()
        else:
            self.update(text, time_left(text, self.seconds))

    def update(self, state: str, remaining: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing on the screen."""


class _Plain(_Step):
    def __init__(self, console: Console, title: str) -> None:
        super().__init__(console, title)
        self._last = self._started - PLAIN_INTERVAL + QUICK

    def update(self, state: str, remaining: str) -> None:
        # Nothing follows a wait for somebody else until that is over.
        if state.startswith(WAITING) or time.monotonic() - self._last > PLAIN_INTERVAL:
            self._last = time.monotonic()
            times = f"{clock(self.seconds)}{f', {remaining}' if remaining else ''}"
            self._console.print(f"{self._title}: {state} ... ({times})", markup=False)


class _Live(_Step):
    def __init__(self, console: Console, title: str) -> None:
        super().__init__(console, title)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(title, total=None, state="")
        self._progress.start()

    def update(self, state: str, remaining: str) -> None:
        told = f"{remaining}, {state}" if remaining else state
        self._progress.update(self._task, state=told)

    def close(self) -> None:
        self._progress.stop()


def time_left(state: str, seconds: float) -> str:
    """Say how long a step will still take, from what it has done in so many seconds; or nothing."""
    if not isinstance(state, Counted) or not state.done or seconds < _SURE:
        return ""
    return f"{clock(seconds * (state.total - state.done) / state.done)} left"
