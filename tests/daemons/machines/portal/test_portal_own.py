"""A site that names no host, on a machine without a libvirt of the system: it brings its own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from madang.machines import local_host
from madang.machines.own_libvirt import runtime_folder
from tests.daemons.machines.portal.house import MachineClient
from tests.support import libvirt
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.own_libvirt import daemons
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually


@pytest.fixture
def account() -> Iterator[str]:
    if lacking := libvirt.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    if os.access(local_host.SYSTEM_SOCKET, os.R_OK | os.W_OK):
        pytest.skip("the system's libvirt runs here")
    name = make_account(f"mdgo{os.getpid()}") if AS_ROOT else ""
    yield name
    if name:
        remove_account(name)


@pytest.fixture
def pool() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mo-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "pool"
    shutil.rmtree(folder, ignore_errors=True)


def test_it_is_started_when_it_is_needed_and_again_when_it_is_killed(account: str, pool: Path) -> None:
    settings = {
        "MACHINES_FOLDER": str(pool),
        "MACHINES_ACCOUNT": account,
        "MACHINES_DOMAIN_TYPE": "qemu",
        "MACHINES_MEMORY_BYTES": str(libvirt.MEMORY),
        "MACHINES_DISK_BYTES": str(libvirt.DISK),
        "MACHINES_KEEP_FREE_BYTES": "1000000",
        "MACHINES_LOOK_SECONDS": "1.0",
    }
    with PortalProcess(**settings) as portal:
        portal.add_person("kim", account=account)
        with MachineClient(portal.url, {"authorization": f"Bearer {portal.token_for('kim')}"}) as kim:
            assert not pool.exists(), "nobody needs it yet"
            machine = kim.make()["id"]
            kim.act(machine, "start")
            kim.until_state(machine, "running")
            home = pool if AS_ROOT else portal.state
            (daemon,) = daemons(home)
            os.kill(daemon.pid, signal.SIGKILL)
            eventually(
                lambda: len(daemons(home)) == 1 and daemons(home)[0].pid != daemon.pid, 20, "it does not come again"
            )
            kim.until_state(machine, "running", seconds=20)
            kim.act(machine, "force_off")
            assert kim.delete(f"/api/vms/{machine}", params={"name": "web"}).status_code == 204
    assert not runtime_folder(portal.state).exists() and not daemons(home), "closing it leaves nothing"


def test_an_account_that_is_not_there_is_said(account: str, pool: Path) -> None:
    if not AS_ROOT:
        pytest.skip("an ordinary user runs it as themselves")
    with PortalProcess(MACHINES_FOLDER=str(pool)) as portal:
        portal.add_person("kim", account=account)
        with MachineClient(portal.url, {"authorization": f"Bearer {portal.token_for('kim')}"}) as kim:
            refused = kim.post("/api/vms", json={"name": "web"})
            assert (refused.status_code, refused.json()["code"]) == (503, "host_unreachable"), refused.text
            assert "account" in refused.json()["detail"]
