# SPDX-License-Identifier: GPL-2.0-only
"""How a command ends: exceptions become one line, an exit code, and a JSON document."""

import sys
import traceback

import click

from mmrace.answers.usage import usage_message
from mmrace.cli.document import PRINTED, error_document, kind_of, print_document
from mmrace.errors import MmraceError, of_host

INTERRUPTED = 130
SKIP = 125  # what `git bisect run` takes for a revision that cannot be tested


def exit_code(command: click.Command) -> int:
    """Run the command line; returns the exit code of design."""
    try:
        code = command.main(standalone_mode=False, prog_name="mmrace")
    except MmraceError as error:
        return _say(error)
    except click.ClickException as error:
        return _end("usage", usage_message(error), 2)
    except (click.Abort, KeyboardInterrupt):
        return _end("interrupted", "interrupted", INTERRUPTED)
    except (MemoryError, OSError) as error:
        return _say(of_host(error))
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return _end(
            "bug", f"{what}; this is a bug in mmrace, please report it", MmraceError.exit_code
        )
    return code if isinstance(code, int) else 0


def _end(kind: str, message: str, code: int) -> int:
    """Say the error, and print it as the one JSON document if asked for; returns the exit code.

    `git bisect run` takes any code but 0, 1 and 125 for a bad revision, or for the end.
    """
    click.echo(f"mmrace: {message}", err=True)
    if code != INTERRUPTED and _is_given("--bisect-exit"):
        code = SKIP
    if _is_given("--json") and not PRINTED:
        print_document(error_document(kind, message, code))
    return code


def _is_given(option: str) -> bool:
    """Whether an option was given; a usage error comes before click has read it."""
    words = sys.argv[1:]
    return option in words[: words.index("--") if "--" in words else None]


def _say(error: MmraceError) -> int:
    if error.detail:
        click.echo(error.detail, err=True)
    return _end(kind_of(error), error.message, error.exit_code)
