# SPDX-License-Identifier: GPL-2.0-only
"""A headless Chromium, and a page of runs made for it."""

import shutil
from pathlib import Path

import pytest
from selenium import webdriver

from made_runs import BEGIN, BOOT, BUG, FAILED, made_run
from mmrace.outcome import VmEnd, WindowCount
from mmrace.reports import report
from mmrace.reports.account import Place
from mmrace.runs.record import NotRun

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1280,800",
    "--disable-dev-shm-usage",
)  # fmt: skip


def need(*names):
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"{name} absent: apt-get install chromium chromium-driver")


@pytest.fixture(scope="session")
def artefacts():
    """Where pictures are kept for people to look at."""
    folder = Path(__file__).parents[2] / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser that tells all that its console said."""
    need("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A report of four runs: a crash, a failure, one that held, one too quiet."""
    folder = tmp_path_factory.mktemp("runs")
    turns = "".join(
        f"# out mmrace: count turns {n * n}\n# count probe:held {n}\n" for n in range(40)
    )
    held = BEGIN + turns + "ok 1 - w # exit=0 seconds=7.50\n1..1\n# end\n"
    windows = (WindowCount("hold-one", 900, 640), WindowCount("hold-other", 300, 2))
    runs = [
        made_run(folder, name="20260102-030401-stack-w-0001", race="stack", channel=BEGIN + turns,
                 console=BOOT + BUG, end=VmEnd.RESET, windows=windows,
                 console_from=9.0),
        made_run(folder, name="20260102-030402-faults-w-0002", race="faults", channel=FAILED),
        made_run(folder, name="20260102-030403-stack-w-0003", race="stack", channel=held,
                 series=("vulnerable", "fixes")),
        made_run(folder, name="20260102-030404-faults-w-0004", race="faults", floor=1000),
    ]  # fmt: skip
    trace = [
        Place("check_it", "include/linux/made.h:12", inlined=True, source="BUG_ON(!locked(page));"),
        Place("made_to_fail", "mm/made.c:42", "+0x1d/0x50"),
        Place("its_caller", "mm/made.c:99", "+0x8e/0xa0"),
    ]
    text = report.html(
        runs, title="mmrace demo", made="2026-01-02 03:05 UTC", host="Linux x86_64",
        not_run=[NotRun("stack", "ltp", "no LTP source")], decoded={runs[0].id: trace},
    )  # fmt: skip
    path = folder / "report.html"
    path.write_text(text)
    return path.as_uri()


@pytest.fixture(params=["light", "dark"])
def opened(chromium, page, request):
    """Open the page anew in one of the two colour schemes."""
    feature = {"name": "prefers-color-scheme", "value": request.param}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    chromium.get("about:blank")
    chromium.get_log("browser")
    chromium.get(page)
    chromium.scheme = request.param
    yield chromium
    entries = chromium.get_log("browser")
    assert not entries, entries
