"""schemathesis over every operation of the API: whatever is sent, nothing answers with 5xx."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import libvirt
from tests.support.libvirt import PrivateLibvirt
from tests.support.people import token_client
from tests.support.portal import CALLER, PortalProcess
from tests.support.waiting import eventually

from madang.identity.service import People
from madang.kernel.ground import Ground

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
EXAMPLES = 12
SECONDS = {"admin": 45, "nobody": 15}
# What would take from the one who asks what all the rest is asked with: the token, the desktop.
SPARED = ("revokeToken", "endDesktop")
CHECKS = "not_a_server_error"


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[PrivateLibvirt]:
    if lacking := libvirt.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with libvirt.private_libvirt() as made:
        yield made


@pytest.fixture(scope="module")
def hollow(libvirtd: PrivateLibvirt) -> Iterator[PortalProcess]:
    """A portal whose desktops cannot start, as their programs are missing, and that makes no Unix accounts. It has
    machines, on a host of its own: without one everything that asks it would answer 503, and rightly."""
    portal = PortalProcess(
        IDENTITY_CREATE_ACCOUNTS="false",
        VNC_SESSIONS_PER_PERSON="1",
        MACHINES_HOSTS=json.dumps([f"here={libvirtd.uri}"]),
        MACHINES_ACCOUNT=libvirtd.account or "",
        MACHINES_FOLDER=str(libvirtd.pool),
        MACHINES_ISO_FOLDERS=json.dumps([str(libvirtd.isos)]),
        MACHINES_DOMAIN_TYPE="qemu",
        MACHINES_MACHINES_PER_PERSON="3",
        MACHINES_MEMORY_BYTES_MOST=str(libvirt.MEMORY),
        MACHINES_MEMORY_BYTES=str(libvirt.MEMORY),
        MACHINES_SHUT_DOWN_SECONDS="0.5",
        MACHINES_KEEP_FREE_BYTES="0",
    )
    (portal.folder / "bin").mkdir()
    for program in ("qemu-img", "setpriv"):  # which make disks
        (portal.folder / "bin" / program).symlink_to(str(shutil.which(program)))
    portal.environment["PATH"] = str(portal.folder / "bin")
    with portal:
        yield portal


def another_person(portal: PortalProcess, name: str) -> str:
    """The id of somebody to be asked about, who has no Unix account."""

    async def work(ground: Ground) -> str:
        person, _ = await People(ground).add_without_account(CALLER, name, ("member",))
        return person.id

    return portal.on_ground(work)


@pytest.mark.parametrize("who", ["admin", "nobody"])
def test_nothing_answers_5xx(hollow: PortalProcess, who: str) -> None:
    token = hollow.token_for("admin")
    headers = ["-H", f"Authorization: Bearer {token}"] if who == "admin" else []
    spared = [word for name in SPARED for word in ("--exclude-operation-id", name)] if who == "admin" else []
    with token_client(hollow.url, token) as admin:
        session = str(admin.ask()["id"])  # which fails: a record to ask about
        admin.until(session, "failed")
    # Ids are learnt from answers otherwise, and whoever is asked as would be disabled on the way.
    with token_client(hollow.url, token) as admin:
        machines = admin.get("/api/vms").json()  # whoever asked before has made some
        if not machines:
            made = admin.post("/api/vms", json={"name": f"for-{who}"})
            assert made.status_code == 201, made.text
            machines = [made.json()]
    fixed = f'"path.session_id" = "{session}"\n"path.person" = "{another_person(hollow, f"of-{who}")}"\n'
    fixed += f'"path.machine_id" = "{machines[0]["id"]}"\n'
    (hollow.folder / "schemathesis.toml").write_text(f"[parameters]\n{fixed}")
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
        # Python 3.11 parses in one thread at a time only: more than one worker ends in a SystemError now and then.
        "--workers",
        "1",
        "--continue-on-failure",
        "--no-shrink",
    ]
    done = subprocess.run(
        [
            SCHEMATHESIS,
            "run",
            f"{hollow.url}/api/openapi.json",
            "--checks",
            CHECKS,
            *limits,
            *phases,
            *spared,
            *headers,
        ],
        cwd=hollow.folder,
        capture_output=True,
        text=True,
        timeout=SECONDS[who] + 60,
        check=False,
    )
    with token_client(hollow.url, token) as admin:
        assert admin.get("/api/identity/me").status_code == 200, "most of it was asked by nobody"
        admin.put("/api/vnc/limits", json={})
        admin.put("/api/vnc/notice", json={"text": ""})
        for preset in admin.get("/api/vnc/presets", params={"all": True}).json():
            admin.delete(f"/api/vnc/presets/{preset['id']}")
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
