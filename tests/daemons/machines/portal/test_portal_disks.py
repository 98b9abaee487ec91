"""Further disks through the portal: moved in one step, grown, and where they are whatever fails or is killed."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.daemons.machines.portal.test_portal_faults import killed_after
from tests.support.libvirt import PrivateLibvirt
from tests.support.waiting import eventually

GIB = 1024**3


def add(kim: MachineClient, machine: str, name: str = "data") -> Json:
    kim.change(machine, "disks", name=name, size_gb=1)
    (disk,) = [one for one in kim.get(f"/api/vms/{machine}/disks").json() if one["name"] == name]
    return dict(disk)


def where(kim: MachineClient, disk: str) -> str | None:
    (found,) = [one for one in kim.get("/api/vms/disks").json() if one["id"] == disk]
    return found["machine_id"]  # type: ignore[no-any-return]


def have(libvirtd: PrivateLibvirt, disk: Json, *machines: str) -> list[str]:
    """Those that libvirt has it in."""
    return [one for one in machines if disk["path"] in libvirtd.virsh("dumpxml", "--inactive", one)]


def test_it_moves_in_one_step(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    kim.act(other, "start")
    disk = add(kim, one)
    assert 0 < disk["used"] < disk["size"] == GIB
    moved = kim.change(one, "disks/move", disk=disk["id"], to=other)
    assert (moved["id"], where(kim, disk["id"])) == (other, other)
    assert have(libvirtd, disk, one, other) == [other]
    assert disk["path"] in libvirtd.virsh("dumpxml", other), "now, not only at the next start"
    kim.refused(one, "disks/move", 404, "disk_not_found", disk=disk["id"], to=other)


def test_where_it_may_not_go_nothing_changes(
    kim: MachineClient, lee: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine, theirs = kim.make()["id"], lee.make()["id"]
    disk = add(kim, machine)
    kim.refused(machine, "disks/move", 422, "same_machine", disk=disk["id"], to=machine)
    kim.refused(machine, "disks/move", 404, "machine_not_found", disk=disk["id"], to=theirs)
    park.refused(machine, "disks/move", 409, "other_person", disk=disk["id"], to=theirs)
    lee.refused(machine, "disks/move", 404, "machine_not_found", disk=disk["id"], to=theirs)
    assert have(libvirtd, disk, machine, theirs) == [machine]


def test_what_the_other_one_cannot_take_is_free_and_nothing_is_lost(
    kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    disk = add(kim, one)
    # Somebody gave it to a machine of their own, with libvirt's tools.
    xml = libvirtd.folder / "theirs.xml"
    xml.write_text(
        f"""<domain type='qemu'><name>theirs</name><memory>131072</memory>
        <os><type machine='q35'>hvm</type></os><devices>
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk["path"]}'/>
        <target dev='vda' bus='virtio'/></disk></devices></domain>"""
    )
    xml.chmod(0o644)
    libvirtd.virsh("define", str(xml))
    said = kim.refused(one, "disks/move", 409, "disk_left_free", disk=disk["id"], to=other)
    assert "other" in said["detail"] and "Nothing on it is lost" in said["hint"]
    assert where(kim, disk["id"]) is None and have(libvirtd, disk, one, other) == []
    assert Path(disk["path"]).exists()
    libvirtd.virsh("undefine", "theirs")
    kim.change(one, "disks/attach", disk=disk["id"])
    assert have(libvirtd, disk, one, other) == [one]


def test_a_guest_that_holds_it_keeps_it(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    """No system runs in it that could let it go."""
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    disk = add(kim, one)
    kim.act(one, "start")
    kim.until_state(one, "running")
    for what, wish in (("detach", {}), ("move", {"to": other})):
        answer = kim.post(f"/api/vms/{one}/disks/{what}", json={"disk": disk["id"], **wish}, timeout=60)
        assert answer.status_code in (202, 409), answer.text
        kim.wait(one, lambda machine: not machine["operation"], 60)
        newest = kim.get(f"/api/vms/{one}/operations").json()[0]
        assert (newest["kind"], newest["failure"]["code"]) == (f"{what}_disk", "disk_held")
        assert where(kim, disk["id"]) == one and have(libvirtd, disk, one, other) == [one]
    kim.act(one, "force_off")
    assert kim.change(one, "disks/move", disk=disk["id"], to=other)["id"] == other


@pytest.mark.parametrize("state", ["running", "off", "free"])
def test_it_grows_in_a_machine_or_not(
    kim: MachineClient, lee: MachineClient, libvirtd: PrivateLibvirt, state: str
) -> None:
    machine = kim.make()["id"]
    disk = add(kim, machine)
    if state == "running":
        kim.act(machine, "start")
        kim.until_state(machine, "running")
    elif state == "free":
        kim.change(machine, "disks/detach", disk=disk["id"])
    where_to = f"/api/vms/disks/{disk['id']}/resize"
    grown = kim.post(where_to, json={"size_gb": 3})
    assert (grown.status_code, grown.json()["size"]) == (200, 3 * GIB), grown.text
    assert grown.json()["machine_id"] == (None if state == "free" else machine)
    small = kim.post(where_to, json={"size_gb": 2})
    assert (small.status_code, small.json()["code"]) == (422, "shrink_refused")
    assert kim.post(where_to, json={"size_gb": 999_999}).json()["code"] == "too_large"
    assert lee.post(where_to, json={"size_gb": 4}).json()["code"] == "disk_not_found"
    if state == "free":
        kim.change(machine, "disks/attach", disk=disk["id"])
    assert str(3 * GIB) in libvirtd.virsh("domblkinfo", machine, "vdb")
    assert kim.get(f"/api/vms/{machine}/disks").json()[0]["size"] == 3 * GIB


def test_a_quota_holds_for_what_grows(libvirtd: PrivateLibvirt) -> None:
    with MachinePortal(libvirtd, MACHINES_DISK_BYTES_PER_PERSON=str(3 * GIB)) as portal:
        portal.add_person("kim")
        with portal.client("kim") as kim:
            disk = add(kim, kim.make()["id"])
            refused = kim.post(f"/api/vms/disks/{disk['id']}/resize", json={"size_gb": 3})
            assert refused.json()["code"] == "quota_reached"
            assert kim.post(f"/api/vms/disks/{disk['id']}/resize", json={"size_gb": 2}).status_code == 200


@pytest.mark.parametrize("milliseconds", [5, 30, 80, 200])
def test_a_portal_that_is_killed_in_the_middle_of_a_move(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, milliseconds: int
) -> None:
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    disk = add(kim, one)
    begun = len(kim.get(f"/api/vms/{one}/operations").json())
    killed_after(
        portal, lambda: kim.post(f"/api/vms/{one}/disks/move", json={"disk": disk["id"], "to": other}), milliseconds
    )
    for machine in (one, other):
        kim.wait(machine, lambda seen: not seen["operation"], 30)
    kim.wait(other, lambda seen: not seen["operation"], 30)
    asked = len(kim.get(f"/api/vms/{one}/operations").json()) > begun
    assert where(kim, disk["id"]) == (other if asked else one), "what was asked for is completed"
    assert have(libvirtd, disk, one, other) == [other if asked else one]


def test_a_libvirtd_that_is_killed_while_a_disk_is_added(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    libvirtd.signal(signal.SIGSTOP)

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            kim.post(f"/api/vms/{machine}/disks", json={"name": "data", "size_gb": 1}, timeout=60)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(1)
    libvirtd.kill()
    libvirtd.mend()
    thread.join()
    kim.wait(machine, lambda one: not one["operation"] and one["state"] == "shut_off", 60)
    found = kim.get("/api/vms/disks").json()
    assert [one["machine_id"] for one in found] == [machine], "what libvirt has is ours to see"
    assert have(libvirtd, found[0], machine) == [machine] and Path(found[0]["path"]).exists()


@pytest.mark.parametrize("state", ["shut_off", "running"])
def test_a_snapshot_is_not_gone_back_to_with_other_disks(
    kim: MachineClient, libvirtd: PrivateLibvirt, state: str
) -> None:
    """It would come back with a disk that is another machine's by now, or lose one without a word."""
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    disk = add(kim, one)
    if state == "running":
        kim.act(one, "start")
        kim.until_state(one, "running")
    kim.change(one, "snapshots", title="before")
    (taken,) = kim.get(f"/api/vms/{one}/snapshots").json()
    back = f"snapshots/{taken['name']}/revert"
    if state == "running":
        kim.act(one, "force_off")
    kim.change(one, "disks/move", disk=disk["id"], to=other)
    said = kim.refused(one, back, 409, "disks_differ")
    assert disk["path"] in said["detail"] and have(libvirtd, disk, one, other) == [other]
    kim.change(other, "disks/move", disk=disk["id"], to=one)
    added = add(kim, one, "since")
    kim.refused(one, back, 409, "disks_differ")
    kim.change(one, "disks/detach", disk=added["id"])
    assert kim.change(one, back)["state"] == state
    assert have(libvirtd, disk, one, other) == [one] and where(kim, disk["id"]) == one


def test_what_waits_and_is_cancelled_leaves_no_disk_behind(kim: MachineClient, libvirtd: PrivateLibvirt) -> None:
    machine = kim.make()["id"]
    disk = add(kim, machine)
    kim.change(machine, "disks/detach", disk=disk["id"])
    libvirtd.signal(signal.SIGSTOP)
    try:
        order = f"/api/vms/{machine}/boot-order"
        at_work = threading.Thread(target=lambda: kim.post(order, json={"boot_order": "hd"}, timeout=60))
        at_work.start()
        eventually(lambda: kim.machine(machine)["operation"], 10, "nothing is at work")
        kim.post(f"/api/vms/{machine}/disks", json={"name": "never", "size_gb": 1})
        kim.post(f"/api/vms/{machine}/disks/attach", json={"disk": disk["id"]})
        waiting = [one for one in kim.get(f"/api/vms/{machine}/operations").json() if one["state"] == "queued"]
        assert [one["kind"] for one in waiting] == ["attach_disk", "add_disk"]
        for one in waiting:
            assert kim.post(f"/api/vms/{machine}/operations/{one['id']}/cancel").json()["state"] == "cancelled"
        assert [(one["name"], one["machine_id"]) for one in kim.get("/api/vms/disks").json()] == [("data", None)]
    finally:
        libvirtd.signal(signal.SIGCONT)
    at_work.join()


def test_the_command_line(portal: MachinePortal, kim: MachineClient) -> None:
    kim.make("one")
    other = kim.make("other")["id"]
    mine = {"MADANG_PERSON": kim.get("/api/identity/me").json()["person"]["name"]}

    def disk(*arguments: str, check: bool = True) -> str:
        done = portal.cli("machines", "disk", *arguments, check=check, **mine)
        return done.stdout + done.stderr

    assert "one has the disk 자료" in disk("add", "one", "자료", "1")
    assert "자료" in disk("list") and "1 GiB" in disk("list")
    assert "자료 is in other now" in disk("move", "자료", "other")
    assert [one["name"] for one in kim.get(f"/api/vms/{other}/disks").json()] == ["자료"]
    assert "자료 has 2 GiB" in disk("grow", "자료", "2")
    assert "in a machine" in disk("delete", "자료", "--yes", check=False)
    assert "is not in other now" in disk("detach", "other", "자료")
    assert "자료 is in one now" in disk("attach", "one", "자료")
    disk("detach", "one", "자료")
    assert "Deleted" in disk("delete", "자료", "--yes") and kim.get("/api/vms/disks").json() == []
    assert "no disk" in disk("grow", "자료", "3", check=False)
