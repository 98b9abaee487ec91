"""kill -9 and SIGSTOP of what runs beside a session: the card says so, nothing stays behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, refusal
from tests.support.session import OnMachine
from tests.support.waiting import eventually

Start = Callable[..., OnMachine]


@pytest.mark.parametrize("which", ["worker", "keeper", "both"])
def test_the_agent_is_killed(kim: Client, desktop: OnMachine, which: str) -> None:
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()
        victims = {"worker": [desktop.worker], "keeper": [desktop.keeper], "both": [desktop.keeper, desktop.worker]}
        desktop.kill(*victims[which])
        seen = kim.until(desktop.id, *OVER, seconds=8)
        assert viewer.closed_with(5) == 4001
    assert (seen["state"], seen["failure"]["code"]) == ("failed", "agent_lost"), seen
    assert seen["failure"]["hint"]
    desktop.assert_nothing_left()
    assert "ready on display" in kim.log_of(desktop.id)


def test_the_display_is_killed(kim: Client, desktop: OnMachine) -> None:
    with Viewer(kim, desktop.id) as viewer:
        desktop.kill(desktop.pid_of("Xvnc"))
        seen = kim.until(desktop.id, "failed", seconds=8)
        assert viewer.closed_with(5) == 4001
    assert seen["failure"]["code"] == "display_lost"
    assert "SIGKILL" in seen["failure"]["detail"]
    desktop.assert_nothing_left()
    status, problem = refusal(f"{desktop.portal.ws_url}/vncproxy/{desktop.id}", kim.socket_headers)
    assert (status, problem["code"]) == (409, "session_not_ready")


def test_the_window_manager_is_killed(kim: Client, desktop: OnMachine) -> None:
    first = desktop.pid_of("xfwm4")
    desktop.kill(first)
    # XFCE starts it again.
    names = lambda: {process.name for process in desktop.processes() if process.pid != first}  # noqa: E731
    eventually(lambda: "xfwm4" in names(), 10, "no window manager")
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()
    assert kim.session(desktop.id)["state"] == "ready"


def test_a_stopped_agent_is_unknown_and_comes_back(portal: PortalProcess, kim: Client, desktop: OnMachine) -> None:
    began = time.monotonic()
    with Viewer(kim, desktop.id) as viewer:
        desktop.stop_agent()
        try:
            seen = kim.until_true(desktop.id, lambda seen: seen["unknown_since"], 8, "not unknown")
            assert time.monotonic() - began > 2.0, "unknown before its time"
            assert seen["state"] == "ready"
            assert viewer.works(), "viewing goes on"
        finally:
            desktop.continue_agent()
        kim.until_true(desktop.id, lambda seen: not seen["unknown_since"], 5, "still unknown")
        assert viewer.works()
    assert kim.session(desktop.id)["state"] == "ready"


def test_a_new_viewer_of_a_stopped_agent_is_told_to_come_back(kim: Client, desktop: OnMachine) -> None:
    desktop.stop_agent()
    try:
        status, problem = refusal(f"{desktop.portal.ws_url}/vncproxy/{desktop.id}", kim.socket_headers)
    finally:
        desktop.continue_agent()
    assert (status, problem["code"]) == (503, "door_unreachable")
    assert problem["retry_after"]


def test_a_stopped_agent_is_ended_by_force(kim: Client, desktop: OnMachine) -> None:
    desktop.stop_agent()
    seen = kim.end(desktop.id, seconds=20)
    assert (seen["state"], seen["end_reason"], seen["failure"]) == ("ended", "asked", None)
    desktop.assert_nothing_left()


def test_the_portal_is_stopped_for_a_while(portal: PortalProcess, kim: Client, desktop: OnMachine) -> None:
    portal.signal(signal.SIGSTOP)
    time.sleep(5)  # longer than silent_seconds: the silence was the portal's own
    portal.signal(signal.SIGCONT)
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()
    kim.until_true(desktop.id, lambda seen: seen["state"] == "ready" and not seen["unknown_since"], 5, "not back")
