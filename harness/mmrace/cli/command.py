# SPDX-License-Identifier: GPL-2.0-only
"""What makes a function a command: it returns an answer, which is told here."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import click

from mmrace.answers.answer import Answer, Block, Table
from mmrace.cli.app import App
from mmrace.cli.session import report
from mmrace.terminal.tables import printed

Function = Callable[..., Any]


def command(name: str, group: click.Group | None = None) -> Callable[[Function], click.Command]:
    """Return the decorator that makes a function the command ``name``, with ``--json``.

    The function gets the App and its options, and returns an Answer.
    """

    def decorate(function: Function) -> click.Command:
        @functools.wraps(function)
        def wrapped(app: App, *args: Any, **given: Any) -> int:
            return tell(app, function(app, *args, **given))

        made = click.command(name)(click.pass_obj(wrapped))
        made.params.append(json_option())
        if group:
            group.add_command(made)
        return made

    return decorate


def json_option() -> click.Option:
    """Return ``--json`` as an option that stands behind a command's name."""
    text = "One JSON document on standard output."
    return click.Option(
        ["--json"], is_flag=True, expose_value=False, callback=_want_json, help=text
    )


def _want_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    app: App = context.find_root().obj
    app.as_json |= value


def tell(app: App, answer: Answer) -> int:
    """Tell an answer to people or to a program; returns the exit code.

    Raises what ended the command, once all that it had found is told.
    """
    app.document(dict(answer.document))
    for line in answer.plain:
        click.echo(line, err=app.as_json)
    if answer.watched or not app.as_json:
        show(app, answer.text)
    for note in answer.notes:
        app.note(note)
    if answer.page:
        page = answer.page
        report(app, page.runs, page.title, page.not_run, page.sections)
    if answer.error:
        raise answer.error
    return answer.exit_code


def show(app: App, blocks: Iterable[Block]) -> None:
    """Print tables and lines of text: on standard error where a document is on the output."""
    for block in blocks:
        if isinstance(block, Table):
            app.out.print(printed(block))
        else:
            click.echo(block, err=app.as_json)
