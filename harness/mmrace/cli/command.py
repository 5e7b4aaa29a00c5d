# SPDX-License-Identifier: GPL-2.0-only
"""What makes a function a command: it returns an answer, which is printed here."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import click

from mmrace.answers.answer import Answer, Block, Table
from mmrace.cli.app import App
from mmrace.cli.document import print_document
from mmrace.lazy import Lazy
from mmrace.terminal.lines import wrap_text
from mmrace.terminal.tables import rich_table

Function = Callable[..., Any]
session = Lazy("mmrace.cli.session")  # most of mmrace, which a look at the disk does not take


def command(name: str, group: click.Group | None = None) -> Callable[[Function], click.Command]:
    """Return the decorator that makes a function the command ``name``, with ``--json`` and ``-v``.

    The function gets the App and its options, and returns an Answer.
    """

    def decorate(function: Function) -> click.Command:
        @functools.wraps(function)
        def wrapped(app: App, *args: Any, **given: Any) -> int:
            return print_answer(app, function(app, *args, **given))

        made = click.command(name)(click.pass_obj(wrapped))
        made.params += flags()
        if group:
            group.add_command(made)
        return made

    return decorate


def flags() -> list[click.Option]:
    """Return the options that all commands have."""
    return [
        _flag("-v", "--verbose", text="Show details."),
        _flag("--json", text="One JSON document on standard output."),
    ]


def _flag(*names: str, text: str) -> click.Option:
    def note(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            setattr(context.find_root().obj, str(option.name), True)

    return click.Option(names, is_flag=True, expose_value=False, callback=note, help=text)


def print_answer(app: App, answer: Answer) -> int:
    """Print an answer for people or for a program; returns the exit code.

    Raises the error that ended the command, once all that it had found is printed.
    """
    app.end_live()
    if app.json:
        print_document(answer.document)
    for line in answer.plain:
        click.echo(line, err=app.json)
    if answer.watched or not app.json:
        blocks = answer.details if app.verbose and answer.details else answer.text
        print_blocks(app, blocks, sentences=answer.watched)
    for note in answer.notes:
        app.note(note)
    if answer.page:
        page = answer.page
        session.report(app, page.runs, page.title, page.not_run, page.sections)
    if answer.error:
        raise answer.error
    return answer.exit_code


def print_blocks(app: App, blocks: Iterable[Block], *, sentences: bool = False) -> None:
    """Print tables and text, of ``sentences`` or as it is; beside a document to standard error."""
    for block in blocks:
        if isinstance(block, Table):
            app.out.print(rich_table(block, app.out.width))
        else:
            click.echo(wrap_text(block, app.out) if sentences else block, err=app.json)
