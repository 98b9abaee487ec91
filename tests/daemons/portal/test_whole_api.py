"""schemathesis over every operation of the API: whatever is sent, nothing answers with 5xx."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
EXAMPLES = 12
SECONDS = {"admin": 30, "nobody": 12}
CHECKS = "not_a_server_error"


@pytest.fixture(scope="module")
def hollow() -> Iterator[PortalProcess]:
    """A portal whose desktops cannot start, as their programs are missing, and that makes no Unix accounts."""
    portal = PortalProcess(IDENTITY_CREATE_ACCOUNTS="false", VNC_SESSIONS_PER_PERSON="1")
    (portal.folder / "bin").mkdir()
    portal.environment["PATH"] = str(portal.folder / "bin")
    with portal:
        yield portal


@pytest.mark.parametrize("who", ["admin", "nobody"])
def test_nothing_answers_5xx(hollow: PortalProcess, who: str) -> None:
    headers = ["-H", f"Authorization: Bearer {hollow.token_for('admin')}"] if who == "admin" else []
    limits = [
        "--max-examples",
        str(EXAMPLES),
        "--max-time",
        str(SECONDS[who]),
        "--request-timeout",
        "20",
        "--no-shrink",
    ]
    phases = [
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "1",
        "--workers",
        "2",
        "--continue-on-failure",
        "--no-shrink",
    ]
    done = subprocess.run(
        [SCHEMATHESIS, "run", f"{hollow.url}/api/openapi.json", "--checks", CHECKS, *limits, *phases, *headers],
        cwd=hollow.folder,
        capture_output=True,
        text=True,
        timeout=SECONDS[who] + 60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Traceback" not in hollow.log
    # The metrics know too, also of what schemathesis does not call an error.
    metrics = [line for line in hollow.metrics() if line.startswith("madang_bugs_total") and not line.endswith(" 0.0")]
    assert not metrics, metrics


def test_no_start_is_left(hollow: PortalProcess) -> None:
    with hollow.by_token("admin") as admin:
        eventually(
            lambda: all(seen["state"] in ("ended", "failed") for seen in admin.sessions(all=True)),
            30,
            lambda: str(admin.sessions(all=True))[:2000],
        )
    eventually(lambda: not list(hollow.sessions.glob("*")), 5, "folders are left")
