"""What it costs to carry a desktop's bytes to the browser."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

from bench import processes, targets
from bench.bulk_client import BulkClient
from bench.chrome import HEIGHT, WIDTH, chromium, page_of, wait
from bench.measures import Plan
from bench.peers.desktop import PeerDesktop
from bench.peers.novnc import Websockify
from bench.results import Peer, Row, Target, median
from bench.site import Session, Site

TITLE = "Door"
METHOD = (
    "Bulk: a real session whose engine is replaced by a source that sends without end; its bytes go through the "
    "agent's door and /vncproxy to a client that only counts. The peer is websockify in front of the same Unix socket "
    "with the same client; both take turns, the CPU time is that of portal or websockify alone. Raw: the same with the "
    "session's Xvnc, from which the client asks whole screens in raw encoding. Busy desktop: three wheels of 300 x 300 "
    "pixels turn at 30 pictures a second, watched in the page in Chromium; the peer is noVNC through websockify."
)
SECONDS = 2.0
RATIO = Target(at_least=0.9)


def measure(plan: Plan) -> list[Row]:
    site = Site(plan.user)
    try:
        session = site.ready_desktop(width=WIDTH, height=HEIGHT)
        engine = site.folder(session["id"]) / "rfb.sock"
        raw = _bulk(plan, site, session, engine, _take_screens)
        busy = _busy(plan, site, session)
        engine.rename(engine.with_name("xvnc.sock"))
        source = targets.start_bulk(engine, plan.user)
        bulk = _bulk(plan, site, session, engine, lambda client: client.take_for(SECONDS))
        processes.stop(source)
    finally:
        site.close()
    return [*_ratio("bulk", bulk, RATIO), *_ratio("raw screens of Xvnc", raw, None), *busy]


Rates = tuple[list[float], list[float]]


def _bulk(plan: Plan, site: Site, session: Session, engine: Path, take: Callable[[BulkClient], int]) -> Rates:
    """Megabytes for each second of CPU: of the portal, and of websockify."""
    ours: list[float] = []
    theirs: list[float] = []
    proxy = Websockify(engine)
    bearer = {"Authorization": f"Bearer {site.token}"}
    try:
        for _ in range(plan.times(6, 2)):
            client = BulkClient(site.port, f"/vncproxy/{session['id']}", bearer)
            ours.append(_rate(client, take, lambda: processes.cpu_seconds([site.pid])))
            client = BulkClient(proxy.port, "/websockify", {})
            theirs.append(_rate(client, take, proxy.cpu_seconds))
    finally:
        proxy.close()
    return ours, theirs


def _rate(client: BulkClient, take: Callable[[BulkClient], int], cpu_seconds: Callable[[], float]) -> float:
    try:
        before = cpu_seconds()
        taken = take(client)
        # Read before the client hangs up: a connection's own process takes its CPU time with it.
        return taken / 1e6 / (cpu_seconds() - before)
    finally:
        client.close()


def _take_screens(client: BulkClient) -> int:
    """Asks for whole screens in raw encoding, one after the other, as RFC 6143 has it."""
    before, until = client.received, time.monotonic() + SECONDS
    client.take(12)
    client.send(b"RFB 003.008\n")
    client.take(2)
    client.send(b"\x01")  # security: none
    client.take(4)
    client.send(b"\x01")  # shared
    client.take(24)
    client.send(struct.pack(">BxHi", 2, 1, 0))  # encodings: raw alone
    while time.monotonic() < until:
        client.send(struct.pack(">BBHHHH", 3, 0, 0, 0, WIDTH, HEIGHT))
        client.take(WIDTH * HEIGHT * 4)
    return client.received - before


def _ratio(what: str, rates: Rates, target: Target | None) -> list[Row]:
    ours, theirs = rates
    ratio = median([mine / their for mine, their in zip(ours, theirs, strict=True)])
    return [
        Row(f"{what}, of websockify's MB per CPU-second", ratio, "times", target, [Peer("websockify", 1.0)], len(ours)),
        Row(f"{what}", median(ours), "MB/CPU-s", None, [Peer("websockify", median(theirs))], len(ours)),
    ]


def _busy(plan: Plan, site: Site, session: Session) -> list[Row]:
    """CPU in percent of a core while a program moves on the desktop and Chromium shows it."""
    seconds = plan.times(15, 4)
    door = [site.pid, *site.agents(session["id"])]
    peer = PeerDesktop(plan.user)
    proxy = Websockify(peer.socket, page=True)
    try:
        authority = site.folder(session["id"]) / "Xauthority"
        ours, ours_pictures = _watch(
            f"{site.url}/desktops/{session['id']}", site, (session["display"], authority), seconds,
            lambda: processes.cpu_seconds(door),
        )  # fmt: skip
        theirs, theirs_pictures = _watch(
            proxy.url, None, (peer.display, peer.authority), seconds, proxy.cpu_seconds
        )  # fmt: skip
    finally:
        proxy.close()
        peer.close()
    name = "noVNC + websockify"
    return [
        Row("busy desktop, portal and agent", ours, "% of a core", Target(at_most=6), [Peer(name, theirs)]),
        Row("busy desktop, pictures drawn in the page", ours_pictures, "per s", None, [Peer(name, theirs_pictures)]),
    ]


def _watch(
    address: str, site: Site | None, where: tuple[int, Path], seconds: float, cpu_seconds: Callable[[], float]
) -> tuple[float, float]:
    with chromium() as browser:
        page = page_of(browser, site)
        page.goto(address)
        wait(page, "benchProbe.size()?.[0] > 600", "the picture")
        program = targets.start("move", *where)
        try:
            time.sleep(2)
            began, cpu, drawn = time.monotonic(), cpu_seconds(), page.evaluate("benchProbe.drawn")
            time.sleep(seconds)
            used, drawn = cpu_seconds() - cpu, page.evaluate("benchProbe.drawn") - drawn
            passed = time.monotonic() - began
        finally:
            processes.stop(program)
    return used / passed * 100, drawn / passed
