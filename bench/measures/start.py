"""From the click on "New desktop" to the first picture of it."""

from __future__ import annotations

from playwright.sync_api import Page

from bench.chrome import chromium, page_of
from bench.measures import Plan
from bench.peers.desktop import PeerDesktop
from bench.processes import Trouble
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site

TITLE = "Click to first picture"
METHOD = (
    "Chromium on the page, one click on its button for a new desktop; the clock stops when wallpaper and panel have "
    "been drawn on the page's canvas (pixels read in the page). The peer is Xvnc + XFCE alone under the same account, "
    "from its first process to wallpaper and panel being windows on the screen: no browser, nothing painted yet. Both "
    "take turns, after one of each to warm up."
)
BUTTONS = "[data-testid=new-desktop], [data-testid=new-desktop-first]"


def measure(plan: Plan) -> list[Row]:
    clicked: list[float] = []
    alone: list[float] = []
    site = Site(plan.user)
    try:
        with chromium() as browser:
            page = page_of(browser, site)
            for _ in range(1 + plan.times(12, 2)):
                clicked.append(_click(page, site))
                peer = PeerDesktop(plan.user)
                alone.append(peer.seconds)
                peer.close()
    finally:
        site.close()
    cold, clicked, alone = clicked[0], clicked[1:], alone[1:]
    return [
        Row(
            "click to first picture, p50",
            median(clicked),
            "s",
            Target(at_most=2.0),
            [Peer("Xvnc + XFCE alone", median(alone))],
            len(clicked),
        ),
        Row(
            "click to first picture, p95",
            percentile(clicked, 95),
            "s",
            Target(at_most=3.5),
            [Peer("Xvnc + XFCE alone", percentile(alone, 95))],
            len(clicked),
        ),
        Row("the very first one of an account", cold, "s"),
    ]


def _click(page: Page, site: Site) -> float:
    """One new desktop by the page; gives seconds and ends it again."""
    page.goto(f"{site.url}/desktops")
    button = page.locator(BUTTONS).first
    button.wait_for(timeout=15_000)
    page.wait_for_load_state("networkidle")
    page.evaluate("benchProbe.armPicture()")
    button.click()
    try:
        found = page.evaluate("Promise.race([benchProbe.result, new Promise(end => setTimeout(end, 40000))])")
    finally:
        page.goto("about:blank")
        site.end_all()
    if found is None:
        raise Trouble("no picture of the desktop within 40 s")
    return float(found["milliseconds"]) / 1000
