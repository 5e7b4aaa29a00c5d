# SPDX-License-Identifier: GPL-2.0-only
"""What all commands share: the home, how progress is shown, where a result goes."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.console import Console

from mmrace.home import Home
from mmrace.progress import Tell
from mmrace.terminal.lines import wrap_text
from mmrace.terminal.steps import show_step


class App:
    """One invocation: ``home``, whether the result is JSON and has details, the consoles.

    People's progress goes to standard error; a command's result to standard output.
    """

    def __init__(self, home: Home, as_json: bool) -> None:
        self.home = home
        self.json = as_json
        self.verbose = False
        self.plain = False  # no live lines: several steps are under way at once
        self.end_live: Callable[[], None] = lambda: None  # takes what is live off the terminal
        self._known: set[str] = set()  # closing lines of steps
        self._after: list[Callable[[], None]] = []
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def out(self) -> Console:
        """Where a command's result for people goes: standard error beside a JSON document."""
        return self.err if self.json else self._out

    def after_answer(self, action: Callable[[], None]) -> None:
        """Have an action done once the command's answer is printed, and not if it never is."""
        self._after.append(action)

    def end_answer(self) -> None:
        """Do what waits for the answer to be printed."""
        for action in self._after:
            action()

    def note(self, text: str) -> None:
        """Say something to people."""
        self.err.print(wrap_text(text, self.err), markup=False)

    def step(self, title: str) -> AbstractContextManager[Tell]:
        """Show that something is under way; yields a function that takes its present state."""
        live = self.err.is_terminal and not self.plain
        return show_step(self.err, title, live=live, known=self._known)
