"""Disks: made whole or not at all, grown and never shrunk, added and taken away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, InvalidInput, MadangError, NotFound
from madang.machines.hosts import Host, Limits, qcow2
from madang.machines.hosts.images import Images
from tests.support.libvirt import DISK, MB, PrivateLibvirt, make, nothing


def left_over(libvirtd: PrivateLibvirt) -> list[Path]:
    return list(libvirtd.pool.rglob("*.part"))


async def test_a_disk_is_made_once(host: Host, libvirtd: PrivateLibvirt) -> None:
    path = str(libvirtd.pool / "odd 'n\" <&> 100%,:= 기계" / "disk.qcow2")
    made = await host.create_disk(path, DISK)
    assert (made.path, made.format, made.backing) == (path, "qcow2", None)
    assert DISK <= made.virtual_bytes < DISK + 512 and made.real_bytes < MB
    assert await host.disk(path) == made
    with pytest.raises(Conflict) as refused:
        await host.create_disk(path, 2 * DISK)
    assert refused.value.code == "disk_exists" and await host.disk(path) == made
    for _again in range(2):
        await host.remove_disk(path)
    with pytest.raises(NotFound) as missing:
        await host.disk(path)
    assert missing.value.code == "disk_missing"


@pytest.mark.parametrize(
    "options",
    [("-o", "compat=1.1"), ("-o", "compat=0.10"), ("-F", "qcow2", "-b", "base.qcow2"), ("-F", "raw", "-b", "{}/base")],
)
async def test_a_header_says_what_qemu_img_says(tmp_path: Path, options: tuple[str, ...]) -> None:
    for form, name in (("qcow2", "base.qcow2"), ("raw", "base")):
        subprocess.run(["qemu-img", "create", "-q", "-f", form, name, "7M"], cwd=tmp_path, check=True)
    words = [word.format(tmp_path) for word in options]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, "made", "1000000001"], cwd=tmp_path, check=True)
    told = await Images(Limits()).info(str(tmp_path / "made"))  # of a format that is not known, qemu-img is asked
    assert qcow2.read(str(tmp_path / "made")) == told


def test_what_is_no_qcow2_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(4096))
    (tmp_path / "short").write_bytes(b"QFI\xfb\0\0\0\3")
    (tmp_path / "later").write_bytes(b"QFI\xfb\0\0\0\4" + bytes(4096))
    os.mkfifo(tmp_path / "pipe")
    for name in ("raw", "short", "later", "pipe", "nothing", "."):
        assert qcow2.read(str(tmp_path / name)) is None, name


@pytest.mark.parametrize("size", [0, -1, -(10**30), 2**60 + 1, 10**30])
async def test_sizes_that_no_disk_has(host: Host, libvirtd: PrivateLibvirt, size: int) -> None:
    path = libvirtd.pool / "disk.qcow2"
    with pytest.raises(InvalidInput) as refused:
        await host.create_disk(str(path), size)
    assert refused.value.code == "bad_size" and not path.exists() and not left_over(libvirtd)


async def test_a_pool_has_room(host: Host, libvirtd: PrivateLibvirt) -> None:
    pool = await host.pool()
    assert pool.path == str(libvirtd.pool) and 0 < pool.free_bytes < pool.total_bytes


@pytest.mark.parametrize("running", [False, True])
async def test_a_disk_grows_and_never_shrinks(host: Host, libvirtd: PrivateLibvirt, running: bool) -> None:
    wish = await make(host, libvirtd)
    if running:
        await host.start_machine(wish.uuid)
    assert (await host.resize(wish.uuid, wish.disk_path, 2 * DISK)).virtual_bytes >= 2 * DISK
    grown = await host.resize(wish.uuid, wish.disk_path, 2 * DISK)
    for size, code in ((DISK, "shrink_refused"), (1, "shrink_refused"), (0, "bad_size"), (-5, "bad_size")):
        with pytest.raises(InvalidInput) as refused:
            await host.resize(wish.uuid, wish.disk_path, size)
        assert refused.value.code == code
    assert await host.disk(wish.disk_path) == grown
    with pytest.raises(NotFound) as missing:
        await host.resize(wish.uuid, "/nowhere/disk.qcow2", 3 * DISK)
    assert missing.value.code == "disk_missing"
    if running:
        seen = await host.look(wish.uuid)
        assert seen.definition.disks[0].size_bytes == grown.virtual_bytes


async def test_a_disk_is_added_taken_away_and_moved(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish, other = await make(host, libvirtd), await make(host, libvirtd)
    path = str(libvirtd.pool / "data.qcow2")
    await host.create_disk(path, DISK)
    assert await host.attach_disk(wish.uuid, path) == "vdb"
    for uuid in (wish.uuid, other.uuid):
        with pytest.raises(Conflict) as refused:
            await host.attach_disk(uuid, path)
        assert refused.value.code == "disk_in_use"
    seen = await host.look(wish.uuid)
    assert [drive.target for drive in seen.inactive.disks] == ["vda", "vdb"]
    assert seen.inactive.boot_order == "cdrom_hd"
    await host.detach_disk(wish.uuid, "vdb")
    assert await host.attach_disk(other.uuid, path) == "vdb"
    for target in ("vdb", "sda", "vdz", ""):
        with pytest.raises(InvalidInput) as wrong:
            await host.detach_disk(wish.uuid, target)
        assert wrong.value.code == "no_such_drive"
    with pytest.raises(NotFound) as missing:
        await host.attach_disk(wish.uuid, "/nowhere/data.qcow2")
    assert missing.value.code == "disk_missing"
    assert os.path.exists(path)


async def test_a_guest_that_does_not_let_a_disk_go(libvirtd: PrivateLibvirt) -> None:
    """No system runs in it that could."""
    host = libvirtd.host(tray=0.5)
    await host.start()
    wish = await make(host, libvirtd)
    path = str(libvirtd.pool / "data.qcow2")
    await host.create_disk(path, DISK)
    await host.start_machine(wish.uuid)
    assert await host.attach_disk(wish.uuid, path) == "vdb"
    with pytest.raises(Conflict) as refused:
        await host.detach_disk(wish.uuid, "vdb")
    assert refused.value.code == "disk_held"
    seen = await host.look(wish.uuid)
    assert [drive.target for drive in seen.definition.disks] == [drive.target for drive in seen.inactive.disks]
    await host.force_off(wish.uuid)
    await host.detach_disk(wish.uuid, "vdb")
    await host.stop()


@pytest.fixture
def small_pool(libvirtd: PrivateLibvirt) -> Iterator[Path]:
    """A file system of its own with 8 MB."""
    if libvirtd.account is None:
        pytest.skip("only root can mount a file system")
    folder = libvirtd.folder / "small"
    folder.mkdir()
    owner = f"uid={libvirtd.account},gid={libvirtd.account}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=8m,{owner}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_pool_that_is_full(host: Host, libvirtd: PrivateLibvirt, installed: Path, small_pool: Path) -> None:
    with pytest.raises(MadangError) as refused:
        await host.clone_disk(str(installed), str(small_pool / "copy.qcow2"), False, nothing)
    assert refused.value.code == "no_space"
    assert list(small_pool.iterdir()) == []
    (small_pool / "ballast").write_bytes(b"x" * (free_bytes(small_pool) - 4096))
    with pytest.raises(MadangError) as refused:
        await host.create_disk(str(small_pool / "disk.qcow2"), DISK)
    assert refused.value.code == "no_space"
    assert [path.name for path in small_pool.iterdir()] == ["ballast"]


def free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
