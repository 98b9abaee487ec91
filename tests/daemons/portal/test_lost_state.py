"""Live state that vanishes and a database that is locked, while the portal runs."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator

import httpx
from tests.daemons.portal.conftest import Accounts, forget
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer
from tests.support.session import OnMachine
from tests.support.waiting import eventually


def wrong_password(portal: PortalProcess, name: str) -> int:
    body = {"name": name, "password": "not the password"}
    return httpx.post(f"{portal.url}/api/identity/sign-in", json=body, timeout=20).status_code


def lock_out(portal: PortalProcess, name: str) -> None:
    eventually(lambda: wrong_password(portal, name) == 429, 10, "never locked out", pause=0)


def assert_all_is_well(portal: PortalProcess, kim: Client, desktop: OnMachine) -> None:
    assert desktop.id in {session["id"] for session in kim.sessions()}
    kim.until_true(desktop.id, lambda seen: seen["pulse"] and not seen["unknown_since"], 4, "no pulse came back")
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()
    assert wrong_password(portal, "lee") == 401, "attempts are counted anew"


def test_rows_of_live_state_are_deleted(portal: PortalProcess, kim: Client, shared: OnMachine) -> None:
    lock_out(portal, "lee")
    with contextlib.closing(sqlite3.connect(portal.state / "live.sqlite3", timeout=10)) as live, live:
        for (table,) in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            live.execute(f"DELETE FROM {table}")
    assert_all_is_well(portal, kim, shared)


def test_the_file_of_live_state_is_deleted(portal: PortalProcess, kim: Client, shared: OnMachine) -> None:
    lock_out(portal, "lee")
    for file in portal.state.glob("live.sqlite3*"):
        file.unlink()
    assert_all_is_well(portal, kim, shared)


def test_the_file_of_live_state_is_garbage(portal: PortalProcess, kim: Client, shared: OnMachine) -> None:
    lock_out(portal, "lee")
    for file in portal.state.glob("live.sqlite3*"):
        file.unlink()
    (portal.state / "live.sqlite3").write_bytes(b"no database at all " * 500)
    assert_all_is_well(portal, kim, shared)


@contextlib.contextmanager
def locked(portal: PortalProcess) -> Iterator[None]:
    """Another process holds the database's write lock."""
    with portal.database() as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


def test_the_database_is_locked_for_10_s(portal: PortalProcess, kim: Client, lee: Client, desktop: OnMachine) -> None:
    asked: list[tuple[httpx.Response, float]] = []
    began = time.monotonic()

    def ask() -> None:
        answer = lee.post("/api/vnc/sessions", json={"name": "patient"})
        asked.append((answer, time.monotonic() - began))

    with locked(portal):
        waiting = threading.Thread(target=ask)
        waiting.start()
        # What an agent says while nothing can be written: its display is gone.
        desktop.kill(desktop.pid_of("Xvnc"))
        slowest = 0.0
        while time.monotonic() - began < 10:
            read = time.monotonic()
            assert desktop.id in {session["id"] for session in kim.sessions()}
            assert httpx.get(f"{portal.url}/ready").status_code == 200
            slowest = max(slowest, time.monotonic() - read)
            time.sleep(0.1)
        assert not asked, "nothing can have been written"
    waiting.join(20)
    answer, seconds = asked[0]
    assert answer.status_code == 201, answer.text
    assert seconds < 14
    assert slowest < 1, "reads do not wait for a writer"
    assert kim.until(desktop.id, "failed", seconds=15)["failure"]["code"] == "display_lost"
    desktop.assert_nothing_left()
    lee.until(answer.json()["id"], "ready")
    forget(lee, answer.json()["id"])


def test_the_database_is_locked_for_too_long(portal: PortalProcess, accounts: Accounts) -> None:
    with PortalProcess(DATABASE_BUSY_SECONDS="1.0") as impatient:
        impatient.add_person("kim", account=accounts.kim)
        with impatient.by_token("kim") as kim:
            with locked(impatient):
                answer = kim.post("/api/vnc/sessions", json={})
                assert kim.sessions() == []
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (503, "database_busy")
            assert problem["retry_after"] and answer.headers["retry-after"]
            assert kim.sessions() == [], "nothing half-made"
