# SPDX-License-Identifier: GPL-2.0-only
"""What all commands share: the home, how progress is shown, how a result is printed."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console, ConsoleRenderable, RichCast
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mmrace.errors import BuildError, InfraError, MmraceError, NotHereError, UserError
from mmrace.home import Home

Tell = Callable[[str], None]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_KINDS = (
    (NotHereError, "missing"),
    (UserError, "input"),
    (BuildError, "build"),
    (InfraError, "infra"),
)
PLAIN_INTERVAL = 15.0  # seconds between the plain lines of one step
QUICK = 1.0  # seconds that a step may take unseen
PLAIN_WIDTH = 160  # of tables that go to a file or a pipe


def kind_of(error: MmraceError) -> str:
    """What the JSON document of an error calls it."""
    return next((name for known, name in _KINDS if isinstance(error, known)), "bug")


def error_document(kind: str, message: str, code: int) -> dict[str, Any]:
    """Return what ``--json`` tells of a command that failed, and its exit code."""
    return {"error": {"kind": kind, "message": message, "exit": code}}


def print_document(content: dict[str, Any]) -> None:
    """Print the one JSON document on standard output."""
    App.has_told = True
    click.echo(json.dumps({"schema": 1, **content}, indent=1, default=str))


class App:
    """One invocation: ``home``, whether the result is JSON, and the two consoles.

    People's progress goes to standard error; a command's result to standard output.
    """

    has_told = False  # of the process: its one JSON document is out

    def __init__(self, home: Home, as_json: bool) -> None:
        self.home = home
        self.as_json = as_json
        self.plain = False  # no live lines: several steps are under way at once
        self._after: list[Callable[[], None]] = []
        self._live: Live | None = None
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def out(self) -> Console:
        """Where a command's result for people goes: standard error beside a JSON document."""
        self.end_live()
        return self.err if self.as_json else self._out

    def when_told(self, what: Callable[[], None]) -> None:
        """Have something done when the command has told its result, and not if it never does."""
        self._after.append(what)

    def told(self) -> None:
        """Say that it has."""
        for what in self._after:
            what()

    def document(self, content: dict[str, Any]) -> None:
        """Print the one JSON document, when JSON was asked for."""
        self.end_live()
        if self.as_json:
            print_document(content)

    def keep_live(self, shown: ConsoleRenderable | RichCast) -> None:
        """Keep something on the terminal, below all lines, until the command has a result."""
        self.plain = True
        if self.err.is_terminal:
            self._live = Live(shown, console=self.err, refresh_per_second=2, transient=True)
            self._live.start()

    def end_live(self) -> None:
        """Take it from the terminal."""
        if self._live:
            self._live.stop()
            self._live = None

    def note(self, text: str) -> None:
        """Say something to people."""
        self.err.print(text, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Tell]:
        """Show that something is under way; yields what tells its present state.

        On a terminal a live line with the elapsed time, else plain lines now and then. A state that
        begins with "=" is the result, and stands in the closing line; a step without one that took
        no time leaves no line.
        """
        started = time.monotonic()
        done = "failed"
        live = self.err.is_terminal and not self.plain
        shown = _Live(self.err, title) if live else _Plain(self.err, title)
        try:
            yield shown.tell
            done = "done"
        except NotHereError:
            done = "not here"  # nothing failed, and the caller says what is left out
            raise
        finally:
            shown.close()
            seconds = time.monotonic() - started
            if shown.result or done == "failed" or seconds > QUICK:
                self.note(f"{title}: {shown.result or done} ({seconds:.1f} s)")


class _Plain:
    def __init__(self, console: Console, title: str) -> None:
        self.result = ""
        self._console = console
        self._title = title
        self._last = time.monotonic() - PLAIN_INTERVAL + QUICK

    def tell(self, text: str) -> None:
        if text.startswith("="):
            self.result = text[1:].strip()
        elif time.monotonic() - self._last > PLAIN_INTERVAL:
            self._last = time.monotonic()
            self._console.print(f"{self._title}: {text} ...", markup=False)

    def close(self) -> None:
        """Nothing is left on the screen to take away."""


class _Live:
    def __init__(self, console: Console, title: str) -> None:
        self.result = ""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(title, total=None, state="")
        self._progress.start()

    def tell(self, text: str) -> None:
        if text.startswith("="):
            self.result = text[1:].strip()
        else:
            self._progress.update(self._task, state=text[:100])

    def close(self) -> None:
        self._progress.stop()


def _want_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj.as_json = True


def json_option(command: Decorated) -> Decorated:
    """Let ``--json`` stand behind a command's name too."""
    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_want_json,
        help="One JSON document on standard output.",
    )
    return option(command)
