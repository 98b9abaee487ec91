"""Redis and MariaDB are killed, emptied or hang while desktops run: nothing ends, and everything comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.support.pair import Pair
from tests.support.people import Client
from tests.support.rfb import Viewer
from tests.support.session import OnMachine
from tests.support.waiting import eventually

Kim = tuple[Client, Client]
Start = Callable[..., OnMachine]


def comes_back(kim: Kim, session: str, seconds: float = 20) -> None:
    """Both portals show it as it is."""
    for client in kim:
        client.until_true(
            session,
            lambda now: now["state"] == "ready" and not now["unknown_since"] and now["pulse"],
            seconds,
            "it is not seen",
        )


def test_redis_is_emptied(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    both.redis.flush()
    for client in kim:
        assert client.session(desktop.id)["state"] == "ready"
    comes_back(kim, desktop.id)


def test_redis_is_killed_and_comes_back(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    both.redis.kill()
    try:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            for client in kim:
                assert client.session(desktop.id)["state"] == "ready"
            time.sleep(0.5)
        with Viewer(kim[0], desktop.id) as viewer:
            assert viewer.works()
        # Without live state too, something can be started and ended.
        other = kim[1].start_desktop(name="without redis")
        kim[1].end(other["id"], seconds=30)
    finally:
        both.redis.start()
    comes_back(kim, desktop.id)


def test_redis_hangs(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    both.redis.signal(signal.SIGSTOP)
    try:
        for client in kim:
            began = time.monotonic()
            assert client.session(desktop.id)["state"] == "ready"
            assert time.monotonic() - began < 10, "an answer waits for Redis"
    finally:
        both.redis.signal(signal.SIGCONT)
    comes_back(kim, desktop.id)


def test_mariadb_is_killed_and_comes_back(both: Pair, kim: Kim, start: Start) -> None:
    desktop = start()
    with Viewer(kim[0], desktop.id) as viewer:
        both.database.kill()
        try:
            assert viewer.works(), "a desktop that is open needs no database"
            answer = kim[0].get("/api/vnc/sessions")
            assert answer.status_code == 503, answer.text
            assert answer.json()["code"] in ("database_unavailable", "database_busy")
            assert answer.json()["hint"]
            assert kim[1].post("/api/vnc/sessions", json={}).status_code == 503
            assert kim[0].get("/ready").status_code == 503
            time.sleep(4)  # longer than an agent may be silent
        finally:
            both.database.start()
        assert viewer.works()
    eventually(lambda: kim[0].get("/ready").status_code == 200, 15, "not ready again")
    comes_back(kim, desktop.id)
    assert {session["id"] for session in kim[1].sessions(ended="false")} == {desktop.id}
