"""From a key in the page to the changed pixel of a machine's screen."""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.sync_api import Browser, Page
from tests.support.libvirt import PrivateLibvirt, Serial

from bench.chrome import chromium, page_of, wait
from bench.libvirtd import libvirts, put_iso, settings_of
from bench.measures import Plan
from bench.measures.latency import Side, take_turns
from bench.peers.bare_machines import Binding
from bench.peers.novnc import Websockify
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site
from madang.machines.hosts import new_domain

TITLE = "Key to changed pixel of a machine's console"
METHOD = (
    "A machine without KVM runs a tiny Linux on its text screen; a script in it changes the colour of the first line "
    "at each key. The clock runs from the keydown in the page until the pixel read from the page's canvas has "
    "changed. The peer is the same noVNC through websockify straight on the VNC socket of a QEMU that libvirt runs "
    "beside it, with the same definition and the same system, in the same browser; both take turns in blocks of ten, "
    "with a random pause before each key. QEMU itself looks for changes of the screen every 30 ms."
)
PEER = "noVNC + websockify"
# The first line's colour is red or blue, and another one after each key.
SCRIPT = (
    r'i=41; printf "\033[?25l\033[2J"; '
    r'while read -rsn1 key; do i=$((85-i)); printf "\033[H\033[${i}m\033[K"; done'
)
X, Y = 300, 8


def measure(plan: Plan) -> list[Row]:
    with libvirts() as (ours, theirs), contextlib.ExitStack() as stack:
        iso = put_iso((ours, theirs), waits=True)
        site = Site(plan.user, **settings_of(ours))
        stack.callback(site.close)
        peer = Binding(theirs)
        stack.callback(peer.close)
        mine = _start_mine(site, str(iso))
        vnc = _start_theirs(peer, theirs, str(theirs.isos / iso.name))
        proxy = Websockify(vnc[1], page=True)
        stack.callback(proxy.close)
        for libvirtd, machine in ((ours, mine), (theirs, vnc[0])):
            _put_script(libvirtd, machine)
        browser = stack.enter_context(chromium())
        sides = (_open(browser, f"{site.url}/machines/{mine}/console", site), _open(browser, proxy.url, None))
        take_turns(*sides, plan.times(10, 2))
    took, peers_took = (side.samples["key"] for side in sides)
    added = median(took) - median(peers_took)
    return [
        Row("key: added, p50", added, "ms", Target(at_most=10), samples=len(took)),
        Row("key: all of it, p50", median(took), "ms", peers=[Peer(PEER, median(peers_took))], samples=len(took)),
        Row("key: all of it, p95", percentile(took, 95), "ms", peers=[Peer(PEER, percentile(peers_took, 95))],
            samples=len(took)),
    ]  # fmt: skip


def _start_mine(site: Site, iso: str) -> str:
    wish = {"name": "console", "iso_path": iso, "boot_order": "cdrom", "disk_bytes": 2**20, "start": True}
    answer = site.api.post("/api/vms", json=wish)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _start_theirs(peer: Binding, libvirtd: PrivateLibvirt, iso: str) -> tuple[str, Path]:
    """A machine as Madang defines it, but that its VNC listens on a socket; its uuid and that socket."""
    wish = peer.prepare(media=(iso, None), boot_order="cdrom")
    peer.image("create", "-q", "-f", "qcow2", wish.disk_path, str(2**20))
    socket = libvirtd.pool / "vnc.sock"
    xml = new_domain.xml_of(wish)
    listens = xml.replace('<listen type="none" />', f'<listen type="socket" socket="{socket}" />')
    assert listens != xml
    peer.define(listens)
    peer.start(wish.uuid)
    return wish.uuid, socket


def _put_script(libvirtd: PrivateLibvirt, machine: str) -> None:
    with contextlib.closing(Serial(libvirtd, machine)) as serial:
        serial.wait_for("TINY ready")
        serial.run(f"echo '{SCRIPT}' >/flip")


def _open(browser: Browser, address: str, site: Site | None) -> Side:
    """The page with the machine's screen, and the script at work on that."""
    page = page_of(browser, site)
    page.goto(address)
    wait(page, "benchProbe.size()?.[0] > 600", "the machine's screen")
    if site is not None:
        page.get_by_test_id("console-keys").focus()
    page.wait_for_timeout(1000)
    _type(page, "sh /flip")
    page.keyboard.press("Enter")
    page.wait_for_timeout(2000)
    page.keyboard.press("a")
    wait(page, f"benchProbe.colour({X}, {Y}).some(part => part > 90)", "the first colour")
    return Side(page, X, Y, {"key": []})


def _type(page: Page, line: str) -> None:
    for character in line:
        page.keyboard.press("Space" if character == " " else character, delay=30)
