# SPDX-License-Identifier: GPL-2.0-only
"""What is looked at before a table of formats is looked through leaves no header out."""

import pytest

import golden_console
from crash_reports import all_cases
from mmrace.crash import dmesg
from mmrace.crash.formats import FORMATS, PRELUDE, PRELUDES, TRIGGERS
from mmrace.crash.formats.body import DULL
from mmrace.crash.header import header_of, next_trigger
from mmrace.crash.message import TRIGGER

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


@pytest.mark.parametrize("word", TRIGGERS)
@pytest.mark.parametrize("register", ["RAX: 0000000000000001 ", "CR2: ", "ffff888003b4b000: "])
def test_header_behind_half_a_line_of_registers_is_seen(register, word):
    assert DULL.match(register.encode() + b"0000000000000000")
    assert not DULL.match(f"{register}{word}".encode())


@pytest.mark.parametrize("gap", [0, 900, 1030, 70_000, 300_000])
@pytest.mark.parametrize("word", TRIGGERS)
def test_next_trigger_is_the_first_line_that_has_one(gap, word):
    before = b"y\n" + b"x" * (gap % 977) + b"\n" + b"quiet\n" * (gap // 6)
    block = before + b"a " + word.encode() + b"\nBUG:\n"
    assert next_trigger(block, 0) == next_trigger(block, 2) == len(before)
    assert next_trigger(block, len(before)) == len(before)
    assert next_trigger(before, 0) == len(before)
