"""Several portals, and portals behind TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.doors import calls
from tests.daemons.agent.desk import Site
from tests.daemons.agent.node import start_on_node
from tests.daemons.agent.portal import Portal


@pytest.fixture
async def second() -> AsyncIterator[Portal]:
    portal = Portal()
    await portal.start()
    yield portal
    await portal.stop()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A portal's TLS, and what an agent has to know of it."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ],
            *["-keyout", str(key), "-out", str(pem), "-subj", f"/CN={name}"],
            *["-addext", "subjectAltName=IP:127.0.0.1"],
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context, pem.read_text()


async def test_the_next_portal_hears_it_when_one_is_gone(site: Site, second: Portal) -> None:
    desk = start_on_node(site, portals=(second.url,))
    await desk.until("ready")
    assert second.reports(desk.session) == []
    gone = time.monotonic()
    await site.portal.stop()
    await second.wait(desk.session, lambda report: report["state"] == "ready", 5)
    assert time.monotonic() - gone < 2
    # It stays there, also when the first is back, until that one is gone in its turn.
    await site.portal.start()
    await asyncio.sleep(1)
    assert len(second.reports(desk.session)) > 1
    seen = len(desk.reports)
    await second.stop()
    await desk.until("ready", 5, since=seen)


async def test_a_portal_that_is_gone_from_the_start(site: Site, second: Portal) -> None:
    desk = start_on_node(site, portal="http://127.0.0.1:9", portals=("http://127.0.0.1:10", second.url))
    await second.wait(desk.session, lambda report: report["state"] == "ready")


async def test_told_of_new_addresses_over_the_link_and_through_the_door(site: Site, second: Portal) -> None:
    desk = start_on_node(site)
    await desk.until("ready")
    await site.portal.say(desk.session, do="portals", portals=["http://127.0.0.1:9", second.url])
    await asyncio.sleep(0.3)
    assert second.reports(desk.session) == []  # nothing to go there for yet
    await site.portal.stop()
    await second.wait(desk.session, lambda report: report["state"] == "ready", 5)
    await second.stop()
    await site.portal.start()
    await asyncio.sleep(1)
    seen = len(desk.reports)
    back = {"do": "portals", "portals": [site.portal.url, "ftp://nonsense"]}
    await calls.call(desk.place, desk.order.door_key, desk.session, "instruct", {"instruction": back})
    await desk.until("ready", 3, since=seen)


async def test_a_portal_away_for_a_minute(site: Site) -> None:
    desk = start_on_node(site)
    await desk.until("ready")
    await site.portal.stop()
    await asyncio.sleep(62)
    assert "Xvnc" in desk.processes().values()
    seen = len(desk.reports)
    await site.portal.start()
    await desk.until("ready", 4, since=seen)


async def test_a_portal_behind_tls(site: Site, second: Portal, short_folder: Path) -> None:
    await second.stop()
    second.tls, pem = certificate(short_folder, "portal")
    await second.start()
    desk = start_on_node(site, portal=second.url, portal_certificates=pem)
    await second.wait(desk.session, lambda report: report["state"] == "ready")


async def test_a_foreign_certificate_is_told_nothing(site: Site, second: Portal, short_folder: Path) -> None:
    await second.stop()
    second.tls, _ = certificate(short_folder, "stranger")
    _, pem = certificate(short_folder, "portal")
    await second.start()
    desk = start_on_node(site, portal=second.url, portals=(site.portal.url,), portal_certificates=pem)
    await desk.until("ready")
    assert second.authorizations == set() and second.reports(desk.session) == []
    assert "certificate" in desk.log
    # The right certificates come through the door.
    pem = (short_folder / "stranger.pem").read_text()
    trusted = {"do": "portals", "portals": [second.url], "portal_certificates": pem}
    await calls.call(desk.place, desk.order.door_key, desk.session, "instruct", {"instruction": trusted})
    await site.portal.stop()
    await second.wait(desk.session, lambda report: report["state"] == "ready", 5)
