"""Chromium, with the probe in every page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bench import processes
from bench.processes import Trouble
from bench.site import Site

PROBE = Path(__file__).with_name("probe.js")
WIDTH, HEIGHT = 1440, 900


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    program = shutil.which("chromium")
    if program is None:
        raise Trouble("there is no Chromium: scripts/setup test brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


def wait(page: Page, expression: str, what: str, seconds: float = 20) -> None:
    """Wait until a JavaScript expression holds; asked from outside, as the page's own policy forbids eval."""
    processes.until(lambda: page.evaluate(expression), seconds, what, 0.05)


def page_of(browser: Browser, site: Site | None = None, proxy: str = "") -> Page:
    """A page of a browser profile of its own; with a site, signed in there, also through a proxy with this address."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB", ignore_https_errors=bool(proxy)
    )
    context.add_init_script(path=PROBE)
    if site is not None:
        where = {"url": proxy} if proxy else {}
        context.add_cookies([dict(cookie) | where for cookie in site.cookies])  # type: ignore[misc]
    return context.new_page()
