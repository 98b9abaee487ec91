"""What only a guest that runs can show: its agent, disks that it sees grow, come and go, its screen and serial port."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from madang.kernel.errors import Conflict
from madang.machines.hosts import Host
from tests.support.libvirt import DISK, MB, PrivateLibvirt, Serial, make, nothing, until


async def booted(host: Host, libvirtd: PrivateLibvirt, uuid: str) -> Serial:
    await host.start_machine(uuid)
    serial = Serial(libvirtd, uuid)
    serial.wait_for("TINY ready")
    await until(lambda: host.look(uuid), lambda seen: seen.agent)
    return serial


async def test_disks_of_a_guest_that_runs(host: Host, libvirtd: PrivateLibvirt, installed: Path) -> None:
    wish = await make(host, libvirtd, installed, boot_order="hd")
    serial = await booted(host, libvirtd, wish.uuid)
    # Grown: seen at once, and taken by the guest when it is told to.
    room = int(serial.run("df -k / | awk 'NR == 2 { print $2 }'"))
    grown = await host.resize(wish.uuid, wish.disk_path, 2 * DISK)
    assert int(serial.run("cat /sys/block/vda/size")) * 512 == grown.virtual_bytes
    said = await host.grow_filesystem(wish.uuid)
    assert f"had {room} KB" in said
    assert int(serial.run("df -k / | awk 'NR == 2 { print $2 }'")) > room + DISK // 1024 * 0.8
    # A second time there is nothing left to take, which is no failure.
    await host.grow_filesystem(wish.uuid)

    # Added and taken away.
    path = str(libvirtd.pool / "data.qcow2")
    await host.create_disk(path, 10 * MB)
    await host.attach_disk(wish.uuid, path)
    assert (
        serial.run("for i in 1 2 3 4 5 6 7 8 9; do [ -e /dev/vdb ] && break; sleep 0.5; done; ls /dev/vdb")
        == "/dev/vdb"
    )
    await host.detach_disk(wish.uuid, "vdb")
    assert [drive.target for drive in (await host.look(wish.uuid)).definition.disks] == ["vda"]

    # A backup of it as it is, and a snapshot that brings all of it back.
    serial.run("echo before >/state")
    (backup,) = await host.backup(wish.uuid, libvirtd.pool / "backup", nothing)
    assert (await host.verify(backup.path, nothing)).virtual_bytes == grown.virtual_bytes
    assert serial.run("echo thawed >/thawed; cat /thawed") == "thawed", "the guest writes again"
    taken = await host.snapshot_take(wish.uuid, "one", "Vor dem 업데이트 <&>")
    assert (taken.state, taken.description, taken.current) == ("running", "Vor dem 업데이트 <&>", True)
    serial.run("echo after >/state")
    await host.set_boot_order(wish.uuid, "cdrom_hd")
    await host.snapshot_revert(wish.uuid, "one")
    serial.close()
    serial = Serial(libvirtd, wish.uuid)
    assert serial.run("cat /state") == "before"
    seen = await host.look(wish.uuid)
    assert (seen.state, seen.inactive.boot_order) == ("running", "hd"), "its definition came back as well"
    assert [snapshot.name for snapshot in await host.snapshots(wish.uuid)] == ["one"]
    for _again in range(2):
        await host.snapshot_remove(wish.uuid, "one")
    assert await host.snapshots(wish.uuid) == []
    serial.close()


async def test_its_screen_and_serial_port(host: Host, libvirtd: PrivateLibvirt, installed: Path) -> None:
    wish = await make(host, libvirtd, installed, boot_order="hd")
    (await booted(host, libvirtd, wish.uuid)).close()
    before = picture(await host.screenshot(wish.uuid))
    await host.send_keys(wish.uuid, ["KEY_A"])
    await asyncio.sleep(1)
    assert ImageChops.difference(before, picture(await host.screenshot(wish.uuid))).getbbox()

    for _again in range(2):
        with await host.console_socket(wish.uuid) as screen:
            screen.settimeout(5)
            assert screen.recv(12) == b"RFB 003.008\n"
            screen.sendall(b"RFB 003.008\n")
            assert screen.recv(2) == b"\x01\x01", "no password: who gets this far has been asked"

    with await host.serial_socket(wish.uuid) as serial:
        serial.sendall(b"echo 'from the' socket\n")
        assert "from the socket" in await asyncio.to_thread(heard, serial, "socket")
    await asyncio.sleep(0.2)
    with await host.serial_socket(wish.uuid) as serial:
        serial.sendall(b"echo again\n")
        assert "again" in await asyncio.to_thread(heard, serial, "again")


def picture(data: bytes) -> Image.Image:
    assert data.startswith(b"\x89PNG")
    return Image.open(io.BytesIO(data)).convert("RGB")


def heard(serial: socket.socket, words: str) -> str:
    serial.settimeout(20)
    said = ""
    while words not in said:
        part = serial.recv(4096)
        assert part, said
        said += part.decode()
    return said


def frozen(libvirtd: PrivateLibvirt, uuid: str) -> bool:
    order = '{"execute":"guest-fsfreeze-status"}'
    return "frozen" in libvirtd.virsh("qemu-agent-command", uuid, order)


async def test_a_guest_that_somebody_left_frozen_goes_on(host: Host, libvirtd: PrivateLibvirt, installed: Path) -> None:
    """As a portal that is killed between freezing and thawing leaves it."""
    wish = await make(host, libvirtd, installed, boot_order="hd")
    serial = await booted(host, libvirtd, wish.uuid)
    await until(lambda: host.look(wish.uuid), lambda seen: seen.agent)
    await host.thaw(wish.uuid)  # nothing is frozen: nothing happens
    libvirtd.virsh("domfsfreeze", wish.uuid)
    assert frozen(libvirtd, wish.uuid)
    await host.thaw(wish.uuid)
    assert not frozen(libvirtd, wish.uuid)
    serial.close()

    # A libvirt that is lost just then is no reason to leave it so.
    libvirtd.virsh("domfsfreeze", wish.uuid)
    libvirtd.kill()
    await host.thaw(wish.uuid)
    await asyncio.to_thread(libvirtd.start)
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        with contextlib.suppress(AssertionError):  # nobody can ask it until its agent is connected again
            if not await asyncio.to_thread(frozen, libvirtd, wish.uuid):
                break
        assert asyncio.get_running_loop().time() < deadline, "it stays frozen"
        await asyncio.sleep(0.2)
    with contextlib.closing(Serial(libvirtd, wish.uuid)) as again:
        assert await asyncio.to_thread(again.run, "echo on >/kept; sync; cat /kept") == "on"


async def test_no_agent_answers(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    assert await host.guest_system(wish.uuid) is None
    await host.start_machine(wish.uuid)
    assert await host.guest_system(wish.uuid) is None
    with pytest.raises(Conflict) as refused:
        await host.grow_filesystem(wish.uuid)
    assert refused.value.code == "agent_missing"
