"""Two portals behind nginx, of which one is killed or stopped: people notice at most a WebSocket that comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.daemons.deploy.conftest import Site
from tests.daemons.portal.conftest import forget
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, open_socket
from tests.support.waiting import eventually
from websockets.exceptions import ConnectionClosed

WITHIN_SECONDS = 1.0
Answers = list[tuple[int, float]]


@contextlib.contextmanager
def asking(ask: Callable[[], httpx.Response]) -> Iterator[Answers]:
    """Somebody who asks all the time; status and seconds of each answer."""
    answers: Answers = []
    enough = threading.Event()

    def go_on() -> None:
        while not enough.wait(0.01):
            began = time.monotonic()
            status = ask().status_code
            answers.append((status, time.monotonic() - began))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()


def further(answers: Answers, count: int = 50) -> None:
    """Wait until so many more were given."""
    before = len(answers)
    eventually(lambda: len(answers) >= before + count, 20, lambda: f"{len(answers) - before} further answers")


@pytest.mark.parametrize("which", [0, 1])
def test_requests_go_on_when_one_is_killed(whole: Site, which: int) -> None:
    with whole.kim() as kim, whole.kim() as writer, asking(lambda: kim.get("/api/vnc/sessions")) as answers:
        further(answers)
        whole.portals[which].kill()
        # Refused by a portal that is gone, it goes to the other: nobody has seen it.
        assert writer.post("/api/vnc/sessions", json={"width": 1}).status_code == 422
        further(answers)
        # A portal that starts needs a core for itself, so only what was before counts for the time.
        longest = max(seconds for _, seconds in answers)
        whole.portals[which].start()
        further(answers)
    assert {status for status, _ in answers} == {200}
    assert longest < WITHIN_SECONDS


@pytest.mark.parametrize("which", [0, 1])
def test_a_desktop_goes_on_when_the_portal_in_use_is_killed(whole: Site, which: int) -> None:
    with whole.kim() as kim:
        session = kim.start_desktop()["id"]
        with contextlib.ExitStack() as viewers:
            used = viewer_by(whole, kim, session, whole.portals[which], viewers)
            live = open_socket(f"{whole.proxy.ws_url}/api/live", kim.socket_headers, ssl=whole.proxy.trust)
            viewers.callback(live.close)
            whole.portals[which].kill()
            with pytest.raises(ConnectionClosed):
                while used.works():
                    pass
            began = time.monotonic()
            with Viewer(kim, session, ssl=whole.proxy.trust) as again:
                assert again.works()
            with contextlib.closing(
                open_socket(f"{whole.proxy.ws_url}/api/live", kim.socket_headers, ssl=whole.proxy.trust)
            ) as events:
                assert "hello" in str(events.recv(5))
            assert time.monotonic() - began < WITHIN_SECONDS
        whole.portals[which].start()
        kim.until_true(session, lambda seen: not seen["unknown_since"], 10, "its agent is not heard")
        forget(kim, session)


def viewer_by(site: Site, kim: Client, session: str, portal: PortalProcess, viewers: contextlib.ExitStack) -> Viewer:
    """A viewer whose connection goes through this portal: nginx chooses, so some more are opened until it does."""
    for _ in range(10):
        before = doors(portal)
        viewer = viewers.enter_context(Viewer(kim, session, ssl=site.proxy.trust))
        assert viewer.works()
        if doors(portal) > before:
            return viewer
    raise AssertionError("nginx chooses one portal only")


def doors(portal: PortalProcess) -> float:
    """Viewers that this portal has now."""
    found = [line for line in portal.metrics() if line.startswith("madang_door_connections{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_requests_go_on_when_one_is_stopped_in_good_order(whole: Site) -> None:
    with (
        whole.kim() as kim,
        whole.kim() as writer,
        asking(lambda: kim.get("/api/vnc/sessions")) as read,
        asking(lambda: writer.post("/api/vnc/sessions", json={"width": 1})) as written,
    ):
        for portal in whole.portals:
            further(read)
            assert portal.stop() == 0
            further(read)
            portal.start()
    assert {status for status, _ in read} == {200}
    # A POST is not repeated once it was sent: one may hit the moment at which the listener closes.
    assert [status for status, _ in written if status != 422] in ([], [503])
