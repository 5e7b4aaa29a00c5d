# SPDX-License-Identifier: GPL-2.0-only
"""The documentation site in a real browser: readable at two widths in two schemes, searchable."""

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

TOP = Path(__file__).parents[2]
WIDTHS = {"desktop": (1280, 800), "telephone": (390, 844)}
PAGES = ("index", "tutorials/verdict", "concepts/verdicts", "reference/race-toml")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built and served on a port of this host: search needs http."""
    if not importlib.util.find_spec("material"):
        pytest.skip("mkdocs-material absent: make setup-dev")
    out = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", out],
        cwd=TOP, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True, capture_output=True,
    )  # fmt: skip

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=out)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield out, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=[(w, s) for w in WIDTHS for s in ("light", "dark")], ids="-".join)
def browser(chromium, site, request):
    """A browser of one width and colour scheme that has forgotten earlier pages."""
    width, scheme = request.param
    across, down = WIDTHS[width]
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": across, "height": down, "deviceScaleFactor": 1, "mobile": width == "telephone"},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    forget = {"origin": site[1], "storageTypes": "local_storage"}
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", forget)
    chromium.get("about:blank")
    chromium.get_log("browser")
    chromium.shape = width, scheme
    yield chromium
    errors = [line for line in chromium.get_log("browser") if line["level"] == "SEVERE"]
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not errors, errors


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_and_is_kept_as_a_picture(browser, site, artefacts, page):
    browser.get(f"{site[1]}/{page}.html")
    width, scheme = browser.shape
    scheme_name = {"light": "default", "dark": "slate"}[scheme]
    WebDriverWait(browser, 10).until(
        lambda driver: (
            driver.execute_script("return document.body.dataset.mdColorScheme") == scheme_name
        )
    )
    name = f"site-{page.replace('/', '-')}-{width}-{scheme}.png"
    browser.save_screenshot(str(artefacts / name))
    wide = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, "the page scrolls sideways"


def test_search_finds_a_word_and_leads_to_its_page(browser, site, artefacts):
    browser.get(f"{site[1]}/index.html")
    width, scheme = browser.shape
    if width == "telephone":
        browser.find_element(By.CSS_SELECTOR, "label[for=__search].md-icon").click()
    field = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
    WebDriverWait(browser, 20).until(lambda _: field.is_displayed())
    field.click()
    field.send_keys("NOT_EXERCISED")
    # The page draws its results anew while the search goes on, so one script reads them all:
    # an element found by one call may be gone by the next.
    addresses = (
        "return [...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    )
    WebDriverWait(browser, 20).until(
        lambda driver: any("outcomes.html" in found for found in driver.execute_script(addresses)),
        "no result leads to outcomes.html",
    )
    browser.save_screenshot(str(artefacts / f"site-search-{width}-{scheme}.png"))


def test_no_long_page_is_without_a_table_of_contents(chromium, site):
    out, address = site
    long = []
    for path in sorted(out.rglob("*.html")):
        chromium.get(f"{address}/{path.relative_to(out)}")
        height, entries = chromium.execute_script(
            "return [(document.querySelector('article') ?? document.body).scrollHeight,"
            " document.querySelectorAll('.md-nav--secondary .md-nav__link').length]"
        )
        if height > 2 * WIDTHS["desktop"][1] and not entries:
            long.append(str(path.relative_to(out)))
    assert not long
