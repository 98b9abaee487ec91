"""Each reason why a desktop cannot start, on the card and in the API: the log is there, nothing else stays behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.daemons.portal.conftest import Accounts, add_people, forget
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.people import Client, Json
from tests.support.portal import PortalProcess
from tests.support.session import OnMachine

from madang.kernel.errors import Conflict

root_only = pytest.mark.skipif(not AS_ROOT, reason="needs root: mounts, homes and accounts")
FEW = 2
START_SECONDS, HASTY_SECONDS = 25, 4


@pytest.fixture(scope="module")
def poor(accounts: Accounts) -> Iterator[PortalProcess]:
    """A portal with two displays, whose programs can be taken away."""
    portal = PortalProcess(VNC_SESSIONS_PER_PERSON=str(FEW), VNC_START_SECONDS=f"{START_SECONDS}.0")
    portal.environment["MADANG_VNC_LAST_DISPLAY"] = str(portal.first_display + FEW - 1)
    portal.environment["PATH"] = str(portal.folder / "bin")
    portal.sessions.mkdir(mode=0o711)
    (portal.folder / "bin").mkdir(mode=0o755)
    for name in os.listdir("/usr/bin"):
        (portal.folder / "bin" / name).symlink_to(f"/usr/bin/{name}")
    with portal:
        add_people(portal, accounts)
        yield portal


@pytest.fixture
def programs(poor: PortalProcess) -> Path:
    """The portal's PATH: symbolic links, so that a test can take a program away or put another one in its place."""
    return poor.folder / "bin"


@pytest.fixture
def asker(poor: PortalProcess) -> Iterator[Client]:
    with poor.by_token("kim") as client:
        yield client
        for session in client.sessions():
            forget(client, session["id"])


@contextlib.contextmanager
def replaced(program: Path, script: str | None) -> Iterator[None]:
    """Another program in its place, or none."""
    target = program.readlink()
    program.unlink()
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    try:
        yield
    finally:
        program.unlink(missing_ok=True)
        program.symlink_to(target)


@contextlib.contextmanager
def hasty(portal: PortalProcess) -> Iterator[None]:
    """It has little patience with a start."""

    def wait(seconds: int) -> None:
        portal.environment["MADANG_VNC_START_SECONDS"] = f"{seconds}.0"
        portal.restart()

    wait(HASTY_SECONDS)
    try:
        yield
    finally:
        wait(START_SECONDS)


@contextlib.contextmanager
def tiny_disk(folder: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(("size=256k", *options)), "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def away(folder: Path) -> Iterator[None]:
    hidden = folder.with_name(f"{folder.name}.away")
    folder.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(folder)


def assert_fails(portal: PortalProcess, client: Client, code: str, seconds: float = 10) -> Json:
    """A start fails with this code; gives its failure."""
    session = OnMachine(portal, str(client.ask(name=code)["id"]))
    seen = client.until(session.id, "failed", seconds=seconds)
    failure = dict(seen["failure"])
    assert failure["code"] == code, failure
    assert failure["title"] and failure["detail"] and failure["hint"], failure
    assert seen["end_reason"] == "failed" and seen["ended_at"]
    assert isinstance(client.log_of(session.id), str)
    session.assert_nothing_left()
    assert client.delete(f"/api/vnc/sessions/{session.id}").status_code == 204
    assert client.get(f"/api/vnc/sessions/{session.id}").status_code == 404
    assert not session.log_file.exists()
    return failure


def assert_starts(client: Client) -> None:
    forget(client, str(client.start_desktop(name="again")["id"]))


def test_a_package_is_missing(poor: PortalProcess, asker: Client, programs: Path) -> None:
    with replaced(programs / "Xvnc", None):
        failure = assert_fails(poor, asker, "package_missing")
        assert "apt-get install" in failure["hint"] and "tigervnc-standalone-server" in failure["hint"]
        options = asker.get("/api/vnc/options").json()
        assert not options["ready"] and "Xvnc" in options["missing"][0]["what"]
    assert asker.get("/api/vnc/options").json()["ready"]
    assert_starts(asker)


def test_the_display_hangs_and_the_limit_is_reached(poor: PortalProcess, asker: Client, programs: Path) -> None:
    with hasty(poor), replaced(programs / "Xvnc", "exec sleep 60"):
        answers = ask_at_once(asker, FEW + 4)
        accepted = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        refused = [answer.json() for answer in answers if answer.status_code != 201]
        assert len(accepted) == FEW
        assert {(problem["status"], problem["code"]) for problem in refused} == {(409, "limit_reached")}
        assert all(problem["hint"] for problem in refused)
        assert {session["id"] for session in asker.sessions()} == set(accepted)
        for session in accepted:
            seen = asker.until(session, "failed", seconds=HASTY_SECONDS + 10)
            assert seen["failure"]["code"] in ("start_timeout", "display_failed"), seen["failure"]
            OnMachine(poor, session).assert_nothing_left()


def ask_at_once(client: Client, count: int) -> list[httpx.Response]:
    answers: list[httpx.Response] = []
    askers = [
        threading.Thread(target=lambda: answers.append(client.post("/api/vnc/sessions", json={}))) for _ in range(count)
    ]
    for thread in askers:
        thread.start()
    for thread in askers:
        thread.join()
    return answers


def test_the_display_ends_at_once(poor: PortalProcess, asker: Client, programs: Path) -> None:
    with replaced(programs / "Xvnc", "echo no such screen >&2; exit 3"):
        assert_fails(poor, asker, "display_failed")


def test_no_display_is_free(poor: PortalProcess, asker: Client) -> None:
    locks = [Path(f"/tmp/.X{poor.first_display + number}-lock") for number in range(FEW)]
    for lock in locks:
        lock.write_text(f"{os.getpid():>10}\n")
    try:
        assert_fails(poor, asker, "no_free_display")
        assert all(lock.exists() for lock in locks), "foreign locks stay"
    finally:
        for lock in locks:
            lock.unlink()


@root_only
def test_the_disk_of_the_session_folder_is_full(poor: PortalProcess, asker: Client) -> None:
    with tiny_disk(poor.sessions, "mode=0711"):
        assert_fails(poor, asker, "disk_full")
    # So full that not even the folder can be made.
    with tiny_disk(poor.sessions, "mode=0711", "nr_inodes=1"):
        assert_fails(poor, asker, "disk_full")
    assert_starts(asker)


@root_only
def test_the_home_is_missing(poor: PortalProcess, asker: Client, accounts: Accounts) -> None:
    with away(Path(f"/home/{accounts.kim}")):
        assert_fails(poor, asker, "home_missing")
    assert_starts(asker)


@root_only
def test_the_session_folder_belongs_to_somebody_else(poor: PortalProcess, asker: Client, accounts: Accounts) -> None:
    poor.sessions.chmod(0o777)
    try:
        assert_fails(poor, asker, "folder_root_unsafe")
    finally:
        poor.sessions.chmod(0o711)


@pytest.fixture
def leaver(poor: PortalProcess) -> Iterator[tuple[str, Client]]:
    """Somebody whose Unix account is about to go."""
    name = f"mdg{os.getpid() % 100_000}z"
    make_account(name)
    try:
        with contextlib.suppress(Conflict):
            poor.add_person("leaver", account=name)
        with poor.by_token("leaver") as client:
            yield name, client
    finally:
        remove_account(name)


@root_only
def test_the_account_is_gone(poor: PortalProcess, leaver: tuple[str, Client]) -> None:
    account, client = leaver
    remove_account(account)
    failure = assert_fails(poor, client, "account_gone")
    assert account in failure["detail"]
    make_account(account)
    assert_starts(client)


@root_only
def test_the_account_goes_while_its_desktop_runs(poor: PortalProcess, leaver: tuple[str, Client]) -> None:
    account, client = leaver
    session = OnMachine(poor, str(client.start_desktop()["id"]))
    subprocess.run(["userdel", "-f", account], check=True, capture_output=True)
    shutil.rmtree(f"/home/{account}", ignore_errors=True)
    seen = client.end(session.id)
    assert seen["state"] == "ended"
    session.assert_nothing_left()
    forget(client, session.id)
