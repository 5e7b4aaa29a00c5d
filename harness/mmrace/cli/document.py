# SPDX-License-Identifier: GPL-2.0-only
"""The one JSON document of a command on standard output: its answer, or its error."""

import json
from collections.abc import Mapping
from typing import Any

import click

from mmrace.errors import BuildError, InfraError, MmraceError, NotHereError, UserError

_KINDS = (
    (NotHereError, "missing"),
    (UserError, "input"),
    (BuildError, "build"),
    (InfraError, "infra"),
)
PRINTED: list[bool] = []  # of this process: whether its document is out


def kind_of(error: MmraceError) -> str:
    """What the JSON document of an error calls it."""
    return next((name for known, name in _KINDS if isinstance(error, known)), "bug")


def print_document(content: Mapping[str, Any]) -> None:
    """Print the document."""
    text = json.dumps({"schema": 1, **content}, indent=1, default=str)
    PRINTED.append(True)
    click.echo(text)


def error_document(kind: str, message: str, code: int) -> dict[str, Any]:
    """Return the document of a command that failed."""
    return {"error": {"kind": kind, "message": message, "exit": code}}
