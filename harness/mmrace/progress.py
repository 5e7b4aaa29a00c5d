# SPDX-License-Identifier: GPL-2.0-only
"""What a step that is under way reports about itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

Tell = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[Tell]]


def unseen(_title: str) -> AbstractContextManager[Tell]:
    """Show nothing of a step (a ``Step``)."""
    return nullcontext(lambda _text: None)


class Counted(str):
    """A state that says how much of a step is done: ``512 of 2411, mm/mmap.o``."""

    __slots__ = ("done", "total")
    done: int
    total: int

    def __new__(cls, done: int, total: int, what: str = "", *, about: bool = False) -> Self:
        """Return the state; ``total`` may prove too small, and is an estimate with ``about``."""
        total = max(done, total)
        of = "of about" if about else "of"
        made = super().__new__(cls, f"{done} {of} {total}{f', {what}' if what else ''}")
        made.done, made.total = done, total
        return made


def clock(seconds: float) -> str:
    """Seconds as people read them: 4.2 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def rough_clock(seconds: float) -> str:
    """Seconds that are estimated, or that change while one looks: 4 s, 3 min 20 s, 2 h 05 min."""
    return f"{seconds:.0f} s" if seconds < 59.5 else clock(seconds)
