# SPDX-License-Identifier: GPL-2.0-only
"""What is looked at before a table of formats is looked through leaves no header out."""

import golden_console
from crash_reports import all_cases
from mmrace.crash import dmesg
from mmrace.crash.formats import FORMATS, PRELUDE, PRELUDES
from mmrace.crash.header import TRIGGER, header_of

LINES = {
    line.text
    for console in [case.console for case in all_cases()]
    + [golden.console for golden in golden_console.recorded()]
    for raw in console.splitlines()
    for line in dmesg.split(raw, 0)
}


def slowly(text):
    return next((form for form in FORMATS if form.header.search(text)), None)


def test_every_header_is_found_that_a_look_at_all_formats_finds():
    found = {text: slowly(text) for text in LINES}
    assert sum(form is not None for form in found.values()) > 150
    for text, form in found.items():
        quick = header_of(text)
        assert (quick[0] if quick else None) is form, text


def test_headers_and_preludes_have_a_trigger():
    for text in LINES:
        prelude = any(pattern.search(text) for _, pattern, _ in PRELUDES)
        if prelude:
            assert PRELUDE.search(text), text
        if prelude or (header_of(text) and "not syncing" in text):
            assert TRIGGER.search(text), text
