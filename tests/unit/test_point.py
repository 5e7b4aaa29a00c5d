# SPDX-License-Identifier: GPL-2.0-only
"""The point syntax, and windows that use it."""

import pytest
from pydantic import ValidationError

from mmrace.definitions.point import Point, Where, parse_point
from mmrace.definitions.window import Window
from mmrace.errors import UserError


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("entry of f", Point(Where.ENTRY, "f")),
        ("return of mm/rmap.c:f from g", Point(Where.RETURN, "f", caller="g", file="mm/rmap.c")),
        ("before x #2 in f", Point(Where.BEFORE, "f", inner="x", nth=2)),
        ("after x in f from g", Point(Where.AFTER, "f", inner="x", caller="g")),
        ("anywhere in mm/rmap.c:f", Point(Where.ANYWHERE, "f", file="mm/rmap.c")),
        ("line 12 of f from g", Point(Where.LINE, "f", nth=12, caller="g")),
        ("at f.isra.0+0x1c", Point(Where.AT, "f.isra.0", offset=0x1C)),
        ("at f-0x40", Point(Where.AT, "f", offset=-0x40)),
    ],
)
def test_a_point_reads_back_as_it_is_written(text: str, point: Point) -> None:
    assert parse_point(text) == point
    assert str(point) == text


def test_spaces_do_not_matter() -> None:
    assert parse_point("  before  x#2   in f ") == parse_point("before x #2 in f")


@pytest.mark.parametrize(
    "text",
    [
        "f",
        "entry of",
        "before f",
        "after x in",
        "entry of f #2",
        "before x #0 in f",
        "entry of f+8",
        "at f+8",
        "line 0 of f",
    ],
)
def test_anything_else_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(UserError, match=r"not a point.*`before X in F`"):
        parse_point(text)


def test_a_window_takes_one_point_or_alternatives() -> None:
    window = Window.model_validate(
        {"name": "w", "hold": "entry of f", "until": ["entry of new", "entry  of old"]}
    )
    assert window.hold == ("entry of f",)
    assert window.until == ("entry of new", "entry of old")


@pytest.mark.parametrize(
    "wrong",
    [
        {"hold": "somewhere"},
        {"until": []},
        {"timeout": 0},
        {"timeout": 20_000},
        {"probability": 1.5},
        {"name": "No Name"},
    ],
)
def test_a_window_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    right = {"name": "w", "hold": "entry of f", "until": "entry of g"}
    with pytest.raises(ValidationError):
        Window.model_validate({**right, **wrong})
