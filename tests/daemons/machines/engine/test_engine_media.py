"""ISOs go in and out in any state of a machine; what cannot be read is refused before anything changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, InvalidInput
from madang.machines.hosts import Host
from tests.support.libvirt import PrivateLibvirt, Serial, make, on_scsi

ODD = 'a "b" <c> & d\'s, 100% file:x=y;ä 기계 \\ .iso'


def put(libvirtd: PrivateLibvirt, name: str, source: Path | None = None) -> str:
    path = libvirtd.isos / name
    path.write_bytes(source.read_bytes() if source else b"an ISO" * 1000)
    return str(path)


async def media(host: Host, uuid: str) -> tuple[list[str | None], list[str | None]]:
    """What is in the drives now, and what the next start puts there."""
    seen = await host.look(uuid)
    return [drive.path for drive in seen.definition.cdroms], [drive.path for drive in seen.inactive.cdroms]


@pytest.mark.parametrize("state", ["stopped", "running", "paused"])
async def test_in_every_state(host: Host, libvirtd: PrivateLibvirt, state: str) -> None:
    one, odd = put(libvirtd, "one.iso"), put(libvirtd, ODD)
    wish = await make(host, libvirtd)
    if state != "stopped":
        await host.start_machine(wish.uuid)
    if state == "paused":
        await host.pause(wish.uuid)
    await host.insert(wish.uuid, "sda", one)
    assert await media(host, wish.uuid) == ([one, None], [one, None])
    await host.insert(wish.uuid, "sda", odd)
    await host.insert(wish.uuid, "sdb", one)
    assert await media(host, wish.uuid) == ([odd, one], [odd, one])
    await host.eject(wish.uuid, "sda")
    await host.eject(wish.uuid, "sda")
    assert await media(host, wish.uuid) == ([None, one], [None, one])
    (libvirtd.isos / "empty.iso").touch()
    for wrong in ("/nowhere/at.iso", str(libvirtd.isos), str(libvirtd.isos / "empty.iso")):
        with pytest.raises(InvalidInput) as refused:
            await host.insert(wish.uuid, "sdb", wrong)
        assert refused.value.code == "iso_missing"
    for target in ("vda", "sdc"):
        with pytest.raises(InvalidInput) as refused:
            await host.insert(wish.uuid, target, one)
        assert refused.value.code == "no_such_drive"
    assert await media(host, wish.uuid) == ([None, one], [None, one])
    assert (await host.look(wish.uuid)).state == {"stopped": "shut_off"}.get(state, state)


async def test_an_odd_name_starts(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd, media=(put(libvirtd, ODD), None))
    await host.start_machine(wish.uuid)
    assert (await host.look(wish.uuid)).state == "running"


async def test_a_change_of_media_keeps_the_order_of_the_next_start(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid, first="hd", on_reboot="destroy")
    await host.insert(wish.uuid, "sda", put(libvirtd, "one.iso"))
    seen = await host.look(wish.uuid)
    assert (seen.definition.boot_order, seen.definition.on_reboot) == ("hd", "destroy")
    assert (seen.inactive.boot_order, seen.inactive.on_reboot) == ("cdrom_hd", "restart")


async def test_an_iso_that_was_deleted_behind_our_back(host: Host, libvirtd: PrivateLibvirt) -> None:
    gone = put(libvirtd, "gone.iso")
    wish = await make(host, libvirtd, media=(gone, None))
    await host.start_machine(wish.uuid)
    Path(gone).unlink()
    await host.force_off(wish.uuid)
    with pytest.raises(InvalidInput) as refused:
        await host.start_machine(wish.uuid)
    assert refused.value.code == "iso_missing" and gone in refused.value.detail
    assert (await host.look(wish.uuid)).state == "shut_off"
    await host.eject(wish.uuid, "sda")
    await host.start_machine(wish.uuid)

    gone = put(libvirtd, "gone.iso")
    await host.insert(wish.uuid, "sda", gone)
    Path(gone).unlink()
    await host.eject(wish.uuid, "sda")
    assert await media(host, wish.uuid) == ([None, None], [None, None])


async def test_a_tray_that_the_guest_holds(host: Host, libvirtd: PrivateLibvirt, installed: Path, tiny: Path) -> None:
    other = put(libvirtd, "other.iso", tiny)
    wish = await make(host, libvirtd, installed, media=(str(tiny), None), boot_order="hd_cdrom")
    await host.redefine(wish.uuid, on_scsi(await host.definition_xml(wish.uuid)))
    await host.start_machine(wish.uuid)
    serial = Serial(libvirtd, wish.uuid)
    serial.wait_for("TINY ready")
    assert serial.run("mount -o ro /dev/sr0 /cd && ls -1 /cd") == "boot\nisolinux"
    for attempt in (lambda: host.insert(wish.uuid, "sda", other), lambda: host.eject(wish.uuid, "sda")):
        with pytest.raises(Conflict) as refused:
            await attempt()
        assert refused.value.code == "tray_locked"
    assert await media(host, wish.uuid) == ([str(tiny), None], [str(tiny), None])
    await host.insert(wish.uuid, "sda", other, force=True)
    assert await media(host, wish.uuid) == ([other, None], [other, None])
    serial.run("umount /cd")
    await host.eject(wish.uuid, "sda")
    serial.close()
