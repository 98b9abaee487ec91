"""A desktop from its start to each way it ends on purpose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable

from madang.compute import processes
from tests.daemons.agent.desk import DISPLAYS, Desk, Site, eventually

Start = Callable[..., Awaitable[Desk]]


async def test_starts_stage_by_stage_and_says_where_it_is(desk: Desk) -> None:
    report = await desk.until("ready")
    assert [stage["name"] for stage in report["stages"]] == ["agent", "display", "window_manager", "desktop"]
    assert all(stage["seconds"] is not None for stage in report["stages"])
    assert report["pid"] == desk.placement.pid
    assert report["pid_started"] == desk.placement.pid_started
    assert report["node"] == desk.placement.node
    assert DISPLAYS[0] <= report["display"] <= DISPLAYS[1]
    assert report["failure"] is None and report["end_reason"] is None
    assert desk.site.portal.authorizations == {f"Bearer {desk.order.agent_secret}"}


async def test_runs_as_the_account_and_reports_its_pulse(desk: Desk) -> None:
    report = await desk.site.portal.wait(
        desk.session, lambda report: bool(report["pulse"] and report["pulse"]["idle_seconds"] is not None)
    )
    pulse = report["pulse"]
    assert (pulse["width"], pulse["height"]) == (1440, 900)
    assert 0 <= pulse["idle_seconds"] < 10
    assert 50e6 < pulse["memory_bytes"] < 600e6
    for pid, name in desk.processes().items():
        expected = os.geteuid() if pid == desk.keeper else desk.uid
        assert processes.owner(pid) == expected, name
    assert {"xfwm4", "xfce4-panel", "xfdesktop", "xfsettingsd", "Xvnc"} <= set(desk.processes().values())


async def test_ends_when_the_portal_asks(desk: Desk) -> None:
    began = time.monotonic()
    await desk.site.portal.say(desk.session, do="end", reason="asked")
    report = await desk.until("ended")
    assert time.monotonic() - began < 3
    assert report["end_reason"] == "asked" and report["failure"] is None
    assert "ending" in [report["state"] for report in desk.reports]
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_ends_cleanly_on_sigterm(desk: Desk) -> None:
    desk.kill(desk.keeper, signal.SIGTERM)
    report = await desk.until("ended")
    assert report["end_reason"] == "terminated"
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_ends_cleanly_on_sigterm_while_it_starts(start: Start) -> None:
    desk = await start()
    desk.kill(desk.keeper, signal.SIGTERM)
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_ends_at_its_time_limit_with_no_portal(site: Site) -> None:
    await site.portal.stop()
    desk = await site.start(ends_at=time.time() + 4, away_seconds=1.0)
    await desk.until_gone(15)
    assert "time_limit" in desk.log
    await desk.assert_nothing_left()


async def test_a_new_time_limit_holds(start: Start) -> None:
    desk = await start(ends_at=time.time() + 3600)
    await desk.until("ready")
    await desk.site.portal.say(desk.session, do="time", ends_at=time.time() + 1)
    report = await desk.until("ended", 10)
    assert report["end_reason"] == "time_limit"


async def test_logging_out_in_xfce_ends_the_session(desk: Desk) -> None:
    desk.run("xfce4-session-logout", "--logout", "--fast", check=False)
    report = await desk.until("ended")
    assert report["end_reason"] == "logged_out" and report["failure"] is None
    await desk.until_gone()
    await desk.assert_nothing_left()


async def test_two_desktops_of_one_account_do_not_meet(start: Start) -> None:
    one, two = await start(), await start()
    await one.until("ready")
    await two.until("ready")
    assert one.display != two.display
    await one.end()
    await one.assert_nothing_left()
    assert {"Xvnc", "xfwm4", "xfce4-panel"} <= set(two.processes().values())
    seen = len(two.reports)
    await eventually(lambda: len(two.reports) > seen, 3, "the other one reports no more")


async def test_nothing_of_many_starts_and_ends_is_left_in_tmp(site: Site) -> None:
    def ours() -> set[str]:
        uid = site.desks[0].uid if site.desks else -1
        names = {f"/tmp/{name}" for name in os.listdir("/tmp")} | {
            f"/tmp/.ICE-unix/{name}" for name in os.listdir("/tmp/.ICE-unix")
        }
        return {name for name in names if os.path.lexists(name) and os.lstat(name).st_uid == uid}

    for _ in range(2):
        desk = await site.start()
        before = ours() - {str(desk.folder)}
        await desk.until("ready")
        await desk.end()
        await desk.assert_nothing_left()
        assert {name for name in ours() - before if "mdg-" not in name and "pytest" not in name} == set()
