"""A host on the network: what works on this machine works over ssh, as long as its storage is shared."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, InvalidInput, MadangError, NotFound, SiteError, Unavailable
from madang.machines.hosts import Host
from tests.support import remote_host
from tests.support.accounts import AS_ROOT
from tests.support.libvirt import DISK, GUEST_SECONDS, MB, PrivateLibvirt, make, nothing, until
from tests.support.remote_host import RemoteHost
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def far_away(libvirt_session: PrivateLibvirt) -> Iterator[RemoteHost]:
    if lacking := remote_host.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with remote_host.remote_host(libvirt_session) as remote:
        yield remote


@pytest.fixture
async def far(far_away: RemoteHost, libvirtd: PrivateLibvirt) -> AsyncIterator[Host]:
    host = far_away.host()
    await host.start()
    assert host.connected, host.problem
    yield host
    await host.stop()


async def heard(host: Host, uuid: str, words: bytes) -> bytes:
    """What the serial port says until these words."""
    port = await host.serial_socket(uuid)
    port.settimeout(GUEST_SECONDS)
    said = b""
    with contextlib.closing(port):
        while words not in said:
            part = await asyncio.to_thread(port.recv, 4096)
            assert part, said
            said += part
    return said


@pytest.mark.timeout(300)
async def test_the_life_of_a_machine(far: Host, libvirtd: PrivateLibvirt, tiny: Path) -> None:
    wish = await make(far, libvirtd)
    await far.insert(wish.uuid, "sda", str(tiny))
    await far.start_machine(wish.uuid, on_reboot="destroy")
    # The firmware's log lies on storage that both have.
    await until(lambda: far.look(wish.uuid), lambda seen: seen.boot_device == "cdrom")
    await until(lambda: far.look(wish.uuid), lambda seen: seen.state == "shut_off")

    await far.eject(wish.uuid, "sda")
    await far.set_boot_order(wish.uuid, "hd")
    await far.start_machine(wish.uuid)
    await heard(far, wish.uuid, b"TINY ready")
    seen = await until(lambda: far.look(wish.uuid), lambda seen: seen.agent)
    assert (seen.boot_device, seen.definition.boot_order, seen.state) == ("hd", "hd", "running")
    system = await far.guest_system(wish.uuid)
    assert system is not None and system.root_on_disk
    assert (await far.screenshot(wish.uuid))[:8] == b"\x89PNG\r\n\x1a\n"
    await far.send_keys(wish.uuid, ["KEY_A"])

    grown = await far.resize(wish.uuid, wish.disk_path, DISK + 100 * MB)
    assert grown.virtual_bytes == DISK + 100 * MB
    await far.snapshot_take(wish.uuid, "first")
    (file,) = await far.backup(wish.uuid, libvirtd.pool / "backups" / "running", nothing)
    assert (await far.verify(file.path, nothing)).virtual_bytes == DISK + 100 * MB
    await far.snapshot_revert(wish.uuid, "first")
    await far.pause(wish.uuid)
    await far.resume(wish.uuid)
    await far.reset(wish.uuid)
    await heard(far, wish.uuid, b"TINY from disk")
    await far.force_off(wish.uuid)

    await far.snapshot_remove(wish.uuid, "first")
    assert await far.backup(wish.uuid, libvirtd.pool / "backups" / "off", nothing)
    await far.restore_disk(file.path, wish.disk_path, nothing)
    linked = await make(far, libvirtd, Path(wish.disk_path), boot_order="hd")
    assert (await far.disk(linked.disk_path)).backing == wish.disk_path
    await far.start_machine(linked.uuid)
    await heard(far, linked.uuid, b"TINY from disk")
    await far.force_off(linked.uuid)
    for one in (linked, wish):
        await far.undefine(one.uuid, [one.disk_path])
        assert not Path(one.disk_path).exists()


async def test_the_screen_is_one_viewers_alone_and_gone_with_it(
    far: Host, far_away: RemoteHost, libvirtd: PrivateLibvirt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    wish = await make(far, libvirtd)
    with pytest.raises(Conflict) as refused:
        await far.console_socket(wish.uuid)
    assert refused.value.code == "machine_not_running"
    await far.start_machine(wish.uuid)
    first, second = await asyncio.gather(far.console_socket(wish.uuid), far.console_socket(wish.uuid))
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(first, 12) == b"RFB 003.008\n" == await loop.sock_recv(second, 12)
    assert far_away.viewers() == 2
    assert not list(tmp_path.iterdir()), "nobody else finds a socket to connect to"
    first.close()
    await asyncio.to_thread(eventually, lambda: far_away.viewers() == 1, 20, "ssh stays when nobody looks any more")
    await far.force_off(wish.uuid)
    assert await asyncio.wait_for(loop.sock_recv(second, 1), 20) == b"", "the run's end is its screen's"
    second.close()
    await asyncio.to_thread(eventually, lambda: far_away.viewers() == 0, 20, "ssh stays when the machine is off")


async def test_many_at_once(far: Host, far_away: RemoteHost, libvirtd: PrivateLibvirt) -> None:
    """A page asks for the pictures of all machines at the same time; sshd drops some of those that come together."""
    wish = await make(far, libvirtd)
    await far.start_machine(wish.uuid)
    pictures = await asyncio.gather(*(far.screenshot(wish.uuid) for _page in range(40)))
    assert all(picture[:4] == b"\x89PNG" for picture in pictures) and far.connected


async def test_a_screen_that_cannot_be_reached(
    far: Host, host: Host, far_away: RemoteHost, libvirtd: PrivateLibvirt
) -> None:
    # As machines are defined that are on this machine: libvirt hands their screen over, and nobody else can connect.
    here = await make(host, libvirtd)
    await host.start_machine(here.uuid)
    with pytest.raises(Conflict) as refused:
        await far.console_socket(here.uuid)
    assert refused.value.code == "no_console"
    assert far_away.viewers() == 0
    # ssh's account on that host may not use QEMU's socket.
    there = await make(far, libvirtd)
    await far.start_machine(there.uuid)
    (place,) = libvirtd.folder.glob("state/config/libvirt/qemu/lib/domain-*/vnc.sock")
    place.unlink()
    with pytest.raises(Conflict) as refused:
        await far.console_socket(there.uuid)
    assert refused.value.code == "no_console" and str(place.name) in refused.value.detail
    await asyncio.to_thread(eventually, lambda: far_away.viewers() == 0, 20, "ssh stays")


async def test_a_network_that_is_gone_and_comes_back(far_away: RemoteHost, libvirtd: PrivateLibvirt) -> None:
    host = far_away.host(connect=3.0, silent=1.0)
    told: list[bool] = []
    host.on_connection = told.append
    await host.start()
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    screen = await host.console_socket(wish.uuid)
    for lose, find in ((far_away.silence, far_away.let_through), (far_away.cut, far_away.start)):
        await asyncio.to_thread(lose)
        await _until(lambda: not host.connected)
        assert host.problem and host.down_since
        # Of new attempts some hang as well, and do not keep a later one from getting through.
        if lose == far_away.silence:
            await _until(lambda: "no connection" in host.problem)
        with pytest.raises(Unavailable) as lost:
            await host.look(wish.uuid)
        assert lost.value.code == "host_unreachable"
        await asyncio.to_thread(find)
        await _until(lambda: host.connected)
        assert (await host.look(wish.uuid)).state == "running" and host.down_since is None
    assert told == [True, False, True, False, True]
    loop = asyncio.get_running_loop()
    while await asyncio.wait_for(loop.sock_recv(screen, 4096), 20):
        pass  # its viewer hears that it is over
    screen.close()
    await host.stop()


async def _until(good: object, seconds: float = 40.0) -> None:
    assert callable(good)
    async with asyncio.timeout(seconds):
        while not good():
            await asyncio.sleep(0.05)


async def test_an_iso_that_the_host_does_not_see(
    far: Host, libvirtd: PrivateLibvirt, tiny: Path, tmp_path: Path
) -> None:
    wish = await make(far, libvirtd)
    # In a folder that is not libvirt's to look into, as one that is not mounted there.
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    iso = hidden / "other.iso"
    shutil.copy(tiny, iso)
    if AS_ROOT:
        with pytest.raises((InvalidInput, SiteError)) as refused:
            await far.insert(wish.uuid, "sda", str(iso))
        assert refused.value.code in ("iso_missing", "storage_not_shared")
    with pytest.raises(InvalidInput):
        await far.insert(wish.uuid, "sda", str(tmp_path / "none.iso"))
    assert [drive.path for drive in (await far.look(wish.uuid)).inactive.cdroms] == [None, None]
    os.rename(wish.disk_path, f"{wish.disk_path}.away")
    with pytest.raises(NotFound) as missing:
        await far.start_machine(wish.uuid)
    assert missing.value.code == "disk_missing"


@pytest.mark.skipif(not AS_ROOT, reason="only root can mount a file system")
async def test_a_folder_that_only_has_the_same_name(libvirtd: PrivateLibvirt, far_away: RemoteHost) -> None:
    """libvirtd in a mount namespace of its own, where other storage is at the pool's place."""
    libvirtd.kill()
    with _elsewhere(libvirtd):
        host = far_away.host()
        await host.start()
        assert host.connected, host.problem
        wish = libvirtd.wish()
        with pytest.raises(SiteError) as refused:
            await host.create_disk(wish.disk_path, DISK)
        assert refused.value.code == "storage_not_shared" and refused.value.hint
        with pytest.raises(SiteError):
            await host.require_storage()
        assert not list(libvirtd.pool.iterdir()), "nothing is left"
        await host.stop()


@contextlib.contextmanager
def _elsewhere(libvirtd: PrivateLibvirt) -> Iterator[None]:
    held = subprocess.Popen(["unshare", "--mount", "sleep", "300"])
    enter = ["nsenter", f"--target={held.pid}", "--mount", "--"]
    try:
        eventually(
            lambda: Path(f"/proc/{held.pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink(), 10, "ns"
        )
        subprocess.run([*enter, "mount", "-t", "tmpfs", "none", str(libvirtd.pool)], check=True)
        become = ["setpriv", f"--reuid={libvirtd.account}", f"--regid={libvirtd.account}", "--init-groups", "--"]
        daemon = ["libvirtd", "-d", "-p", str(libvirtd.folder / "r/libvirtd.pid")]
        subprocess.run(
            [*enter, *become, *daemon], env=libvirtd.daemon.environment, check=True, stdin=subprocess.DEVNULL
        )
        yield
    finally:
        libvirtd.kill()
        held.kill()
        held.wait()


async def test_a_machine_that_was_there_before(far: Host, libvirtd: PrivateLibvirt, tmp_path: Path) -> None:
    """On storage of its host's alone: it can be used, and what needs its files is refused."""
    folder = libvirtd.pool.parent / "own"
    folder.mkdir(mode=0o755)
    try:
        wish = await make(far, libvirtd)
        disk = folder / "web.qcow2"
        shutil.move(wish.disk_path, disk)
        xml = (await far.definition_xml(wish.uuid)).replace(wish.disk_path, str(disk))
        await far.redefine(wish.uuid, xml)
        assert (await far.disk(str(disk))).virtual_bytes - DISK in range(512)
        folder.chmod(stat.S_IRWXU | stat.S_IROTH | stat.S_IXOTH)
        await far.start_machine(wish.uuid)
        assert (await far.disk(str(disk))).virtual_bytes - DISK in range(512)
        assert (await far.resize(wish.uuid, str(disk), 2 * DISK)).virtual_bytes - 2 * DISK in range(512)
        await far.force_off(wish.uuid)
        folder.rename(libvirtd.pool.parent / "away")
        with pytest.raises(MadangError) as refused:
            await far.resize(wish.uuid, str(disk), 3 * DISK)
        assert refused.value.code == "storage_not_shared"
        with pytest.raises(MadangError) as refused:
            await far.backup(wish.uuid, libvirtd.pool / "backup", nothing)
        assert refused.value.code == "storage_not_shared" and not (libvirtd.pool / "backup").exists()
    finally:
        shutil.rmtree(libvirtd.pool.parent / "away", ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
