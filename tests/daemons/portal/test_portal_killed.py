"""kill -9 of the portal: desktops live, and whatever was under way ends well."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.daemons.portal.conftest import forget
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer
from tests.support.session import OnMachine
from tests.support.waiting import eventually


def reconnect(client: Client, session: str) -> Viewer | None:
    try:
        return Viewer(client, session)
    except Exception:  # not yet, for whatever reason
        return None


# What a desktop is made of: beside these XFCE starts a piece or two that soon ends.
LASTING = {"python", "Xvnc", "xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop"}


def test_the_desktop_lives_and_viewers_are_back_within_3_s(
    portal: PortalProcess, kim: Client, start: Callable[..., OnMachine]
) -> None:
    desktop = start(name="survivor")
    before = kim.session(desktop.id)
    running = {process.pid for process in desktop.processes() if process.name in LASTING}
    assert len(running) >= len(LASTING)
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()
        portal.kill()
    assert running <= {process.pid for process in desktop.processes()}
    portal.start()
    back = time.monotonic()
    viewer = eventually(lambda: reconnect(kim, desktop.id), 3, "no way back to the desktop")
    with viewer:
        assert viewer.works()
    assert time.monotonic() - back < 3
    after = next(session for session in kim.sessions() if session["id"] == desktop.id)
    assert (after["state"], after["display"], after["ready_at"]) == ("ready", before["display"], before["ready_at"])
    kim.until_true(desktop.id, lambda seen: seen["pulse"] and not seen["unknown_since"], 5, "its agent is not back")
    assert running <= {process.pid for process in desktop.processes()}


def test_every_session_is_listed_with_its_state(
    portal: PortalProcess, kim: Client, lee: Client, desktop: OnMachine
) -> None:
    other = OnMachine(portal, str(lee.start_desktop()["id"]))
    ended = OnMachine(portal, str(lee.start_desktop()["id"]))
    lee.end(ended.id)
    portal.kill()
    portal.start()
    assert {session["id"]: session["state"] for session in kim.sessions()}[desktop.id] == "ready"
    states = {session["id"]: session["state"] for session in lee.sessions()}
    assert (states[other.id], states[ended.id]) == ("ready", "ended")
    lee.end(other.id)
    other.assert_nothing_left()
    for session in (other, ended):
        forget(lee, session.id)


def test_killed_at_any_moment_of_a_start(portal: PortalProcess, kim: Client) -> None:
    asked: list[OnMachine] = []
    for pause in (0.0, 0.03, 0.2, 0.8):
        asked.append(OnMachine(portal, str(kim.ask(name=f"{pause}")["id"])))
        time.sleep(pause)  # the moment is what is tried
        portal.kill()
        portal.start()
    for desktop in asked:
        seen = kim.until(desktop.id, "ready", "failed", "ended", seconds=30)
        if seen["state"] == "ready":
            with Viewer(kim, desktop.id) as viewer:
                assert viewer.works()
            kim.end(desktop.id)
        else:
            assert seen["failure"]["code"] and seen["failure"]["hint"], seen
        desktop.assert_nothing_left()
        forget(kim, desktop.id)


def test_killed_at_any_moment_of_an_end(portal: PortalProcess, kim: Client, start: Callable[..., OnMachine]) -> None:
    desktops = [start(name="end") for _ in range(2)]
    for desktop, pause in zip(desktops, (0.0, 0.2), strict=True):
        assert kim.delete(f"/api/vnc/sessions/{desktop.id}").status_code == 202
        time.sleep(pause)
        portal.kill()
        portal.start()
    for desktop in desktops:
        seen = kim.until(desktop.id, *OVER, seconds=15)
        assert (seen["state"], seen["end_reason"], seen["failure"]) == ("ended", "asked", None)
        desktop.assert_nothing_left()


def test_a_desktop_that_dies_while_no_portal_runs(portal: PortalProcess, kim: Client, desktop: OnMachine) -> None:
    keeper, worker = desktop.keeper, desktop.worker
    portal.kill()
    desktop.kill(keeper, worker)
    portal.start()
    seen = kim.until(desktop.id, "failed", seconds=5)
    assert seen["failure"]["code"] == "agent_lost"
    desktop.assert_nothing_left()


def test_a_desktop_that_ends_while_no_portal_runs(portal: PortalProcess, kim: Client, desktop: OnMachine) -> None:
    xvnc = desktop.pid_of("Xvnc")
    portal.kill()
    desktop.kill(xvnc)
    # It gives its programs and its last report some seconds each.
    desktop.assert_nothing_left(30)
    portal.start()
    seen = kim.until(desktop.id, "failed", seconds=10)
    assert seen["failure"]["code"] in ("display_lost", "agent_lost")
