# SPDX-License-Identifier: GPL-2.0-only
"""Whether a failure matches a signature of its race."""

import re

from mmrace import crash as crashes
from mmrace.crash import Crash
from mmrace.definitions.race import Signature


def in_report(signature: Signature, crash: Crash, console: bytes | bytearray) -> bool:
    """Whether a crash on a console matches a signature's title and report.

    False for a signature without either: it is about the workload's output only.
    """
    if not (signature.title or signature.report):
        return False
    titles = (crash.title, *crash.alt_titles)
    if signature.title and not any(re.search(signature.title, title) for title in titles):
        return False
    if not signature.report:
        return True
    text = crashes.report_text(console, crash)
    return bool(re.search(signature.report, text, re.MULTILINE))


def in_output(signature: Signature, output: str) -> bool:
    """Whether a signature's words, if it has any, are in the workload's output."""
    return not signature.output or bool(re.search(signature.output, output, re.MULTILINE))
