"""The walk of a machine: installed from a CD, restarted by itself, booted from its disk, from CD again if wished."""

from __future__ import annotations

from pathlib import Path

from madang.machines.hosts import Change, Host
from tests.support.libvirt import DISK, PrivateLibvirt, Serial, make, until


async def test_from_the_installer_to_the_disk(host: Host, libvirtd: PrivateLibvirt, tiny: Path) -> None:
    heard: list[Change] = []
    host.on_change = heard.append
    wish = libvirtd.wish(media=(str(tiny), None), title='A "tiny" <machine> & 기계')
    await host.create_disk(wish.disk_path, DISK)
    made = await host.define(wish)
    assert (made.boot_order, made.on_reboot, made.title) == ("cdrom_hd", "restart", wish.title)
    assert [drive.path for drive in made.drives] == [wish.disk_path, str(tiny), None]

    # It installs; its own restart ends that run.
    await host.start_machine(wish.uuid, on_reboot="destroy")
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.boot_device)
    assert (seen.state, seen.boot_device, seen.own) == ("running", "cdrom", True)
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.state == "shut_off")
    assert seen.inactive == made, "an installation changes nothing of the definition"
    assert (seen.reason, seen.ended_by) == ("shutdown", "restart")

    # The next start takes the disk, this once.
    await host.start_machine(wish.uuid, first="hd_cdrom")
    serial = Serial(libvirtd, wish.uuid)
    assert serial.wait_for("TINY from disk, start ").startswith("1")
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.agent)
    assert (seen.boot_device, seen.definition.boot_order, seen.inactive.boot_order) == ("hd", "hd_cdrom", "cdrom_hd")
    system = await host.guest_system(wish.uuid)
    assert system is not None and (system.name, system.root_on_disk) == ("Tiny 1 (test)", True)
    serial.run("echo mine >/kept; sync")
    serial.close()

    # For good, while it runs: the run stays as it is, the next start takes it.
    await host.set_boot_order(wish.uuid, "hd")
    seen = await host.look(wish.uuid)
    assert (seen.definition.boot_order, seen.inactive.boot_order) == ("hd_cdrom", "hd")
    await host.force_off(wish.uuid)
    await host.start_machine(wish.uuid)
    serial = Serial(libvirtd, wish.uuid)
    assert serial.wait_for("TINY from disk, start ").startswith("2")
    serial.wait_for("TINY ready")
    assert serial.run("cat /kept") == "mine"
    serial.close()
    await until(lambda: host.look(wish.uuid), lambda seen: seen.agent)
    await host.shut_down(wish.uuid)
    await until(lambda: host.look(wish.uuid), lambda seen: seen.state == "shut_off")
    assert {"defined", "started", "stopped", "agent"} <= {change.what for change in heard}


async def test_back_to_the_cd_and_to_the_disk_again(
    host: Host, libvirtd: PrivateLibvirt, tiny: Path, installed: Path
) -> None:
    wish = await make(host, libvirtd, installed, boot_order="hd")
    # The CD again, because that is what its owner wants.
    await host.insert(wish.uuid, "sdb", str(tiny))
    await host.set_boot_order(wish.uuid, "cdrom")
    await host.start_machine(wish.uuid)
    serial = Serial(libvirtd, wish.uuid)
    serial.wait_for("TINY is installed already, from CD")
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.agent)
    assert seen.boot_device == "cdrom", "from the second drive: the first one is empty"
    system = await host.guest_system(wish.uuid)
    assert system is not None and not system.root_on_disk, "a live system is not an installed one"
    serial.close()

    # And back.
    await host.set_boot_order(wish.uuid, "hd_cdrom")
    await host.force_off(wish.uuid)
    await host.start_machine(wish.uuid)
    serial = Serial(libvirtd, wish.uuid)
    assert serial.wait_for("TINY from disk, start ").startswith("1")
    serial.close()
