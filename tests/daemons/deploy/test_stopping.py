"""What a portal tells systemd and proxies when it starts and stops."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

DRAIN_SECONDS = 4.0


@pytest.fixture
def draining() -> Iterator[PortalProcess]:
    with PortalProcess(HTTP_DRAIN_SECONDS=str(DRAIN_SECONDS)) as portal:
        yield portal


def test_proxies_are_told_before_the_end(draining: PortalProcess) -> None:
    with httpx.Client(base_url=draining.url, trust_env=False) as client:
        assert "connection" not in client.get("/ready").headers
        began = time.monotonic()
        draining.signal(signal.SIGTERM)
        answer = eventually(lambda: no(client), 3, "/ready still says yes")
        assert "about to stop" in answer.json()["reasons"][0]
        # It serves on, and gives up the connections that proxies keep.
        answer = client.get("/health")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert draining.process is not None and draining.process.wait(10) == 0
    assert DRAIN_SECONDS <= time.monotonic() - began < DRAIN_SECONDS + 5


def no(client: httpx.Client) -> httpx.Response | None:
    answer = client.get("/ready")
    return answer if answer.status_code == 503 else None


def test_a_second_signal_ends_the_wait(draining: PortalProcess) -> None:
    with httpx.Client(base_url=draining.url, trust_env=False) as client:
        draining.signal(signal.SIGTERM)
        eventually(lambda: no(client), 2, "/ready still says yes")
    began = time.monotonic()
    assert draining.stop() == 0
    assert time.monotonic() - began < DRAIN_SECONDS - 2


def test_systemd_hears_how_it_goes(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = f"\0madang-tests-{os.getpid()}"
        manager.bind(address)
        manager.settimeout(10)
        portal = PortalProcess()
        portal.environment |= {"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "30000000"}
        with portal:
            assert manager.recv(100) == b"READY=1"
            assert httpx.get(f"{portal.url}/ready", trust_env=False).status_code == 200
            assert {manager.recv(100) for _ in range(2)} == {b"WATCHDOG=1"}
            portal.signal(signal.SIGSTOP)
            manager.settimeout(2.5)
            with pytest.raises(TimeoutError):
                while manager.recv(100):
                    pass
            portal.signal(signal.SIGCONT)
            assert portal.stop() == 0
            heard = [manager.recv(100)]
            while heard[-1] != b"STOPPING=1":
                heard.append(manager.recv(100))


@pytest.mark.parametrize("journal", [True, False])
def test_no_link_goes_to_the_journal(journal: bool) -> None:
    """A terminal of a desktop has the variable too, of a journal that is not its output."""
    portal = PortalProcess()
    portal.log_file.touch()
    output = portal.log_file.stat()
    portal.environment["JOURNAL_STREAM"] = f"{output.st_dev}:{output.st_ino + (not journal)}"
    with portal:
        eventually(lambda: "sign" in portal.log.lower(), 5, "nothing is said")
        assert ("/welcome#" in portal.log) != journal
        assert ("madang people link admin" in portal.log) == journal
        assert "/welcome#" in portal.cli("people", "link", "admin").stdout
