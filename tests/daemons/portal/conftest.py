"""A portal as people run it, with two persons. As root each has a Unix account made for the tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.session import OnMachine

KIM, LEE, BOSS = "kim", "lee", "boss"


class Accounts(NamedTuple):
    """Names of Unix accounts: of the persons kim and lee, and of somebody whom the portal does not know."""

    kim: str | None
    lee: str | None
    stranger: str


@pytest.fixture(scope="session")
def accounts() -> Iterator[Accounts]:
    if not AS_ROOT:
        yield Accounts(None, None, "")
        return
    run = os.getpid() % 100_000
    names = [f"mdg{run}{letter}" for letter in "abc"]
    try:
        for name in names:
            make_account(name)
        yield Accounts(*names)
    finally:
        for name in names:
            remove_account(name)


def add_people(portal: PortalProcess, accounts: Accounts) -> None:
    portal.add_person(KIM, account=accounts.kim)
    portal.add_person(LEE, account=accounts.lee)
    portal.add_person(BOSS, role="admin", account=accounts.kim)


@pytest.fixture(scope="session")
def portal(accounts: Accounts) -> Iterator[PortalProcess]:
    """The portal that tests share. Who kills it starts it again."""
    with PortalProcess(VNC_START_SECONDS="25.0", VNC_SESSIONS_PER_PERSON="8") as portal:
        add_people(portal, accounts)
        yield portal


@pytest.fixture
def running(portal: PortalProcess) -> PortalProcess:
    """The shared portal, running, also after a test that killed it and failed."""
    ensure_running(portal)
    return portal


@pytest.fixture(scope="session")
def people(portal: PortalProcess) -> dict[str, Client]:
    return {name: portal.by_token(name) for name in (KIM, LEE, BOSS)}


@pytest.fixture
def kim(running: PortalProcess, people: dict[str, Client]) -> Client:
    """By API token."""
    return people[KIM]


@pytest.fixture
def lee(running: PortalProcess, people: dict[str, Client]) -> Client:
    return people[LEE]


@pytest.fixture
def boss(running: PortalProcess, people: dict[str, Client]) -> Client:
    """An administrator."""
    return people[BOSS]


@pytest.fixture
def browser(running: PortalProcess) -> Iterator[Callable[[str], Client]]:
    """Signs somebody in by cookie."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(contextlib.closing(running.by_cookie(name)))


@pytest.fixture
def start(kim: Client, portal: PortalProcess) -> Iterator[Callable[..., OnMachine]]:
    """Starts a desktop of kim's that is ready; it is ended and removed afterwards."""
    started: list[OnMachine] = []

    def begin(**wish: object) -> OnMachine:
        started.append(OnMachine(portal, str(kim.ask(**wish)["id"])))
        kim.until(started[-1].id, "ready")
        return started[-1]

    yield begin
    if portal.process is not None and portal.process.poll() is None:
        for desktop in started:
            forget(kim, desktop.id)


@pytest.fixture
def desktop(start: Callable[..., OnMachine]) -> OnMachine:
    """A desktop of kim's that is ready, for one test."""
    return start()


@pytest.fixture(scope="module")
def shared(portal: PortalProcess, people: dict[str, Client]) -> Iterator[OnMachine]:
    """A desktop of kim's for the tests of a module that do it no harm."""
    ensure_running(portal)
    kim = people[KIM]
    session = str(kim.start_desktop(name="shared")["id"])
    yield OnMachine(portal, session)
    forget(kim, session)


def ensure_running(portal: PortalProcess) -> None:
    """A test that killed the portal and failed has not started it again."""
    if portal.process is None or portal.process.poll() is not None:
        portal.start()


def forget(client: Client, session: str) -> None:
    """End a desktop if it runs, then remove it from the list."""
    answer = client.delete(f"/api/vnc/sessions/{session}")
    if answer.status_code == 202:
        client.until(session, *OVER, seconds=20)
        client.delete(f"/api/vnc/sessions/{session}")
