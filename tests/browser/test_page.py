# SPDX-License-Identifier: GPL-2.0-only
"""The HTML report in a real browser: it renders, filters, folds and obeys the keyboard."""

import base64
import re

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def shown_rows(driver):
    rows = driver.find_elements(By.CSS_SELECTOR, ".runs tbody tr")
    return [row.text.split()[0] for row in rows if row.is_displayed()]


def shown_sections(driver):
    found = driver.find_elements(By.CSS_SELECTOR, "details.run")
    return [item.get_attribute("id")[-4:] for item in found if item.is_displayed()]


def is_open(driver, run):
    return driver.find_element(By.CSS_SELECTOR, f"details[id$='{run}']").get_property("open")


def focused(driver):
    name, text = driver.execute_script(
        "const at = document.activeElement;return [at.tagName, at.id || at.textContent.slice(0, 9)]"
    )
    return name.lower(), text


def press_tab(driver):
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    for kind in ("rawKeyDown", "keyUp"):
        driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, **key})


def in_view(driver, element):
    return driver.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "return box.top >= 0 && box.bottom <= innerHeight && box.width > 0", element
    )  # fmt: skip


def contrast(driver, element):
    """WCAG's contrast of an element's text with what is painted behind it."""
    colours = driver.execute_script(
        """let behind = arguments[0];
        while (/, 0\\)$|transparent/.test(getComputedStyle(behind).backgroundColor))
          behind = behind.parentElement ?? document.body;
        return [getComputedStyle(arguments[0]).color, getComputedStyle(behind).backgroundColor]""",
        element,
    )
    light = []
    for colour in colours:
        parts = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        light.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_what_where_and_how_again_are_seen_without_scrolling(opened):
    first = opened.find_element(By.CSS_SELECTOR, ".failure")
    assert in_view(opened, first)
    for words in (
        "kernel BUG in made_to_fail",
        "include/linux/made.h:12",
        "mmrace again 20260102-030401-stack",
    ):
        assert words in first.text


def test_it_keeps_a_picture_of_itself(opened, artefacts):
    height = opened.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": 1280, "height": min(height, 6000), "scale": 1}
    shot = opened.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    picture = base64.b64decode(shot["data"])
    (artefacts / f"report-{opened.scheme}.png").write_bytes(picture)
    assert len(picture) > 30_000


def test_colours_can_be_read_in_both_schemes(opened):
    back = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") is (opened.scheme == "light")
    for selector in (".badge", "dt", ".note", ".crash pre b", ".soft", ".failure h3 a", ".copy"):
        for element in opened.find_elements(By.CSS_SELECTOR, selector)[:6]:
            assert contrast(opened, element) >= 4.5, (selector, element.text)


def test_the_table_filters_by_words_and_by_outcome(opened):
    field = opened.find_element(By.ID, "filter")
    field.send_keys("faults")
    assert shown_rows(opened) == ["FAIL", "NOT"]
    assert shown_sections(opened) == ["0002", "0004"]
    assert opened.find_element(By.ID, "shown").text == "2 of 5 shown"
    field.send_keys(Keys.ESCAPE)
    assert len(shown_rows(opened)) == 5
    for outcome in ("CRASH", "PASS"):
        opened.find_element(By.CSS_SELECTOR, f".chip.{outcome}").click()
    assert shown_rows(opened) == ["CRASH", "PASS"]
    field.send_keys("no such thing")
    assert shown_rows(opened) == []


def test_runs_fold_and_failures_begin_unfolded(opened):
    assert [is_open(opened, run) for run in ("0001", "0002", "0003", "0004")] == [
        True, True, False, False,
    ]  # fmt: skip
    opened.find_element(By.ID, "unfold").click()
    assert is_open(opened, "0003")
    opened.find_element(By.ID, "fold").click()
    assert not is_open(opened, "0001")


def test_a_link_to_a_run_unfolds_it_even_when_filtered_away(opened):
    opened.find_element(By.ID, "filter").send_keys("fixes")
    opened.find_element(By.CSS_SELECTOR, ".runs a[href$='0003']").click()
    assert is_open(opened, "0003")
    opened.execute_script("location.hash = '#20260102-030404-faults-w-0004'")
    opened.find_element(By.CSS_SELECTOR, "details[id$='0004'] dl")  # waits for the page's event
    assert opened.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => done(location.hash.slice(-4)))"
    ) == "0004"  # fmt: skip
    assert is_open(opened, "0004")
    assert len(shown_rows(opened)) == 5


def test_everything_is_reached_by_keyboard(opened):
    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys("/")
    assert focused(opened) == ("input", "filter")
    body.send_keys(Keys.ESCAPE)
    opened.execute_script("document.activeElement.blur(); getSelection().removeAllRanges()")
    reached = []
    for _ in range(60):
        press_tab(opened)
        reached.append(focused(opened))
    names = [name for name, _ in reached]
    assert ("input", "filter") in reached
    assert ("button", "unfold") in reached
    assert ("button", "copy") in reached
    assert {"a", "button", "summary", "pre"} <= set(names)
    summary = opened.find_element(By.CSS_SELECTOR, "details[id$='0003'] > summary")
    opened.execute_script("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    assert is_open(opened, "0003")


def test_nothing_is_fetched(opened):
    loaded = opened.execute_script("return performance.getEntriesByType('resource').length")
    assert loaded == 0


def test_the_timeline_marks_the_failure_inside_the_picture(opened):
    picture = opened.find_element(By.CSS_SELECTOR, "details[id$='0001'] svg")
    assert "CRASH" in picture.get_attribute("aria-label")
    box, mark = picture.rect, picture.find_element(By.CSS_SELECTOR, ".failed line").rect
    assert box["x"] < mark["x"] < box["x"] + box["width"]
    assert len(picture.find_elements(By.CSS_SELECTOR, ".counter")) == 2
