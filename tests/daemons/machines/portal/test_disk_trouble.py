"""A disk that is missing, that somebody else holds, or that is another one than before."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons.machines.portal.house import Json, MachineClient
from tests.daemons.machines.portal.killing import image
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually


@contextlib.contextmanager
def locked(disk: str) -> Iterator[None]:
    """Another QEMU writes to it."""
    with subprocess.Popen(["qemu-io", "-f", "qcow2", disk], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as other:
        assert other.stdin is not None
        try:
            looks = ["qemu-img", "info", disk]  # which it may not while somebody writes
            eventually(lambda: subprocess.run(looks, capture_output=True).returncode != 0, 20, "it is not locked")
            yield
        finally:
            other.stdin.close()
            other.wait(20)


@pytest.fixture
def made(kim: MachineClient) -> Json:
    return kim.make(disk_bytes=2**30)


def test_what_needs_a_disk_that_is_not_there_says_so_and_changes_nothing(kim: MachineClient, made: Json) -> None:
    machine = made["id"]
    kim.change(machine, "backups")
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    Path(made["disk_path"]).unlink()
    kim.refused(machine, "action", 404, "disk_missing", action="start")
    kim.refused(machine, "disk/resize", 404, "disk_missing", size_gb=2)
    kim.refused(machine, "backups", 404, "disk_missing")
    assert kim.get(f"/api/vms/{machine}/disk").json()["code"] == "disk_missing"
    kim.refused(machine, "snapshots", 404, "disk_missing", title="x")
    now = kim.machine(machine)
    assert (now["state"], now["disk_size"]) == ("shut_off", made["disk_size"])
    # The way out that is offered: a backup.
    back = kim.post(f"/api/vms/{machine}/backups/{backup['id']}/restore")
    assert back.status_code == 200, back.text
    assert kim.act(machine, "start")["state"] in ("starting", "running")


def test_a_disk_that_somebody_else_holds_is_left_alone(kim: MachineClient, made: Json) -> None:
    machine = made["id"]
    kim.change(machine, "backups")
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    with locked(made["disk_path"]):
        kim.refused(machine, "action", 409, "disk_in_use", action="start")
        kim.refused(machine, "disk/resize", 409, "disk_in_use", size_gb=2)
        kim.refused(machine, "backups", 409, "disk_in_use")
        kim.refused(machine, f"backups/{backup['id']}/restore", 409, "disk_in_use")
        kim.refused(machine, "snapshots", 409, "disk_in_use", title="x")
        assert kim.get(f"/api/vms/{machine}/disk").status_code == 200
        assert kim.machine(machine)["state"] == "shut_off"
    image("check", "-q", made["disk_path"])
    assert kim.change(machine, "disk/resize", size_gb=2)["disk_size"] == 2 * 2**30
    kim.act(machine, "start")
    kim.until_state(machine, "running")


def test_two_machines_with_the_same_disk_do_not_run_at_once(
    kim: MachineClient, made: Json, libvirtd: PrivateLibvirt
) -> None:
    other = kim.make("other")
    xml = libvirtd.folder / "other.xml"
    xml.write_text(libvirtd.virsh("dumpxml", other["id"]).replace(other["disk_path"], made["disk_path"]))
    xml.chmod(0o644)
    libvirtd.virsh("define", str(xml))
    followed = kim.wait(other["id"], lambda one: one["disk_path"] == made["disk_path"])
    assert [one["changed"] for one in followed["suggestions"] if one["code"] == "changed_outside"] == [["disk_path"]]
    kim.act(made["id"], "start")
    kim.until_state(made["id"], "running")
    kim.refused(other["id"], "action", 409, "disk_in_use", action="start")
    assert kim.delete(f"/api/vms/{other['id']}", params={"name": "other"}).status_code == 204
    assert Path(made["disk_path"]).exists(), "a disk that was not made for it stays"


def test_a_disk_that_is_no_disk(kim: MachineClient, made: Json) -> None:
    machine, disk = made["id"], Path(made["disk_path"])
    disk.write_bytes(b"nothing that QEMU reads")
    answer = kim.post(f"/api/vms/{machine}/action", json={"action": "start"})
    assert answer.status_code >= 400 and answer.json()["title"] and answer.json()["detail"], answer.text
    assert kim.post(f"/api/vms/{machine}/disk/resize", json={"size_gb": 2}).status_code >= 400
    eventually(lambda: kim.machine(machine)["state"] in ("shut_off", "crashed"), 20, lambda: str(kim.machine(machine)))
