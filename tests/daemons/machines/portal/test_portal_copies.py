"""Snapshots, templates and clones, backups, machines that are taken over."""

from __future__ import annotations

from pathlib import Path

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal, media
from tests.daemons.machines.portal.killing import cut_off_backup
from tests.support.libvirt import PrivateLibvirt, Serial
from tests.support.waiting import eventually


def installed(kim: MachineClient, tiny: Path) -> str:
    """A machine whose system is on its disk and runs."""
    machine = str(kim.make(iso_path=str(tiny))["id"])
    kim.act(machine, "start")
    kim.wait(machine, lambda one: one["current_boot_device"] == "hd")
    kim.wait(machine, lambda one: one["agent"])
    kim.post(f"/api/vms/{machine}/complete-installation", json={"eject": True, "boot_order": "hd", "snapshot": "New"})
    done = kim.wait(machine, lambda one: not one["operation"])
    assert (done["installation_status"], done["boot_order"], media(done)) == ("Installed", "hd", [None, None])
    (taken,) = kim.get(f"/api/vms/{machine}/snapshots").json()
    assert taken["title"] == "New"
    kim.delete(f"/api/vms/{machine}/snapshots/{taken['name']}")
    kim.wait(machine, lambda one: not one["operation"])
    return machine


def run(libvirtd: PrivateLibvirt, machine: str, command: str) -> str:
    serial = Serial(libvirtd, machine)
    try:
        return serial.run(command)
    finally:
        serial.close()


def settled(kim: MachineClient, machine: str) -> Json:
    return kim.wait(machine, lambda one: not one["operation"])


def test_all_that_is_made_of_a_machine(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt, tiny: Path
) -> None:
    machine = installed(kim, tiny)

    # A snapshot of what runs; a revert brings back what was, ours too.
    run(libvirtd, machine, "echo before >/kept; sync")
    kim.post(f"/api/vms/{machine}/snapshots", json={"title": "Before the change"})
    settled(kim, machine)
    (snapshot,) = kim.get(f"/api/vms/{machine}/snapshots").json()
    assert (snapshot["title"], snapshot["state"], snapshot["current"]) == ("Before the change", "running", True)
    run(libvirtd, machine, "echo after >/kept; sync")
    kim.change(machine, "boot-order", boot_order="cdrom_hd")
    kim.change(machine, "media/attach", iso_path=str(tiny))
    kim.change(machine, "installation-status", installation_status="NotInstalled")
    kim.post(f"/api/vms/{machine}/snapshots/{snapshot['name']}/revert")
    then = settled(kim, machine)
    assert (then["state"], then["boot_order"], media(then)) == ("running", "hd", [None, None])
    assert then["installation_status"] == "Installed" and "changed_outside" not in kim.codes(machine)
    assert run(libvirtd, machine, "cat /kept") == "before"
    assert kim.delete(f"/api/vms/{machine}/snapshots/{snapshot['name']}").status_code in (200, 202)
    settled(kim, machine)
    assert kim.get(f"/api/vms/{machine}/snapshots").json() == []

    # A backup while it runs, read to its end, put over it, and into a new machine.
    kim.post(f"/api/vms/{machine}/backups")
    settled(kim, machine)
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    assert backup["size"] > 1_000_000 and not backup["safety"]
    kim.post(f"/api/vms/{machine}/backups/{backup['id']}/verify")
    settled(kim, machine)
    assert kim.get(f"/api/vms/{machine}/backups").json()[0]["verified_at"]
    kim.refused(machine, f"backups/{backup['id']}/restore", 409, "machine_running")
    run(libvirtd, machine, "echo lost >/kept; sync")
    kim.act(machine, "force_off")
    kim.post(f"/api/vms/{machine}/backups/{backup['id']}/restore")
    settled(kim, machine)
    assert [one["safety"] for one in kim.get(f"/api/vms/{machine}/backups").json()] == [True, False]
    kim.act(machine, "start")
    kim.wait(machine, lambda one: one["agent"])
    assert run(libvirtd, machine, "cat /kept") == "before"
    made = kim.post(f"/api/vms/backups/{backup['id']}/new", json={"name": "of the backup"}).json()
    settled(kim, made["id"])
    assert kim.machine(made["id"])["cloned_from"] == "web"

    # A template, a copy of it, and one that is linked to it.
    kim.refused(machine, "template", 409, "machine_running", template=True)
    kim.act(machine, "force_off")
    kim.refused(machine, "clone", 409, "not_a_template", name="copy")
    assert kim.change(machine, "template", template=True)["template"]
    kim.refused(machine, "action", 409, "is_template", action="start")
    whole = kim.post(f"/api/vms/{machine}/clone", json={"name": "whole"}).json()["id"]
    linked = kim.post(f"/api/vms/{machine}/clone", json={"name": "linked", "linked": True}).json()["id"]
    for clone in (whole, linked):
        settled(kim, clone)
        assert "same_identity" in kim.codes(clone)
    assert kim.machine(linked)["linked"] and not kim.machine(whole)["linked"]
    kim.refused(machine, "template", 409, "has_clones", template=False)
    assert kim.delete(f"/api/vms/{machine}", params={"name": "web"}).json()["code"] == "has_clones"
    kim.act(linked, "start")
    kim.wait(linked, lambda one: one["agent"])
    assert run(libvirtd, linked, "cat /kept") == "before"
    kim.post(f"/api/vms/{linked}/disk/flatten")
    assert not settled(kim, linked)["linked"]
    assert not kim.change(machine, "template", template=False)["template"]
    assert kim.delete(f"/api/vms/{machine}", params={"name": "web"}).status_code == 204
    assert [one["id"] for one in kim.get("/api/vms/backups").json()][-1] == backup["id"], "it outlives its machine"
    for one in kim.get("/api/vms/backups").json():
        assert kim.delete(f"/api/vms/backups/{one['id']}").status_code == 204


def test_a_backup_that_is_cut_off_is_made_by_whoever_comes_next(
    portal: MachinePortal, kim: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    machine = kim.make()["id"]
    cut_off_backup(portal, kim, libvirtd, machine)
    portal.start()
    eventually(lambda: len(kim.get(f"/api/vms/{machine}/backups").json()) == 1, 40, "there is no backup")
    states = [one["state"] for one in kim.get(f"/api/vms/{machine}/operations").json()]
    assert states == ["done", "done"]


def test_others_backups_are_not_there(kim: MachineClient, lee: MachineClient) -> None:
    machine = kim.make()["id"]
    kim.change(machine, "backups")
    (backup,) = kim.get(f"/api/vms/{machine}/backups").json()
    assert lee.get("/api/vms/backups").json() == []
    assert lee.delete(f"/api/vms/backups/{backup['id']}").status_code == 404
    assert lee.post(f"/api/vms/backups/{backup['id']}/new", json={"name": "mine"}).status_code == 404
    mine = lee.make()["id"]
    lee.refused(mine, f"backups/{backup['id']}/restore", 404, "backup_not_found")


def test_a_machine_of_libvirt_is_taken_over_as_it_is(
    kim: MachineClient, park: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    made = kim.make("theirs", boot_order="hd_cdrom")
    machine = made["id"]
    assert kim.delete(f"/api/vms/{machine}", params={"name": "theirs", "disks": "keep"}).status_code == 204
    xml = libvirtd.folder / "theirs.xml"
    other = machine[:-4] + "beef"
    definition = f"""<domain type='qemu'><name>legacy</name><uuid>{other}</uuid><memory>131072</memory><vcpu>1</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{made["disk_path"]}'/>
      <target dev='vda' bus='virtio'/></disk></devices></domain>"""
    xml.write_text(definition)
    xml.chmod(0o644)
    libvirtd.virsh("define", str(xml))
    before = libvirtd.virsh("dumpxml", other)
    assert kim.get("/api/vms/strangers").status_code == 403
    (stranger,) = [one for one in park.get("/api/vms/strangers").json() if one["id"] == other]
    assert (stranger["name"], stranger["host"]) == ("legacy", "here")
    owner = kim.get("/api/identity/me").json()["person"]["name"]
    taken = park.post(f"/api/vms/strangers/{other}/adopt", json={"host": "here", "person": owner})
    assert taken.status_code == 201, taken.text
    mine = kim.machine(other)
    assert (mine["name"], mine["boot_order"], mine["installation_status"]) == ("legacy", "hd", "NotInstalled")
    assert mine["adopted"] and mine["disk_path"] == made["disk_path"] and mine["disk_size"] == made["disk_size"]
    assert libvirtd.virsh("dumpxml", other) == before, "nothing in it is changed"
    assert park.post(f"/api/vms/strangers/{other}/adopt", json={"host": "here"}).status_code == 409
    assert kim.delete(f"/api/vms/{other}", params={"name": "legacy"}).status_code == 204
    assert Path(made["disk_path"]).exists(), "a disk that was not made for it is never removed"


def test_a_further_disk_moves_from_machine_to_machine(
    kim: MachineClient, lee: MachineClient, libvirtd: PrivateLibvirt
) -> None:
    one, other = kim.make("one")["id"], kim.make("other")["id"]
    kim.change(one, "disks", name="data", size_gb=1)
    (disk,) = kim.get(f"/api/vms/{one}/disks").json()
    assert (disk["name"], disk["machine_id"]) == ("data", one) and Path(disk["path"]).exists()
    assert disk["path"] in libvirtd.virsh("dumpxml", one) and kim.machine(one)["suggestions"][0]["code"] == "insert_iso"
    kim.refused(other, "disks/attach", 409, "disk_in_use", disk=disk["id"])
    assert kim.delete(f"/api/vms/disks/{disk['id']}", params={"name": "data"}).json()["code"] == "disk_in_use"
    kim.change(one, "disks/detach", disk=disk["id"])
    assert disk["path"] not in libvirtd.virsh("dumpxml", one)
    kim.change(other, "disks/attach", disk=disk["id"])
    assert disk["path"] in libvirtd.virsh("dumpxml", other)
    mine = lee.make()["id"]
    lee.refused(mine, "disks/attach", 404, "disk_not_found", disk=disk["id"])
    assert kim.delete(f"/api/vms/{other}", params={"name": "other"}).status_code == 204
    (left,) = kim.get("/api/vms/disks").json()
    assert left["machine_id"] is None and Path(left["path"]).exists()
    assert lee.delete(f"/api/vms/disks/{disk['id']}", params={"name": "data"}).status_code == 404
    assert kim.delete(f"/api/vms/disks/{disk['id']}", params={"name": "no"}).json()["code"] == "name_differs"
    assert kim.delete(f"/api/vms/disks/{disk['id']}", params={"name": "data"}).status_code == 204
    assert not Path(disk["path"]).exists() and kim.get("/api/vms/disks").json() == []
