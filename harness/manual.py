# SPDX-License-Identifier: GPL-2.0-only
"""The manual page mmrace(1), from the commands themselves; built into the wheel."""

import inspect
import re
from collections.abc import Iterator

import click

_EXIT = (
    ("0", "the kernel held; FIXED; found"),
    ("1", "the kernel failed; NOT_FIXED"),
    ("2", "usage, or bad input"),
    ("3", "not exercised, infeasible, INCONCLUSIVE, not found"),
    ("4", "the kernel did not build"),
    ("69", "mmrace or the host failed: says nothing of the kernel"),
    ("70", "a bug in mmrace"),
    ("130", "interrupted"),
)
_FILES = (
    ("~/.cache/mmrace", "kernels, compiler cache, guest programs: can be made again"),
    ("~/.local/share/mmrace", "trees, runs, reports, own races: cannot"),
    ("./mmrace-races", "races of the project that people work on"),
)


def render(top: click.Group, name: str, version: str) -> str:
    """Return the page in man(7)'s language."""
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {version}" "User Commands"',
        ".SH NAME",
        f"{name} \\- {_text(_summary(top))}",
        ".SH SYNOPSIS",
        f".B {name}",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(top.help),
        ".SH OPTIONS",
        *_options(top),
        ".SH COMMANDS",
    ]
    for words, command in _commands(top, name):
        lines += [f".SS {_text(' '.join(words))}", *_synopsis(words, command)]
        lines += [".PP", *_paragraphs(command.help), *_options(command)]
    lines += [".SH EXIT STATUS", *_list(_EXIT), ".SH FILES", *_list(_FILES)]
    lines += [".SH ENVIRONMENT", *_list((("MMRACE_HOME", "in place of the first two files"),))]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group, info_name=before[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        words = (*before, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield words, command
        if isinstance(command, click.Group):
            yield from _commands(command, *words)


def _synopsis(words: tuple[str, ...], command: click.Command) -> list[str]:
    context = click.Context(command, info_name=words[-1])
    arguments = [one.make_metavar(context) for one in command.params if _is_argument(one)]
    shown = " ".join(f"\\fI{_text(one)}\\fR" for one in ["[OPTIONS]", *arguments])
    return [".PP", f"\\fB{_text(' '.join(words))}\\fR {shown}"]


def _options(command: click.Command) -> list[str]:
    context = click.Context(command)
    lines = []
    for one in command.get_params(context):
        record = None if _is_argument(one) else one.get_help_record(context)
        if record:
            lines += [".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1]) or "\\&"]
    return lines


def _is_argument(one: click.Parameter) -> bool:
    return isinstance(one, click.Argument)


def _list(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [line for word, text in pairs for line in (".TP", f"\\fB{_text(word)}\\fR", _text(text))]


def _paragraphs(text: str | None) -> list[str]:
    parts = inspect.cleandoc(text or "").split("\n\n")
    lines: list[str] = []
    for part in parts:
        lines += [".PP"] if lines else []
        if part.startswith("\b\n"):
            lines += [".nf", *map(_text, part.splitlines()[1:]), ".fi"]
        else:
            lines.append(_text(" ".join(part.split())))
    return lines


def _summary(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").partition("\n")[0].rstrip(".")


def _text(text: str) -> str:
    """Escape what is special to roff."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", safe)
