"""A node whose clock is minutes off: reports, tickets and the time limit go by the portal's."""

from __future__ import annotations

import time

import pytest

from madang.doors import calls
from tests.daemons.agent.desk import Site
from tests.daemons.agent.node import start_on_node


@pytest.mark.parametrize("hello", [True, False], ids=["told", "from the date"])
@pytest.mark.parametrize("off", ["+5m", "-5m"])
async def test_a_clock_that_is_off(site: Site, off: str, hello: bool) -> None:
    site.portal.says_hello = hello
    began = time.time()
    ends_at = began + 12
    desk = start_on_node(site, before=("faketime", "-f", off), ends_at=ends_at)
    report = await desk.until("ready")
    slack = 0.3 if hello else 1.5
    # Python is slower under faketime, not minutes.
    assert all(began - slack <= stage["started_at"] <= time.time() + slack for stage in report["stages"])
    assert (await calls.call(desk.place, desk.order.door_key, desk.session, "files.list", {}))["entries"] is not None
    seen = len(desk.reports)
    pulse = await site.portal.wait(desk.session, lambda report: bool(report["pulse"]), since=seen)
    assert abs(pulse["pulse"]["at"] - time.time()) < 2
    last = await desk.until("ended", 20)
    assert last["end_reason"] == "time_limit"
    assert ends_at - slack <= time.time() <= ends_at + 6
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_programs_of_the_session_see_the_hosts_own_clock(site: Site) -> None:
    desk = start_on_node(site, before=("faketime", "-f", "+5m"))
    await desk.until("ready")
    assert abs(int(desk.run("date", "+%s").stdout) - time.time()) < 3
    assert "faketime" not in desk.environment().get("LD_PRELOAD", "")
