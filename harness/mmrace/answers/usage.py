# SPDX-License-Identifier: GPL-2.0-only
"""A command line that click cannot parse, as one line: what is wrong, then the way out."""

from collections.abc import Iterable
from difflib import get_close_matches

import click
from click.exceptions import NoSuchCommand


def usage_message(error: click.ClickException) -> str:
    """Return the message of a usage error in the form of all other errors.

    A mistyped command or option is answered with the known one that is most like it.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, NoSuchCommand) and context and isinstance(context.command, click.Group):
        names = context.command.list_commands(context)
        return _unknown("command", error.command_name, names, context)
    if isinstance(error, click.NoSuchOption) and context:
        names = [
            name for one in context.command.params for name in (*one.opts, *one.secondary_opts)
        ]
        return _unknown("option", error.option_name, names, context)
    text = " ".join(error.format_message().split()).removesuffix(".")
    text = text[:1].lower() + text[1:]
    return text if "; " in text else f"{text}; {_help(context)}"


def _unknown(kind: str, name: str, known: Iterable[str], context: click.Context) -> str:
    close = get_close_matches(name, known, 1)
    return f"no {kind} {name!r}; {f'did you mean {close[0]}?' if close else _help(context)}"


def _help(context: click.Context | None) -> str:
    return f"see `{context.command_path if context else 'mmrace'} --help`"
