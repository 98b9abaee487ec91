"""The portal goes away and comes back; the desktop does not notice."""

from __future__ import annotations

import asyncio
import time

from tests.daemons.agent.desk import Desk, Site
from tests.daemons.agent.portal import PROBLEM


async def test_portal_absent_at_the_start(site: Site) -> None:
    await site.portal.stop()
    desk = await site.start()
    await asyncio.sleep(2)
    await site.portal.start()
    report = await desk.until("ready", 5)
    assert [stage["name"] for stage in report["stages"]][-1] == "desktop"


async def test_portal_restarted(desk: Desk) -> None:
    portal = desk.site.portal
    for away in (0.2, 3):
        await portal.stop()
        await asyncio.sleep(away)
        seen = len(desk.reports)
        back = time.monotonic()
        await portal.start()
        await desk.until("ready", 2, since=seen)
        assert time.monotonic() - back < 1
    assert "Xvnc" in desk.processes().values()


async def test_link_is_there_before_the_desktop(site: Site) -> None:
    desk = await site.start()
    first = await site.portal.wait(desk.session, lambda report: True, 5)
    assert first["state"] == "starting"


async def test_unknown_session_ends(desk: Desk) -> None:
    desk.site.portal.refusal = (404, PROBLEM)
    await desk.site.portal.stop()
    await desk.site.portal.start()
    await desk.until_gone()
    await desk.assert_nothing_left()
    assert "ending: unknown_session" in desk.log


async def test_rejected_secret_ends(site: Site) -> None:
    site.portal.refusal = (401, PROBLEM)
    desk = await site.start()
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_a_stranger_on_the_portals_port_ends_nothing(desk: Desk) -> None:
    portal = desk.site.portal
    await portal.stop()
    portal.refusal = (404, "text/html")
    await portal.start()
    await asyncio.sleep(2)
    assert "Xvnc" in desk.processes().values()
    portal.refusal = None
    seen = len(desk.reports)
    await desk.until("ready", 3, since=seen)


async def test_nonsense_from_the_portal_is_passed_over(desk: Desk) -> None:
    connection = desk.site.portal._connections[desk.session]
    for text in ("", "null", "[]", '{"do": "dance"}', '{"do": "time", "ends_at": "soon"}', b"\x00\xff"):
        await connection.send(text)
    seen = len(desk.reports)
    await desk.until("ready", 5, since=seen)
    await desk.end()


async def test_a_portal_that_never_says_bye_is_not_waited_for_long(site: Site) -> None:
    site.portal.says_bye = False
    desk = await site.start(bye_seconds=1.0)
    await desk.until("ready")
    await site.portal.say(desk.session, do="end", reason="asked")
    await desk.until("ended")
    began = time.monotonic()
    await desk.until_gone()
    assert 0.5 < time.monotonic() - began < 3
    await desk.assert_nothing_left()
