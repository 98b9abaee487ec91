"""Clones, backups and what comes back from them, of machines that run and of those that do not."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, MadangError, NotFound, SiteError
from madang.machines.hosts import Host
from tests.support.libvirt import DISK, MB, PrivateLibvirt, make, nothing, until


class Told:
    """What a long work told of its progress."""

    def __init__(self) -> None:
        self.shares: list[float | None] = []
        self.begun = asyncio.Event()

    def __call__(self, share: float | None, stage: str) -> None:
        assert stage.isalpha() and (share is None or 0 <= share <= 1)
        self.shares.append(share)
        self.begun.set()


def same(first: str, second: str) -> bool:
    command = ["qemu-img", "compare", "-U", "-f", "qcow2", "-F", "qcow2", first, second]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def write(path: str, size: int) -> None:
    """Data that cannot be packed, into a disk that nobody uses."""
    source = Path(path).with_suffix(".random")
    source.write_bytes(os.urandom(size))
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -s {source} 0 {size}", path], check=True, capture_output=True
    )
    source.unlink()


async def test_clones(host: Host, libvirtd: PrivateLibvirt, installed: Path) -> None:
    linked, full = str(libvirtd.pool / "linked.qcow2"), str(libvirtd.pool / "full.qcow2")
    told = Told()
    made = await host.clone_disk(str(installed), linked, True, told)
    assert made.backing == str(installed) and made.real_bytes < MB
    made = await host.clone_disk(str(installed), full, False, told)
    assert made.backing is None and made.real_bytes > 10 * MB and told.shares[-1] == 1.0
    assert same(linked, full)
    for path in (linked, full):
        with pytest.raises(Conflict) as refused:
            await host.clone_disk(str(installed), path, path == linked, nothing)
        assert refused.value.code == "disk_exists"
    with pytest.raises(NotFound) as missing:
        await host.clone_disk("/nowhere/a.qcow2", f"{full}2", False, nothing)
    assert missing.value.code == "disk_missing"
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    for kind in (True, False):
        with pytest.raises(Conflict) as refused:
            await host.clone_disk(wish.disk_path, f"{full}2", kind, nothing)
        assert refused.value.code == "disk_in_use"


@pytest.mark.parametrize("running", [False, True])
async def test_a_linked_clone_becomes_whole(
    host: Host, libvirtd: PrivateLibvirt, installed: Path, running: bool
) -> None:
    wish = await make(host, libvirtd, installed, boot_order="cdrom")
    if running:
        await host.start_machine(wish.uuid)
    told = Told()
    await host.flatten(wish.uuid, "vda", told)
    assert told.shares[-1] == 1.0
    assert (await host.disk(wish.disk_path)).backing is None
    await host.flatten(wish.uuid, "vda", told)
    if running:
        await host.force_off(wish.uuid)
    assert same(wish.disk_path, str(installed))


@pytest.mark.parametrize("running", [False, True])
async def test_a_backup_and_what_comes_back(
    host: Host, libvirtd: PrivateLibvirt, installed: Path, running: bool
) -> None:
    wish = await make(host, libvirtd, installed, boot_order="cdrom")
    data = str(libvirtd.pool / "data.qcow2")
    await host.create_disk(data, DISK)
    write(data, 5 * MB)
    await host.attach_disk(wish.uuid, data)
    if running:
        await host.start_machine(wish.uuid)
    folder, told = libvirtd.pool / "backups" / "one", Told()
    found = await host.backup(wish.uuid, folder, told)
    assert [file.target for file in found] == ["vda", "vdb"] and told.shares[-1] == 1.0
    assert found[1].real_bytes > 5 * MB
    assert same(found[0].path, str(installed)) and same(found[1].path, data)
    for file in found:
        assert (await host.verify(file.path, told)).virtual_bytes == file.virtual_bytes
    with pytest.raises(Conflict) as refused:
        await host.backup(wish.uuid, folder, nothing)
    assert refused.value.code == "disk_exists" and same(found[1].path, data)
    if running:
        with pytest.raises(Conflict) as refused:
            await host.restore_disk(found[1].path, data, nothing)
        assert refused.value.code == "disk_in_use"
        await host.force_off(wish.uuid)
    write(data, 6 * MB)
    assert not same(found[1].path, data)
    await host.restore_disk(found[1].path, data, told)
    assert same(found[1].path, data)
    await host.start_machine(wish.uuid)


async def test_what_comes_back_has_the_format_of_the_disk(host: Host, libvirtd: PrivateLibvirt) -> None:
    source, raw = str(libvirtd.pool / "backup.qcow2"), str(libvirtd.pool / "disk.img")
    await host.create_disk(source, DISK)
    write(source, 5 * MB)
    found = await host.restore_disk(source, raw, nothing, "raw")
    assert (found.format, found.virtual_bytes) == ("raw", (await host.disk(source)).virtual_bytes)
    command = ["qemu-img", "compare", "-f", "qcow2", "-F", "raw", source, raw]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


async def test_a_backup_that_is_cancelled_leaves_nothing(host: Host, libvirtd: PrivateLibvirt) -> None:
    for running in (False, True):
        wish = await make(host, libvirtd, boot_order="cdrom")
        write(wish.disk_path, 100 * MB)
        if running:
            await host.start_machine(wish.uuid)
        folder, told = libvirtd.pool / f"backup-{running}", Told()
        work = asyncio.create_task(host.backup(wish.uuid, folder, told))
        await told.begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert list(folder.iterdir()) == []
        assert (await host.look(wish.uuid)).state == ("running" if running else "shut_off")
        # Nothing is left that would be in the way of the next one.
        assert len(await host.backup(wish.uuid, folder, nothing)) == 1


async def test_a_copy_that_is_cancelled_leaves_nothing(host: Host, libvirtd: PrivateLibvirt) -> None:
    source, old = str(libvirtd.pool / "source.qcow2"), libvirtd.pool / "copies" / "old.qcow2"
    await host.create_disk(source, DISK)
    write(source, 100 * MB)
    await host.create_disk(str(old), DISK)
    before = old.read_bytes()
    for copy in (
        lambda told: host.clone_disk(source, str(old.with_name("new.qcow2")), False, told),
        lambda told: host.restore_disk(source, str(old), told),
    ):
        told = Told()
        work = asyncio.create_task(copy(told))
        await told.begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert list(old.parent.iterdir()) == [old] and old.read_bytes() == before


async def test_libvirtd_is_killed_during_a_backup(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd, boot_order="cdrom")
    write(wish.disk_path, 100 * MB)
    await host.start_machine(wish.uuid)
    work = asyncio.create_task(host.backup(wish.uuid, libvirtd.pool / "backup", nothing))
    while not (libvirtd.pool / "backup" / "vda.qcow2").exists():
        await asyncio.sleep(0.01)
    libvirtd.kill()
    await asyncio.to_thread(libvirtd.start)
    try:
        found = await asyncio.wait_for(work, 60)
    except MadangError:
        assert list((libvirtd.pool / "backup").iterdir()) == []
    else:
        assert same(found[0].path, wish.disk_path), "what is said to be a backup is one"
    assert (await until(lambda: host.look(wish.uuid), lambda seen: seen.state, 20)).state == "running"


async def test_a_damaged_backup(host: Host, libvirtd: PrivateLibvirt, installed: Path) -> None:
    path = str(libvirtd.pool / "backup.qcow2")
    await host.clone_disk(str(installed), path, False, nothing)
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)
    with pytest.raises(SiteError) as refused:
        await host.verify(path, nothing)
    assert refused.value.code == "backup_damaged"
    with pytest.raises(NotFound):
        await host.verify("/nowhere/backup.qcow2", nothing)


async def test_a_raw_disk_that_looks_like_another_format(host: Host, libvirtd: PrivateLibvirt, tmp_path: Path) -> None:
    """A guest may write anything into its raw disk, for example what names a file of the host as its base."""
    secret, disk = tmp_path / "secret", libvirtd.pool / "raw.img"
    secret.write_bytes(b"secret" * 1000)
    wish = await make(host, libvirtd)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, disk], check=True)
    xml = await host.definition_xml(wish.uuid)
    raw = xml.replace(wish.disk_path, str(disk)).replace("type='qcow2'", "type='raw'")
    await host.redefine(wish.uuid, raw)
    copy = str(libvirtd.pool / "copy.qcow2")
    await host.clone_disk(str(disk), copy, False, nothing)
    assert (await host.disk(str(disk))).format == "raw"
    assert b"secretsecret" not in Path(copy).read_bytes()
