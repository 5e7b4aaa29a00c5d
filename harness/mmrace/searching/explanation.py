# SPDX-License-Identifier: GPL-2.0-only
"""A witness as text in columns, one for each actor, with lines of source."""

import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmrace.definitions.witness import Step, Witness
from mmrace.errors import UserError
from mmrace.symbols.decode import Place
from mmrace.symbols.resolve import Resolver
from mmrace.symbols.symbolizer import Vmlinux

_WIDTH = 38  # of a column, so that two fit a terminal


@dataclass(frozen=True)
class Line:
    """The action of one actor in one step; ``places``: lines of source, innermost first."""

    actor: str
    text: str
    places: tuple[Place, ...] = ()

    @property
    def words(self) -> str:
        """The step in words."""
        if not self.places:
            return self.text
        inner, outer = self.places[0], self.places[-1]
        where = f"{inner.file}:{inner.line}"
        within = "" if inner is outer else f", {outer.file}:{outer.line}"
        return f"{self.text} ({where}{within})"


def explain(
    witness: Witness,
    resolver: Resolver,
    vmlinux: Vmlinux,
    known: Callable[[str], int | None] = lambda _point: None,
) -> tuple[Line, ...]:
    """Return each step of a witness with the lines of source of its point in a kernel.

    ``known``: returns the one address of a point found by a search, as its name may stand for many.
    """
    found = []
    for number, step in enumerate(witness.step):
        places: tuple[Place, ...] = ()
        with suppress(UserError):
            places = next(iter(vmlinux.places(_addresses(step, resolver, known)).values()), ())
        found.append(Line(step.actor, _step_text(step, number == len(witness.step) - 1), places))
    return tuple(found)


def _addresses(step: Step, resolver: Resolver, known: Callable[[str], int | None]) -> Sequence[int]:
    if not step.point:
        return ()
    found = known(step.point[0])
    return resolver.resolve(step.point).addresses[:1] if found is None else (found,)


def _step_text(step: Step, last: bool) -> str:
    if not step.point:
        return f"goes on for {step.seconds * 1000:g} ms"
    times = f", time {step.hit}" if step.hit > 1 else ""
    stops = "is there; all go on" if last else "waits there"
    return f"{step.point[0]}{times}: {stops}"


def columns(
    lines: Sequence[Line], title: Callable[[str], str] = lambda actor: actor
) -> tuple[str, ...]:
    """Return the lines in one column for each actor, in the order of their first steps."""
    actors = list(dict.fromkeys(line.actor for line in lines))
    rows = ["  ".join(title(actor).ljust(_WIDTH) for actor in actors).rstrip()]
    for line in lines:
        margin = " " * ((_WIDTH + 2) * actors.index(line.actor))
        rows += [margin + text for text in textwrap.wrap(line.words, _WIDTH)]
    return tuple(rows)
