"""From an event in the page to the changed pixel, through nginx with TLS and straight to the portal."""

from __future__ import annotations

import time

from bench import targets
from bench.chrome import HEIGHT, WIDTH, chromium
from bench.measures import Plan
from bench.measures.latency import EVENTS, Side, open_page, take_turns
from bench.nginx import Nginx
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site

TITLE = "Through nginx"
METHOD = (
    "As *Event to changed pixel*, of two desktops of one portal: one watched through nginx (TLS, the site that `madang "
    "deploy render` writes), one straight. Both take turns in blocks of ten; half of the time they change places."
)
PEER = "straight to the portal"


def measure(plan: Plan) -> list[Row]:
    site = Site(plan.user)
    try:
        nginx = Nginx(site)
        try:
            through, straight = _samples(site, nginx, plan.times(5, 1))
        finally:
            nginx.close()
    finally:
        site.close()
    return [row for name in EVENTS for row in _rows(name, through[name], straight[name])]


def _samples(site: Site, nginx: Nginx, blocks: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    sessions = [site.ready_desktop(width=WIDTH, height=HEIGHT) for _ in range(2)]
    for session in sessions:
        targets.start("flip", session["display"], site.folder(session["id"]) / "Xauthority")
    time.sleep(1)
    through: dict[str, list[float]] = {name: [] for name in EVENTS}
    straight: dict[str, list[float]] = {name: [] for name in EVENTS}
    for first, second in (sessions, reversed(sessions)):
        with chromium() as browser:
            one = open_page(browser, f"{nginx.url}/desktops/{first['id']}", site, nginx.url)
            other = open_page(browser, f"{site.url}/desktops/{second['id']}", site)
            take_turns(one, other, blocks)
        _add(through, one)
        _add(straight, other)
    return through, straight


def _add(samples: dict[str, list[float]], side: Side) -> None:
    for name, found in side.samples.items():
        samples[name] += found


def _rows(name: str, through: list[float], straight: list[float]) -> list[Row]:
    more = median(through) - median(straight)
    return [
        Row(f"{name}, more than straight, p50", more, "ms", Target(at_most=3), [], len(through)),
        Row(f"{name}, p50", median(through), "ms", None, [Peer(PEER, median(straight))], len(through)),
        Row(f"{name}, p95", percentile(through, 95), "ms", None, [Peer(PEER, percentile(straight, 95))], len(through)),
    ]
