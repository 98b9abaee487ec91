"""One host of libvirt: everything that can be done with it and its machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import cast

import msgspec

from madang.kernel import clock
from madang.kernel.errors import MadangError, Unavailable
from madang.kernel.log import logger
from madang.machines.hosts import (
    address,
    agent,
    backups,
    capacity,
    console,
    disks,
    domain_xml,
    domains,
    failures,
    files,
    flatten,
    hardware,
    media,
    new_domain,
    power,
    probe,
    seeing,
    serial,
    shared,
    snapshots,
    tunnel,
)
from madang.machines.hosts.connection import Connection
from madang.machines.hosts.images import Images
from madang.machines.hosts.shapes import (
    BackupFile,
    BootOrder,
    Capacity,
    Change,
    Definition,
    DiskInfo,
    DomainType,
    Ended,
    GuestSystem,
    Hardware,
    Limits,
    OnReboot,
    Pool,
    Progress,
    Seen,
    Snapshot,
    Wish,
)

log = logger("machines")


class Host:
    """A libvirt host. Every method that asks it raises Unavailable (code host_unreachable) while it does not answer,
    and NotFound when there is no such machine.

    Machines are named by uuid. What is done to one and the same machine is done one after the other by the caller: of
    two changes at once the later one would start from what was before the first.
    """

    def __init__(
        self, name: str, uri: str, pool_folder: Path, limits: Limits | None = None, account: str | None = None
    ) -> None:
        """`uri` as libvirt takes it: qemu:///system, qemu:///session, qemu+ssh://node/system ... `account`: the Unix
        account that a per-user libvirt runs as, where it is not ours (see daemon.py)."""
        self.name = name
        self.uri = uri
        self._address = address.parse(uri)
        self.pool_folder = pool_folder
        self.limits = limits or Limits()
        self.on_change: Callable[[Change], None] = lambda change: None
        self.on_connection: Callable[[bool], None] = lambda connected: None
        self._account = account
        self._images = Images(self.limits, account)
        self._connection = Connection(name, uri, self.limits, self._changed, self._told_of_connection)
        self._frozen: set[str] = set()  # machines whose guest we may have left frozen
        self._thawing: set[asyncio.Task[None]] = set()
        self._began: dict[str, float] = {}  # runs that others began, as far as we heard
        self._ended: dict[str, Ended] = {}  # how guests ended the last run, as far as we heard

    def _changed(self, change: Change) -> None:
        if shared.is_probe(change.uuid):
            return
        if change.what == "started":
            self._began[change.uuid] = clock.now()
            self._ended.pop(change.uuid, None)
        elif change.what == "ended":
            self._ended[change.uuid] = cast(Ended, change.detail)
        elif change.what in ("stopped", "removed"):
            self._began.pop(change.uuid, None)
        self.on_change(change)

    # The connection.

    async def start(self) -> None:
        """Begins to connect, and again whenever the host was lost; returns once the first attempt is over."""
        await self._connection.start()

    async def stop(self) -> None:
        """Closes the connection. Machines go on."""
        await self._connection.stop()

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def down_since(self) -> float | None:
        """Since when it does not answer; None while it does."""
        return self._connection.down_since

    @property
    def problem(self) -> str:
        """Why it does not answer, in a sentence; "" while it does."""
        return self._connection.problem

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: its files are ours to read, and it can hand over sockets."""
        return self._address.local

    @property
    def shown_uri(self) -> str:
        """Its URI for who operates the site: no keys, no options."""
        return self._address.shown

    @property
    def _is_system(self) -> bool:
        return self._address.system

    async def require_storage(self, *paths: str) -> None:
        """That files of ours are files of that host. Raises SiteError (storage_not_shared), without any path where its
        pool is another one."""
        if self.is_local:
            return
        pool = self.pool_folder
        folders = {pool if Path(path).is_relative_to(pool) else Path(path).parent for path in paths}
        for folder in sorted(folders or {pool}):
            await self._connection.call(shared.require, folder)

    async def best_domain_type(self, folder: Path) -> DomainType:
        """Of "kvm" and "qemu" the one that works: kvm only if a guest really runs with it. Takes seconds."""
        return "kvm" if await self._connection.call(probe.kvm_works, folder) else "qemu"

    # Seeing.

    async def snapshot(self, uuids: Sequence[str] | None = None) -> dict[str, Seen]:
        """All machines there are, ours or not, by uuid, in one pass; `uuids`: those of them that there are."""
        found = await self._connection.call(seeing.snapshot, self.is_local, dict(self._began), uuids)
        return {uuid: self._with_end(seen) for uuid, seen in found.items()}

    async def look(self, uuid: str) -> Seen:
        """One machine."""
        return self._with_end(await self._connection.call(seeing.look, uuid, self.is_local, dict(self._began)))

    def _with_end(self, seen: Seen) -> Seen:
        ended = self._ended.get(seen.uuid) if seen.state == "shut_off" else None
        return msgspec.structs.replace(seen, ended_by=ended) if ended else seen

    async def definition_xml(self, uuid: str) -> str:
        """What the next start takes, as libvirt has it, secrets included; for `redefine`."""
        return await self._connection.call(domains.definition_xml, uuid)

    # Definitions.

    async def define(self, wish: Wish) -> Definition:
        """Makes a machine that does not run. Raises Conflict (machine_exists), NotFound (disk_missing), InvalidInput
        (iso_missing, wrong_path, wrong_network, wrong_definition)."""
        await asyncio.to_thread(self._prepare, wish)
        for medium in wish.media:
            if medium is not None and not self.is_local:
                await self._connection.call(shared.require_iso, medium)
        return await self._connection.call(domains.define, wish, self._is_system, self.is_local)

    def _prepare(self, wish: Wish) -> None:
        new_domain.xml_of(wish)  # nothing is made for what cannot be
        for medium in wish.media:
            if medium is not None:
                files.check_iso(medium)
        if not Path(wish.disk_path).exists():
            raise failures.disk_missing(wish.disk_path)
        files.make_folder(Path(wish.folder), self._account)

    async def redefine(self, uuid: str, xml: str) -> Definition:
        """Replaces what the next start takes. On any error the old definition stays. Raises InvalidInput
        (wrong_definition), also when the XML is another machine's."""
        return await self._connection.call(domains.redefine, uuid, xml)

    async def set_boot_order(self, uuid: str, order: BootOrder) -> Definition:
        """For the next start; a run goes on as it began. On any error the old definition stays."""
        return await self._connection.call(domains.change, uuid, lambda xml: domain_xml.with_order(xml, order))

    async def set_hardware(self, uuid: str, wanted: Hardware) -> Definition:
        """For the next start; a run goes on as it began. On any error the old definition stays. Raises Conflict
        (fixed_hardware), InvalidInput (wrong_definition, wrong_network)."""
        return await self._connection.call(domains.change, uuid, lambda xml: hardware.with_hardware(xml, wanted))

    async def set_title(self, uuid: str, title: str) -> Definition:
        """What its person calls it, for who looks with libvirt's tools."""
        return await self._connection.call(domains.change, uuid, lambda xml: domain_xml.with_title(xml, title))

    async def undefine(self, uuid: str, remove: Sequence[str] = ()) -> None:
        """Forgets a machine that does not run, its snapshots and UEFI variables; then removes these files. Silent
        about what is gone already. Raises Conflict (machine_running)."""
        if remove:
            await self.require_storage(*remove)
        await self._connection.call(domains.undefine, uuid)
        for path in remove:
            await self.remove_disk(path)

    # Power.

    async def start_machine(self, uuid: str, first: BootOrder | None = None, on_reboot: OnReboot = "restart") -> None:
        """Returns once QEMU runs. `first`: the order of this run alone; `on_reboot` "destroy": the guest's own restart
        ends this run. Neither changes the definition. A run that was put aside (virsh managedsave) goes on instead.
        Raises Conflict (machine_running, disk_in_use), NotFound (disk_missing), InvalidInput (iso_missing)."""
        await self._connection.call(power.start, uuid, first, on_reboot, clock.now(), self.is_local)

    async def shut_down(self, uuid: str) -> None:
        """Asks the guest to end, which it may ignore. Raises Conflict (machine_not_running)."""
        await self._connection.call(power.shut_down, uuid)

    async def reset(self, uuid: str) -> None:
        """The reset button: same run, same boot order. Raises Conflict (machine_not_running)."""
        await self._connection.call(power.reset, uuid)

    async def force_off(self, uuid: str) -> None:
        """Ends the run at once. Raises Conflict (machine_not_running)."""
        await self._connection.call(power.force_off, uuid)

    async def pause(self, uuid: str) -> None:
        """Raises Conflict (machine_not_running)."""
        await self._connection.call(power.pause, uuid)

    async def resume(self, uuid: str) -> None:
        """Raises Conflict (machine_not_running, machine_running: it is not paused)."""
        await self._connection.call(power.resume, uuid)

    async def send_keys(self, uuid: str, keys: Sequence[str]) -> None:
        """Presses these together and lets them go; Linux' names: "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE". Raises
        InvalidInput (unknown_key), Conflict (machine_not_running)."""
        await self._connection.call(power.send_keys, uuid, tuple(keys))

    # Media.

    async def insert(self, uuid: str, target: str, path: str, force: bool = False) -> None:
        """Puts an ISO into a drive, in place of what is in it, now and for the next start. Raises InvalidInput
        (iso_missing, no_such_drive) before anything changes, Conflict (tray_locked) when the guest holds the tray: then
        `force` opens it."""
        await self._connection.call(media.change, uuid, target, path, force, self.is_local, self._is_system)

    async def eject(self, uuid: str, target: str, force: bool = False) -> None:
        """Empties a drive, now and for the next start. Raises as `insert`."""
        await self._connection.call(media.change, uuid, target, None, force, self.is_local, self._is_system)

    # Disks.

    async def capacity(self) -> Capacity:
        """What it has to run machines with, and what of it is left."""
        return await self._connection.call(capacity.look)

    async def pool(self) -> Pool:
        """How much room there is for disks."""
        usage = await asyncio.to_thread(shutil.disk_usage, self.pool_folder)
        return Pool(str(self.pool_folder), usage.total, usage.free)

    async def create_disk(self, path: str, size_bytes: int) -> DiskInfo:
        """An empty qcow2. Raises Conflict (disk_exists), InvalidInput (bad_size), SiteError where the host cannot."""
        await self.require_storage(path)
        await asyncio.to_thread(files.make_folder, Path(path).parent, self._account)
        return await self._images.create(path, size_bytes)

    async def remove_disk(self, path: str) -> None:
        """Silent when it is gone already."""
        await asyncio.to_thread(files.remove, path)

    async def disk(self, path: str, uuid: str | None = None) -> DiskInfo:
        """Also of a machine that runs. `uuid`: whose it is, where that is known. Raises NotFound (disk_missing)."""
        return await self._info(path, await self._connection.call(domains.format_of, path, uuid))

    async def _info(self, path: str, form: str) -> DiskInfo:
        if not self.is_local and not Path(path).is_relative_to(self.pool_folder):
            return await self._connection.call(disks.info, path)  # of a machine taken over, on storage of its host's
        return await self._images.info(path, form)

    async def resize(self, uuid: str, path: str, size_bytes: int) -> DiskInfo:
        """Grows a disk of the machine, also while it runs (the guest sees it at once). Raises InvalidInput
        (shrink_refused, bad_size), NotFound (disk_missing)."""
        drive, runs = await self._connection.call(disks.find, uuid, path)
        form = drive.format or "raw"
        if not runs:
            await self.require_storage(path)
            return await self._images.grow(path, form, size_bytes)
        before = await self._info(path, form)
        await self._connection.call(disks.grow_live, uuid, drive.target, before, size_bytes)
        return await self._info(path, form)

    async def grow_free(self, path: str, size_bytes: int) -> DiskInfo:
        """Grows a qcow2 that is in no machine. Raises as `resize`, Conflict (disk_in_use)."""
        if await self._connection.call(domains.using, path):
            raise failures.disk_in_use(path)
        return await self._images.grow(path, "qcow2", size_bytes)

    async def attach_disk(self, uuid: str, path: str, form: str = "qcow2") -> str:
        """One more disk, now (when it runs) and for the next start; libvirt's name for it. `form` is its format, as
        Drive has it. Raises NotFound (disk_missing), Conflict (disk_in_use, no_free_slot)."""
        await self.require_storage(path)
        await self._images.info(path, form)
        return await self._connection.call(disks.attach, uuid, path, form)

    async def detach_disk(self, uuid: str, target: str) -> None:
        """Takes a disk away, its file stays. Raises InvalidInput (no_such_drive), Conflict (disk_held: the guest does
        not let it go)."""
        await self._connection.call(disks.detach, uuid, target, self.limits.tray)

    # Snapshots.

    async def snapshots(self, uuid: str) -> list[Snapshot]:
        """Oldest first."""
        return await self._connection.call(snapshots.listed, uuid)

    async def snapshot_take(self, uuid: str, name: str, description: str = "") -> Snapshot:
        """With memory when it runs. Raises Conflict (snapshot_exists, snapshot_unsupported: UEFI while it runs)."""
        return await self._connection.call(snapshots.take, uuid, name, description)

    async def snapshot_revert(self, uuid: str, name: str) -> None:
        """Disks, memory, boot order and media are as they were then. Raises NotFound (no_such_snapshot)."""
        await self._connection.call(snapshots.revert, uuid, name)

    async def snapshot_remove(self, uuid: str, name: str) -> None:
        """Silent when it is gone already."""
        await self._connection.call(snapshots.remove, uuid, name)

    async def forget_snapshots(self, uuid: str) -> None:
        """Those of disks that are not there any more."""
        await self._connection.call(snapshots.forget, uuid)

    # Copies.

    async def clone_disk(
        self, source: str, path: str, linked: bool, progress: Progress, uuid: str | None = None
    ) -> DiskInfo:
        """A copy of a disk that no running machine writes to; `linked` ones hold only what differs, and need the
        source as it is for ever. `uuid`: whose the source is, where that is known. Raises Conflict (disk_exists,
        disk_in_use), NotFound (disk_missing)."""
        await self.require_storage(source, path)
        form = await self._connection.call(domains.free_format, source, uuid)
        await asyncio.to_thread(files.make_folder, Path(path).parent, self._account)
        if linked:
            return await self._images.clone(source, form, path)
        return await self._images.copy(source, form, path, progress)

    async def refuse_if_running(self, path: str) -> None:
        """Raises Conflict (disk_in_use)."""
        await self._connection.call(domains.refuse_in_use, path)

    async def flatten(self, uuid: str, target: str, progress: Progress) -> None:
        """Makes a linked clone's disk whole, while it runs or not."""
        drive, runs = await self._connection.call(flatten.find, uuid, target)
        assert drive.path is not None
        if runs:
            await flatten.live(self._connection, uuid, target, progress)
        else:
            await self.require_storage(drive.path)
            await self._images.flatten(drive.path, progress)

    async def backup(
        self, uuid: str, folder: Path, progress: Progress, without: Collection[str] = ()
    ) -> tuple[BackupFile, ...]:
        """Every disk of the machine, but those files, as one moment has it, as qcow2 in a folder, also while it runs
        (the guest is asked to write all it has, where its agent answers). A cancelled or failed one leaves no file."""
        await asyncio.to_thread(files.make_folder, folder, self._account)
        try:
            await self.require_storage(str(folder / "any"))
            if not self.is_local:
                drives = (await self.look(uuid)).definition.disks
                await self.require_storage(*(drive.path for drive in drives if drive.path))
        except MadangError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise
        try:
            return await backups.backup(
                self._connection, self._images, uuid, folder, progress, self.limits.agent, without
            )
        except Unavailable:
            # It may have been lost between the two words to the guest.
            self._frozen.add(uuid)
            raise

    async def thaw(self, uuid: str) -> None:
        """Lets a guest write again that somebody who is gone may have frozen; where the host does not answer now, as
        soon as it does."""
        self._frozen.add(uuid)
        try:
            await asyncio.shield(self._connection.call(agent.thaw_machine, uuid, self.limits.agent))
        except Unavailable:
            return
        except MadangError as error:
            log.info("nothing to thaw", machine=uuid, code=error.code)
        self._frozen.discard(uuid)

    def _told_of_connection(self, there: bool) -> None:
        if there:
            for uuid in tuple(self._frozen):
                task = asyncio.create_task(self.thaw(uuid), name=f"thaw {uuid}")
                self._thawing.add(task)
                task.add_done_callback(self._thawing.discard)
        self.on_connection(there)

    async def verify(self, path: str, progress: Progress) -> DiskInfo:
        """Reads a backup's file to its end. Raises SiteError (backup_damaged)."""
        return await self._images.verify(path, progress)

    async def restore_disk(self, source: str, path: str, progress: Progress, form: str = "qcow2") -> DiskInfo:
        """A disk of this format from a backup's file; what was at `path` is replaced at the very end, at once. The
        machine must not run. Raises Conflict (disk_in_use), NotFound (disk_missing)."""
        await self.require_storage(path)
        await self.refuse_if_running(path)
        await asyncio.to_thread(files.make_folder, Path(path).parent, self._account)
        return await self._images.copy(source, "qcow2", path, progress, "restoring", replace=True, to=form)

    async def put_disks(self, moves: Sequence[tuple[str, str]]) -> None:
        """Each new file in the place of the disk after it, in this order; those that are gone are in their places
        already. It asks nobody, and takes a moment. Raises SiteError."""
        await asyncio.to_thread(files.put, moves)

    async def has_file(self, path: str) -> bool:
        return await asyncio.to_thread(os.path.lexists, path)

    # The guest.

    async def guest_system(self, uuid: str) -> GuestSystem | None:
        """None when its agent does not answer."""
        return await self._connection.call(agent.system, uuid, self.limits.agent)

    async def grow_filesystem(self, uuid: str) -> str:
        """Lets the guest take the room that its disk has got: its partition, then its file system; what it said. Raises
        Conflict (agent_missing, cannot_grow)."""
        return await self._connection.call(agent.grow, uuid, self.limits.agent)

    # Consoles.

    async def console_socket(self, uuid: str) -> socket.socket:
        """A connected socket that speaks RFB without a password. Raises Conflict (machine_not_running, no_console)."""
        if self.is_local:
            return await self._connection.call(console.screen, uuid)
        if self._address.ssh is None:
            raise failures.no_console("its host is another machine, and not reached by ssh")
        place = await self._connection.call(console.place, uuid)
        return await tunnel.open_tunnel(self.name, self._address.ssh, place, self.limits.connect, self.limits.silent)

    async def screenshot(self, uuid: str) -> bytes:
        """What its screen shows, as PNG. Raises Conflict (machine_not_running)."""
        return await self._connection.call(console.screenshot, uuid)

    async def serial_socket(self, uuid: str) -> socket.socket:
        """A connected socket with the bytes of its first serial port; closing it leaves the port to the next. Raises
        Conflict (machine_not_running, no_console)."""
        return await self._connection.call(serial.open_port, self.uri, uuid, self.limits.silent)
