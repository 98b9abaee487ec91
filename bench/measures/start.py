"""From the click on "New desktop" to the first picture of it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from playwright.sync_api import Page

from bench.chrome import chromium, page_of
from bench.measures import Plan
from bench.peers.desktop import PeerDesktop
from bench.processes import Trouble
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Session, Site

TITLE = "Click to first picture"
METHOD = (
    "Chromium on the page, one click on its button for a new desktop; the clock stops when wallpaper and panel have "
    "been drawn on the page's canvas (pixels read in the page) and nothing covers it any more. The peer is Xvnc + XFCE "
    "alone under the same account, without a browser: from its first process until wallpaper and panel are windows on "
    "the screen, and until both are painted there. Both take turns, after one of each to warm up."
)
BUTTONS = "[data-testid=new-desktop], [data-testid=new-desktop-first]"
PEER = "Xvnc + XFCE alone"
Alone = tuple[float, float]


@dataclass
class Click:
    """One start: seconds in all, and where they went by the session's own stages."""

    seconds: float
    parts: dict[str, float]


def measure(plan: Plan) -> list[Row]:
    clicks: list[Click] = []
    alone: list[Alone] = []
    site = Site(plan.user)
    try:
        with chromium() as browser:
            page = page_of(browser, site)
            for _ in range(1 + plan.times(12, 2)):
                clicks.append(click(page, site))
                peer = PeerDesktop(plan.user)
                alone.append((peer.mapped, peer.painted))
                peer.close()
    finally:
        site.close()
    cold, *warm = clicks
    return [*_totals([click.seconds for click in warm], alone[1:]), *_parts_rows(warm), Row(COLD, cold.seconds, "s")]


COLD = "the very first one of an account"


def _totals(took: list[float], alone: list[Alone]) -> list[Row]:
    rows = []
    for percent, limit in ((50, 2.0), (95, 3.5)):
        peers = [
            Peer(f"{PEER}, {what}", percentile([one[which] for one in alone], percent))
            for which, what in enumerate(("windows", "painted"))
        ]
        what = f"click to first picture, p{percent}"
        rows.append(Row(what, percentile(took, percent), "s", Target(at_most=limit), peers, len(took)))
    more = median([mine - painted for mine, (_, painted) in zip(took, alone, strict=True)])
    return [*rows, Row(f"more than {PEER} painted, p50", more, "s", samples=len(took))]


def _parts_rows(clicks: list[Click]) -> list[Row]:
    return [
        Row(f"of it {part}, p50", median([click.parts[part] for click in clicks]), "s", samples=len(clicks))
        for part in clicks[0].parts
    ]


def click(page: Page, site: Site) -> Click:
    """One new desktop by the page; ended again."""
    page.goto(f"{site.url}/desktops")
    button = page.locator(BUTTONS).first
    button.wait_for(timeout=15_000)
    page.wait_for_load_state("networkidle")
    page.evaluate("benchProbe.armPicture()")
    button.click()
    try:
        found = page.evaluate("Promise.race([benchProbe.result, new Promise(end => setTimeout(end, 40000))])")
        if found is None:
            raise Trouble("no picture of the desktop within 40 s")
        [session] = site.get("/api/vnc/sessions?ended=false")
        session = site.wait_for(session["id"], "ready")
    finally:
        page.goto("about:blank")
        site.end_all()
    seconds = float(found["milliseconds"]) / 1000
    return Click(seconds, _parts(session, float(found["began"]) / 1000, seconds))


def _parts(session: Session, began: float, seconds: float) -> dict[str, float]:
    """Seconds from the click to the request, in each stage, and from ready to the picture (before it: negative)."""
    parts = {"click to request": _epoch(session["created_at"]) - began}
    parts |= {f"stage {stage['name']}": stage["seconds"] for stage in session["stages"]}
    return parts | {"ready to picture": began + seconds - _epoch(session["ready_at"])}


def _epoch(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
