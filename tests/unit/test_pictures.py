# SPDX-License-Identifier: GPL-2.0-only
"""Survival curves and posteriors: the numbers behind the pictures, and the pictures in a page."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from made_runs import BEGIN, BOOT, BUG, FAILED, made_run
from mmrace.bisect.dag import Dag
from mmrace.bisect.posterior import Model
from mmrace.bisect.values import Observation, Result, Settings
from mmrace.outcome import VmEnd
from mmrace.verdicts import drift, survival
from mmrace.verdicts.rates import interval
from mmrace.verdicts.survival import Lifetime, curve, lifetimes

SUBJECT = "<$ub_{ject$>"  # neither markup nor mathematics


def test_a_curve_is_the_product_of_what_held() -> None:
    lives = [Lifetime(1, True), Lifetime(2, False), Lifetime(3, True), Lifetime(4, False)]
    made = curve(lives)
    at = dict(zip(made.seconds.tolist(), made.share.tolist(), strict=True))
    assert at[1.0] == pytest.approx(3 / 4)
    assert at[3.0] == pytest.approx(3 / 4 * 1 / 2)  # of the two that were left one failed
    assert made.seconds[0] == 0
    assert made.share[0] == 1
    assert (made.low <= made.share).all()
    assert (made.share <= made.high).all()
    inside = made.share[1:3]
    assert (made.low[1:3] < inside).all()
    assert (inside < made.high[1:3]).all()


def test_a_curve_without_failures_still_has_its_doubt() -> None:
    made = curve([Lifetime(20, False)] * 10)
    assert made.share.tolist() == [1, 1]
    assert made.low[-1] == pytest.approx(1 - interval(10, 0).high)
    assert curve([Lifetime(20, False)] * 100).low[-1] > made.low[-1]


def test_lifetimes_count_only_what_could_tell(tmp_path: Path) -> None:
    foreign = BUG.replace(b"made_to_fail", b"another_function")
    runs = [
        made_run(tmp_path, name="a"),
        made_run(tmp_path, name="b", channel=FAILED),
        made_run(tmp_path, name="c", channel=BEGIN, console=BOOT + foreign, end=VmEnd.RESET),
        made_run(tmp_path, name="d", channel="", console=b"", end=VmEnd.QEMU_DIED),
    ]
    held, failed, foreign_one = lifetimes(runs)
    assert held == Lifetime(60, False)
    assert failed.failed
    assert failed.seconds < 60
    assert not foreign_one.failed


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.text = ""
        self.label = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"] or "")
        self.label += found.get("aria-label") or ""

    def handle_data(self, data: str) -> None:
        self.text += data


def read(*pictures: str) -> Page:
    page = Page()
    for one in pictures:
        page.feed(str(one))
    return page


def moved() -> tuple[Model, drift.Drift]:
    model = Model(Dag.line([f"c{number}" for number in range(8)], "old"))
    seen = [("c7", Result.BAD)] * 3 + [("c3", Result.GOOD)] * 6 + [("c4", Result.BAD)]
    observations = [Observation(*one) for one in seen]
    return model, drift.follow(model, Settings(learn_failures=3), observations)


def test_the_posterior_is_followed_from_stop_to_stop() -> None:
    model, found = moved()
    assert found.runs == (0, 3, 9, 10)
    assert [model.dag.names[row] for row in found.tested[1:]] == ["c7", "c3", "c4"]
    assert np.allclose(found.posterior.sum(axis=1), 1)
    assert found.posterior[0][:8] == pytest.approx(0.95 / 8)
    assert found.posterior[-1].argmax() == 4
    assert found.posterior[-1][4] > found.posterior[1][4]


def test_both_pictures_stand_in_one_page(tmp_path: Path) -> None:
    _, found = moved()
    runs = [made_run(tmp_path, name="a"), made_run(tmp_path, name="b", channel=FAILED)]
    one = survival.picture({"before": runs[1:], "after": runs[:1]})
    two = drift.picture(found, [f"c{number} {SUBJECT}" for number in range(8)])
    assert one is not None
    page = read(one, two)
    assert len(page.ids) == len(set(page.ids))
    assert "share of runs that still hold" in page.text
    assert "before: 1 of 1 runs failed" in page.text
    assert f"c4 {SUBJECT}" in page.text
    assert "none of 1 runs failed" in page.label
    assert "http://www.w3.org/1999/xlink" in one or "xlink" not in one
    assert "#000000" not in one + two
    assert one == survival.picture({"before": runs[1:], "after": runs[:1]})


def test_there_is_no_picture_without_a_run_that_can_tell(tmp_path: Path) -> None:
    void = made_run(tmp_path, channel="", console=b"", end=VmEnd.QEMU_DIED)
    assert survival.picture({"before": [void], "after": []}) is None
