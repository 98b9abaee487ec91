"""The libvirt of a whole machine (qemu:///system), which runs machines as an account of its own; the portal is root."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import MachineClient, MachinePortal
from tests.support import libvirt, tiny_iso
from tests.support.accounts import AS_ROOT
from tests.support.system_libvirt import UID, SystemLibvirt, system_libvirt

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="is about root")


@pytest.fixture(scope="module")
def libvirt_session() -> Iterator[SystemLibvirt]:
    if lacking := libvirt.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with system_libvirt() as libvirtd:
        yield libvirtd


@pytest.fixture(scope="module")
def tiny(libvirt_session: SystemLibvirt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if lacking := tiny_iso.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    iso = tiny_iso.build(tmp_path_factory.mktemp("tiny"))
    return Path(shutil.move(iso, libvirt_session.isos / iso.name))


@pytest.mark.timeout(300)
def test_files_are_made_used_kept_and_copied(
    portal: MachinePortal, kim: MachineClient, libvirtd: SystemLibvirt, tiny: Path
) -> None:
    """Root makes them, QEMU's account uses them while the machine runs; an ISO stays whose it is."""
    iso = tiny.stat()
    machine = kim.make(iso_path=str(tiny))["id"]
    disk = libvirtd.pool / machine / "disk.qcow2"
    assert disk.stat().st_uid == 0 and disk.stat().st_mode & 0o777 == 0o600
    kim.act(machine, "start")
    kim.wait(machine, lambda one: one["current_boot_device"] == "cdrom")
    assert disk.stat().st_uid == UID
    kim.wait(machine, lambda one: one["current_boot_device"] == "hd" and one["agent"])
    assert kim.get(f"/api/vms/{machine}/screenshot").status_code == 200

    done(kim, machine, "disk/resize", size_gb=1)
    done(kim, machine, "snapshots", title="First")
    done(kim, machine, "backups")
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    done(kim, machine, f"backups/{backup['id']}/verify")
    kim.act(machine, "force_off")
    kim.until_state(machine, "shut_off")
    assert disk.stat().st_uid == 0, "given back"
    now = tiny.stat()
    assert (now.st_uid, now.st_gid, now.st_mode) == (iso.st_uid, iso.st_gid, iso.st_mode)
    done(kim, machine, f"backups/{backup['id']}/restore")
    done(kim, machine, "template", template=True)
    copy = kim.post(f"/api/vms/{machine}/clone", json={"name": "copy", "linked": True}).json()["id"]
    kim.until_state(copy, "shut_off")
    kim.act(copy, "start")
    kim.until_state(copy, "running")
    kim.act(copy, "force_off")


def done(person: MachineClient, machine: str, what: str, **wish: object) -> None:
    """It went well, however long it took."""
    answer = person.post(f"/api/vms/{machine}/{what}", json=wish)
    assert answer.status_code in (200, 201, 202), answer.text
    person.wait(machine, lambda one: not one["operation"])
    last = person.get(f"/api/vms/{machine}/operations").json()[0]
    assert last["state"] == "done", last
