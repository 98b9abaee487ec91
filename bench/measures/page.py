"""What the page loads before a desktop is opened, and how soon something can be seen."""

from __future__ import annotations

import gzip
import time

from playwright.sync_api import Browser, Page, Response

from bench.chrome import chromium, page_of
from bench.measures import Plan
from bench.results import Row, Target, median, percentile
from bench.site import Site

TITLE = "First page"
METHOD = (
    "The list of desktops of somebody signed in, in a Chromium that has nothing in its cache. Script is every answer "
    "that is JavaScript until the network has been silent for a second; gzip is what it would be compressed. The view "
    "is there when the heading and the button for a new desktop can be seen, counted from the navigation."
)


def measure(plan: Plan) -> list[Row]:
    site = Site(plan.user)
    try:
        with chromium() as browser:
            views, again = [], []
            for _ in range(plan.times(8, 2)):
                scripts, first, second = _visit(browser, site)
                views.append(first)
                again.append(second)
            sign_in = _scripts_of_sign_in(browser, site)
    finally:
        site.close()
    limit = Target(at_most=250)
    return [
        Row("script before a desktop is opened, raw", _kilobytes(scripts), "kB", limit),
        Row("script before a desktop is opened, gzip", _kilobytes([gzip.compress(s) for s in scripts]), "kB"),
        Row("script of the sign-in page, raw", _kilobytes(sign_in), "kB", limit),
        Row("first view, nothing cached, p50", median(views), "s", samples=len(views)),
        Row("first view, nothing cached, p95", percentile(views, 95), "s", samples=len(views)),
        Row("first view, cached, p50", median(again), "s", samples=len(again)),
    ]


def _kilobytes(parts: list[bytes]) -> float:
    return sum(map(len, parts)) / 1000


def _visit(browser: Browser, site: Site) -> tuple[list[bytes], float, float]:
    """Scripts, and the seconds to the view, of a first visit and of one with the cache filled."""
    page = page_of(browser, site)
    scripts = _collect(page)
    first = _view(page, f"{site.url}/desktops")
    _quiet(page)
    found = [answer.body() for answer in scripts]
    second = _view(page, f"{site.url}/desktops")
    page.context.close()
    return found, first, second


def _scripts_of_sign_in(browser: Browser, site: Site) -> list[bytes]:
    page = page_of(browser)
    scripts = _collect(page)
    page.goto(site.url)
    _quiet(page)
    found = [answer.body() for answer in scripts]
    page.context.close()
    return found


def _collect(page: Page) -> list[Response]:
    scripts: list[Response] = []

    def note(answer: Response) -> None:
        if "javascript" in answer.headers.get("content-type", ""):
            scripts.append(answer)

    page.on("response", note)
    return scripts


def _view(page: Page, address: str) -> float:
    page.goto(address, wait_until="commit")
    took: float = page.evaluate(
        """() => new Promise((resolve) => {
          const look = () => {
            if (document.querySelector('h1') && document.querySelector('[data-testid^=new-desktop]')) {
              requestAnimationFrame(() => resolve(performance.now() / 1000));
            } else setTimeout(look, 4);
          };
          look();
        })"""
    )
    return took


def _quiet(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    time.sleep(1)
