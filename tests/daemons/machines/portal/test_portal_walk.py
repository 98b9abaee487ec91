"""The walk of a machine through the API: nobody lands in the installer twice."""

from __future__ import annotations

from pathlib import Path

from tests.daemons.machines.portal.house import MachineClient, media
from tests.support.libvirt import PrivateLibvirt, Serial


def test_from_the_installer_to_the_disk_and_back(kim: MachineClient, libvirtd: PrivateLibvirt, tiny: Path) -> None:
    made = kim.make('"Web" <1> & 기계', iso_path=str(tiny), notes="for\nthe class")
    machine = made["id"]
    assert (made["state"], made["boot_order"], made["installation_status"]) == ("shut_off", "cdrom_hd", "NotInstalled")
    assert media(made) == [tiny.name, None] and made["disk_size"] == 300_000_256 and made["suggestions"] == []

    # It installs; its own restart ends that run, and it starts again from its disk.
    assert kim.act(machine, "start")["state"] in ("running", "starting")
    seen = kim.wait(machine, lambda one: one["current_boot_device"])
    assert (seen["current_boot_device"], seen["installation_status"]) == ("cdrom", "Installing")
    seen = kim.wait(machine, lambda one: one["current_boot_device"] == "hd")
    assert (seen["boot_order"], seen["current_boot_order"], seen["pending"]) == ("cdrom_hd", "hd_cdrom", [])
    assert seen["installation_status"] == "Installing", "that is offered, not done"
    assert kim.codes(machine)[:2] == ["mark_installed", "disk_first"]
    kinds = [one["kind"] for one in kim.get(f"/api/vms/{machine}/operations").json()]
    assert kinds == ["start", "start", "create"]
    serial = Serial(libvirtd, machine)
    serial.wait_for("TINY ready")
    serial.run("echo mine >/kept; sync")
    serial.close()

    # Told, and made permanent: each by itself.
    told = kim.change(machine, "complete-installation")
    assert (told["installation_status"], told["boot_order"], media(told)) == (
        "Installed",
        "cdrom_hd",
        [tiny.name, None],
    )
    changed = kim.change(machine, "boot-order", boot_order="hd")
    assert changed["boot_order"] == "hd" and changed["current_boot_order"] == "hd_cdrom"
    assert changed["pending"] == [{"what": "boot_order", "from": "cdrom_hd", "to": "hd"}]
    assert kim.codes(machine) == ["eject"]
    assert media(kim.change(machine, "media/detach")) == [None, None] and kim.codes(machine) == []

    # A power cycle: the file is still there.
    kim.act(machine, "force_off")
    seen = kim.until_state(machine, "shut_off")
    assert seen["pending"] == [] and seen["current_boot_device"] is None
    kim.act(machine, "start")
    serial = Serial(libvirtd, machine)
    serial.wait_for("TINY ready")
    assert serial.run("cat /kept") == "mine"
    serial.close()
    seen = kim.wait(machine, lambda one: one["agent"])
    assert (seen["current_boot_device"], seen["current_boot_order"]) == ("hd", "hd")
    kim.act(machine, "shut_down")
    kim.until_state(machine, "shut_off")

    # The CD again, because that is what its owner wants.
    kim.change(machine, "media/attach", iso_path=str(tiny), target="sdb")
    kim.change(machine, "boot-order", boot_order="cdrom")
    kim.act(machine, "start")
    seen = kim.wait(machine, lambda one: one["current_boot_device"])
    assert (seen["current_boot_device"], seen["installation_status"]) == ("cdrom", "Installed")

    # And back, at once.
    kim.post(f"/api/vms/{machine}/boot-order", json={"boot_order": "hd", "apply": "now"})
    seen = kim.wait(machine, lambda one: one["current_boot_device"] == "hd")
    assert (seen["boot_order"], seen["current_boot_order"], seen["pending"]) == ("hd", "hd", [])

    # Once more from the CD, for one start.
    kim.act(machine, "force_off")
    assert kim.change(machine, "boot-order/once")["next_boot"] == {"boot_order": "cdrom", "why": "asked"}
    kim.act(machine, "start")
    seen = kim.wait(machine, lambda one: one["current_boot_device"])
    assert (seen["current_boot_device"], seen["boot_order"], seen["next_boot"]) == ("cdrom", "hd", None)
    assert seen["pending"] == []
    kim.act(machine, "force_off")
    gone = kim.delete(f"/api/vms/{machine}", params={"name": made["name"]})
    assert gone.status_code == 204, gone.text
    assert kim.get("/api/vms").json() == [] and not list(libvirtd.pool.iterdir())
    assert machine not in libvirtd.virsh("list", "--all", "--uuid")


def test_a_guest_that_turns_itself_off_while_it_is_installed_stays_off(
    kim: MachineClient, libvirtd: PrivateLibvirt, waiting: Path
) -> None:
    machine = kim.make(iso_path=str(waiting))["id"]
    kim.act(machine, "start")
    serial = Serial(libvirtd, machine)
    serial.wait_for("TINY ready")
    kim.wait(machine, lambda one: one["installation_status"] == "Installing")
    serial.send("poweroff -f")
    off = kim.until_state(machine, "shut_off")
    serial.close()
    assert off["next_boot"] == {"boot_order": "hd_cdrom", "why": "installed"} and off["boot_order"] == "cdrom_hd"
    kinds = [one["kind"] for one in kim.get(f"/api/vms/{machine}/operations").json()]
    assert kinds == ["start", "create"], "nobody asked for a start"
