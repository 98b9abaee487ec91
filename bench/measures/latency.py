"""From an event in the page to the changed pixel in the page."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page

from bench import targets
from bench.chrome import HEIGHT, WIDTH, chromium, page_of, wait
from bench.measures import Plan
from bench.peers.desktop import PeerDesktop
from bench.peers.novnc import Websockify
from bench.processes import Trouble
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site

TITLE = "Event to changed pixel"
METHOD = (
    "A program in the session changes the colour of its window at each key and click. The clock runs from the event "
    "in the page (keydown, mousedown) until the pixel read from the page's canvas has changed. The peer is the same "
    "noVNC through websockify straight on an Xvnc of its own with XFCE, same account, same size, in the same browser; "
    "both take turns in blocks of ten, with a random pause before each event."
)
BLOCK = 10
EVENTS = {"key": "keydown", "click": "mousedown"}


@dataclass
class Side:
    """One of the two: its page, the point that is watched, and what was measured in milliseconds."""

    page: Page
    x: int = targets.FLIP_X + 150
    y: int = targets.FLIP_Y + 100
    samples: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in EVENTS})

    def aim(self) -> None:
        """Put the pointer on the target: the canvas may be drawn smaller than it is."""
        box = self.page.evaluate("(() => { const b = benchProbe.largest().getBoundingClientRect();"
                                 " return [b.x, b.y, b.width, b.height] })()")  # fmt: skip
        width, height = self.page.evaluate("benchProbe.size()")
        self.page.mouse.move(box[0] + self.x * box[2] / width, box[1] + self.y * box[3] / height)

    def event(self, name: str) -> float:
        time.sleep(random.uniform(0.03, 0.08))
        self.page.evaluate(f"benchProbe.armChange('{EVENTS[name]}', {self.x}, {self.y})")
        if name == "key":
            self.page.keyboard.press("a")
        else:
            self.page.mouse.down()
            self.page.mouse.up()
        found = self.page.evaluate("Promise.race([benchProbe.result, new Promise(end => setTimeout(end, 3000))])")
        if found is None:
            raise Trouble(f"no pixel changed within 3 s of a {name}")
        return float(found["milliseconds"])


def measure(plan: Plan) -> list[Row]:
    site = Site(plan.user)
    peer = PeerDesktop(plan.user)
    proxy = Websockify(peer.socket, page=True)
    try:
        session = site.ready_desktop(width=WIDTH, height=HEIGHT)
        with chromium() as browser:
            ours = open_page(browser, f"{site.url}/desktops/{session['id']}", site)
            theirs = open_page(browser, proxy.url, None)
            targets.start("flip", session["display"], site.folder(session["id"]) / "Xauthority")
            targets.start("flip", peer.display, peer.authority)
            time.sleep(1)
            take_turns(ours, theirs, plan.times(10, 2))
    finally:
        proxy.close()
        peer.close()
        site.close()
    return [row for name in EVENTS for row in _rows(name, ours.samples[name], theirs.samples[name])]


def open_page(browser: Browser, address: str, site: Site | None, proxy: str = "") -> Side:
    """The page with a desktop; `proxy` is the address of the site if it is not the portal's own."""
    page = page_of(browser, site, proxy)
    page.goto(address)
    wait(page, "benchProbe.size()?.[0] > 600 && benchProbe.colour(20, 12).some(part => part > 0)", "the picture")
    return Side(page)


def take_turns(ours: Side, theirs: Side, blocks: int) -> None:
    for block in range(-1, blocks):
        for side in (ours, theirs) if block % 2 else (theirs, ours):
            side.page.bring_to_front()
            side.aim()
            for name, samples in side.samples.items():
                found = [side.event(name) for _ in range(BLOCK)]
                if block >= 0:  # the first warms up
                    samples += found


def _rows(name: str, ours: list[float], theirs: list[float]) -> list[Row]:
    peer = "noVNC + websockify"
    return [
        Row(f"{name}, p50", median(ours), "ms", Target(at_most=25), [Peer(peer, median(theirs))], len(ours)),
        Row(f"{name}, p95", percentile(ours, 95), "ms", None, [Peer(peer, percentile(theirs, 95))], len(ours)),
    ]
