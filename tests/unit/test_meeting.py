# SPDX-License-Identifier: GPL-2.0-only
"""The picture of how vCPUs met, from what a steered run stored."""

from xml.etree import ElementTree

import pytest

from mmrace.reports.meeting import read, svg

WINDOWS = [
    {"name": "a", "hold": "entry of f", "until": "entry of g"},
    {"name": "b", "hold": "entry of g", "until": "return of <f>"},
]
EVENTS = [
    [0.5, 1, "met", 0],  # its hold began before the first event that was kept
    [1.000, 0, "held", 0],
    [1.005, 0, "timeout", 0],
    [2.000, 0, "held", 0],
    [2.001, 1, "until", 0],
    [2.001, 1, "held", 1],
    [2.002, 0, "met", 0],
    [2.003, 0, "until", 1],
    [2.004, 1, "met", 1],
    [3.000, 0, "held", 0],
    [3.005, 0, "timeout", 0],
]


def test_the_last_meeting_and_the_holds_before_it_are_drawn():
    meeting = read({"windows": WINDOWS, "events": EVENTS}, shown=2)
    assert meeting
    assert [(hold.vcpu, hold.window, hold.met) for hold in meeting.holds] == [(0, 0, 1), (1, 1, 0)]
    assert meeting.holds[0].start == 2.0
    assert meeting.holds[0].end == 2.002


def test_a_hold_that_nobody_met_is_told_apart():
    meeting = read({"windows": WINDOWS, "events": EVENTS}, shown=3)
    assert meeting
    assert meeting.holds[0].met is None


@pytest.mark.parametrize("story", [{}, {"windows": WINDOWS, "events": EVENTS[1:4]}])
def test_without_a_meeting_there_is_no_picture(story):
    assert read(story) is None


def test_the_picture_is_well_formed_and_says_who_met_whom_where():
    meeting = read({"windows": WINDOWS, "events": EVENTS})
    assert meeting
    root = ElementTree.fromstring(str(svg(meeting, 'a "title"')))  # noqa: S314 - our own
    texts = [item.text for item in root.iter() if item.text and item.tag.endswith("text")]
    assert {"vCPU 0", "vCPU 1"} <= set(texts)
    assert any(
        "vCPU 1 held at entry of g; after 3.000 ms vCPU 0 came to return of <f>" in text
        for text in texts
    )
    bars = [item for item in root.iter() if item.tag.endswith("rect")]
    assert len(bars) == 3
