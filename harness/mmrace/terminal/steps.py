# SPDX-License-Identifier: GPL-2.0-only
"""What is under way, as people see it: one line a step, its time, and the time left where known."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mmrace.errors import NotHereError
from mmrace.progress import Counted, Tell, clock, rough_clock
from mmrace.terminal.lines import wrap_text

PLAIN_INTERVAL = 15.0  # seconds between the plain lines of one step
WAITING = "waiting for "
QUICK = 1.0  # seconds that a step may take unseen
_SURE = 5.0  # seconds of a step from which the time left can be told
_PART = 0.03  # of a step, likewise


@contextmanager
def show_step(console: Console, title: str, *, live: bool, known: set[str]) -> Iterator[Tell]:
    """Show that something is under way; yields a function that takes its present state.

    A ``live`` line, else plain lines now and then. A state that begins with "=" is the result, for
    the closing line. A step that took no time leaves no line if it has no result, or one that is
    among the ``known``.
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
        line = f"{title}: {step.result or ended}"
        is_new = step.result and line not in known
        if is_new or ended in ("failed", "interrupted") or step.seconds > QUICK:
            known.add(line)
            console.print(wrap_text(f"{line} ({clock(step.seconds)})", console), markup=False)


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
        # Nothing follows a wait for another process until that is over.
        if state.startswith(WAITING) or time.monotonic() - self._last > PLAIN_INTERVAL:
            self._last = time.monotonic()
            times = f"{clock(self.seconds)}{f', {remaining}' if remaining else ''}"
            self._console.print(f"{self._title}: {state} ... ({times})", markup=False)


class _Live(_Step):
    """One line, drawn again and again: times first, for a narrow terminal cuts its end."""

    def __init__(self, console: Console, title: str) -> None:
        super().__init__(console, title)
        self._state = self._remaining = ""
        self._live = Live(
            get_renderable=self._line, console=console, refresh_per_second=4, transient=True
        )
        self._live.start()

    def _line(self) -> Text:
        times = f"{rough_clock(self.seconds)}{f', {self._remaining}' if self._remaining else ''}"
        text = f"{self._title}: {self._state}" if self._state else self._title
        return Text(f"[{times}] {text}", no_wrap=True, overflow="ellipsis")

    def update(self, state: str, remaining: str) -> None:
        self._state, self._remaining = state, remaining

    def close(self) -> None:
        self._live.stop()


def time_left(state: str, seconds: float) -> str:
    """Say how long a step will still take, from what it has done in so many seconds; or nothing."""
    if not isinstance(state, Counted) or seconds < _SURE:
        return ""
    if (
        not state.done or state.done < _PART * state.total
    ):  # what came before the first counts in full
        return ""
    return f"{rough_clock(seconds * (state.total - state.done) / state.done)} left"
