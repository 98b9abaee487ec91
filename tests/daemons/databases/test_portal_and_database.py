"""A portal process whose database server is killed, silent and back."""

import os
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.daemons.databases.conftest import ANSWER_SECONDS
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.databases import PASSWORD, Server
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually


@pytest.fixture
def account() -> Iterator[str | None]:
    if not AS_ROOT:
        yield None
        return
    name = make_account(f"mdgd{os.getpid()}")
    yield name
    remove_account(name)


@pytest.fixture
def portal(server: Server) -> Iterator[PortalProcess]:
    environment = {
        key.removeprefix("MADANG_"): value for key, value in server.environment(server.new_database()).items()
    }
    with PortalProcess(**environment, DATABASE_ANSWER_SECONDS=str(ANSWER_SECONDS)) as running:
        yield running


def bugs(portal: PortalProcess) -> list[str]:
    return [line for line in portal.metrics() if line.startswith("madang_bugs_total{")]


def works(portal: PortalProcess, kim: Client) -> bool:
    ready = httpx.get(f"{portal.url}/ready", timeout=10, trust_env=False).status_code == 200
    return ready and kim.get("/api/vnc/sessions").status_code == 200


def test_people_are_told_while_the_database_is_away_and_go_on_once_it_is_back(
    server: Server, portal: PortalProcess, account: str | None
) -> None:
    portal.add_person("kim", account=account)
    kim, pid = portal.by_token("kim"), portal.pid
    assert works(portal, kim)
    for take, give_back in ((server.kill, server.start), (server.pause, server.resume)):
        take()
        try:
            begin = time.monotonic()
            for ask in (lambda: kim.get("/api/vnc/sessions"), lambda: kim.post("/api/vnc/sessions", json={})):
                answer = ask()
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"] in ("database_unavailable", "database_busy")
                assert answer.json()["hint"] and int(answer.headers["retry-after"]) > 0
            ready = httpx.get(f"{portal.url}/ready", timeout=20, trust_env=False)
            assert ready.status_code == 503 and ready.json()["reasons"]
            assert time.monotonic() - begin < 5 * (ANSWER_SECONDS + 1)
            assert httpx.get(f"{portal.url}/health", timeout=2, trust_env=False).status_code == 200
        finally:
            give_back()
        eventually(lambda: works(portal, kim), 15, "it does not go on")
    assert portal.pid == pid
    assert bugs(portal) == []
    assert "Traceback" not in portal.log and PASSWORD not in portal.log
    assert PASSWORD not in portal.cli("settings").stdout


def test_a_portal_that_finds_no_database_says_so_and_ends(server: Server):
    environment = {"DATABASE_URL": server.url("nothing").replace(str(server.port), "1")}
    portal = PortalProcess(**environment, DATABASE_ANSWER_SECONDS="2")
    try:
        portal.start(wait=False)
        assert portal.process is not None
        assert portal.process.wait(20) == 1
        assert "The database cannot be used right now" in portal.log
        assert "Traceback" not in portal.log
    finally:
        portal.process = None
        portal.close()
