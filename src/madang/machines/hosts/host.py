"""One host of libvirt: everything that can be done with it and its machines."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from madang.machines.hosts.shapes import (
    BackupFile,
    BootOrder,
    Change,
    Definition,
    DiskInfo,
    DomainType,
    GuestSystem,
    Limits,
    OnReboot,
    Pool,
    Progress,
    Seen,
    Snapshot,
    Wish,
)


class Host:
    """A libvirt host. Every method that asks it raises Unavailable (code host_unreachable) while it does not answer, and
    NotFound when there is no such machine.

    Machines are named by uuid. What is done to one and the same machine is done one after the other by the caller: of two
    changes at once the later one would start from what was before the first.
    """

    def __init__(self, name: str, uri: str, pool_folder: Path, limits: Limits | None = None) -> None:
        """`uri` as libvirt takes it: qemu:///system, qemu:///session, qemu+ssh://node/system ..."""
        self.name = name
        self.uri = uri
        self.pool_folder = pool_folder
        self.limits = limits or Limits()
        self.on_change: Callable[[Change], None] = lambda change: None
        self.on_connection: Callable[[bool], None] = lambda connected: None

    # The connection.

    async def start(self) -> None:
        """Begins to connect, and to connect again whenever the host was lost; returns once the first attempt is over."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Closes the connection. Machines go on."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        raise NotImplementedError

    @property
    def down_since(self) -> float | None:
        """Since when it does not answer; None while it does."""
        raise NotImplementedError

    @property
    def problem(self) -> str:
        """Why it does not answer, in a sentence; "" while it does."""
        raise NotImplementedError

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: its files are ours to read, and it can hand over sockets."""
        raise NotImplementedError

    async def best_domain_type(self, folder: Path) -> DomainType:
        """Of "kvm" and "qemu" the one that works: kvm only if a small guest really runs with it. Takes a few seconds."""
        raise NotImplementedError

    # Seeing.

    async def snapshot(self) -> dict[str, Seen]:
        """All machines there are, ours or not, by uuid, in one pass."""
        raise NotImplementedError

    async def look(self, uuid: str) -> Seen:
        """One machine."""
        raise NotImplementedError

    async def definition_xml(self, uuid: str) -> str:
        """What the next start takes, as libvirt has it, secrets included; for `redefine`."""
        raise NotImplementedError

    # Definitions.

    async def define(self, wish: Wish) -> Definition:
        """Makes a machine that does not run. Raises Conflict (machine_exists), NotFound (disk_missing), InvalidInput
        (iso_missing)."""
        raise NotImplementedError

    async def redefine(self, uuid: str, xml: str) -> Definition:
        """Replaces what the next start takes. On any error the old definition stays. Raises InvalidInput
        (wrong_definition), also when the XML is another machine's."""
        raise NotImplementedError

    async def set_boot_order(self, uuid: str, order: BootOrder) -> Definition:
        """For the next start; a run goes on as it began. On any error the old definition stays."""
        raise NotImplementedError

    async def set_title(self, uuid: str, title: str) -> Definition:
        """What its person calls it, for who looks with libvirt's tools."""
        raise NotImplementedError

    async def undefine(self, uuid: str, remove: Sequence[str] = ()) -> None:
        """Forgets a machine that does not run, its snapshots and UEFI variables; then removes these files. Raises Conflict
        (machine_running). Silent about what is gone already."""
        raise NotImplementedError

    # Power.

    async def start_machine(
        self, uuid: str, first: BootOrder | None = None, on_reboot: OnReboot = "restart"
    ) -> None:
        """Returns once QEMU runs. `first`: the order of this run alone; `on_reboot` "destroy": the guest's own restart ends
        this run. Neither changes the definition. Raises Conflict (machine_running, disk_in_use), NotFound (disk_missing),
        InvalidInput (iso_missing)."""
        raise NotImplementedError

    async def shut_down(self, uuid: str) -> None:
        """Asks the guest to end, which it may ignore. Raises Conflict (machine_not_running)."""
        raise NotImplementedError

    async def reset(self, uuid: str) -> None:
        """The reset button: same run, same boot order. Raises Conflict (machine_not_running)."""
        raise NotImplementedError

    async def force_off(self, uuid: str) -> None:
        """Ends the run at once. Raises Conflict (machine_not_running)."""
        raise NotImplementedError

    async def pause(self, uuid: str) -> None:
        """Raises Conflict (machine_not_running)."""
        raise NotImplementedError

    async def resume(self, uuid: str) -> None:
        """Raises Conflict (machine_not_running, machine_running: it is not paused)."""
        raise NotImplementedError

    async def send_keys(self, uuid: str, keys: Sequence[str]) -> None:
        """Presses these together and lets them go; Linux' names: "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE". Raises
        InvalidInput (unknown_key), Conflict (machine_not_running)."""
        raise NotImplementedError

    # Media.

    async def insert(self, uuid: str, target: str, path: str, force: bool = False) -> None:
        """Puts an ISO into a drive, in place of what is in it, now and for the next start. Raises InvalidInput
        (iso_missing, no_such_drive) before anything changes, Conflict (tray_locked) when the guest holds the tray: then
        `force` opens it."""
        raise NotImplementedError

    async def eject(self, uuid: str, target: str, force: bool = False) -> None:
        """Empties a drive, now and for the next start. Raises as `insert`."""
        raise NotImplementedError

    # Disks.

    async def pool(self) -> Pool:
        """How much room there is for disks."""
        raise NotImplementedError

    async def create_disk(self, path: str, size_bytes: int) -> DiskInfo:
        """An empty qcow2. Raises Conflict (disk_exists), InvalidInput (bad_size), SiteError where the host cannot."""
        raise NotImplementedError

    async def remove_disk(self, path: str) -> None:
        """Silent when it is gone already."""
        raise NotImplementedError

    async def disk(self, path: str) -> DiskInfo:
        """Also of a machine that runs. Raises NotFound (disk_missing)."""
        raise NotImplementedError

    async def resize(self, uuid: str, path: str, size_bytes: int) -> DiskInfo:
        """Grows a disk of the machine, also while it runs (the guest sees it at once). Raises InvalidInput
        (shrink_refused), NotFound (disk_missing), Conflict (has_snapshots)."""
        raise NotImplementedError

    async def attach_disk(self, uuid: str, path: str) -> str:
        """One more disk, now (when it runs) and for the next start; libvirt's name for it. Raises NotFound
        (disk_missing), Conflict (disk_in_use, no_free_slot)."""
        raise NotImplementedError

    async def detach_disk(self, uuid: str, target: str) -> None:
        """Takes a disk away, its file stays. Raises InvalidInput (no_such_drive), Conflict (disk_held: the guest does not
        let it go)."""
        raise NotImplementedError

    # Snapshots.

    async def snapshots(self, uuid: str) -> list[Snapshot]:
        """Oldest first."""
        raise NotImplementedError

    async def snapshot_take(self, uuid: str, name: str, description: str = "") -> Snapshot:
        """With memory when it runs. Raises Conflict (snapshot_exists, snapshot_unsupported: UEFI while it runs)."""
        raise NotImplementedError

    async def snapshot_revert(self, uuid: str, name: str) -> None:
        """Disks, memory, boot order and media are as they were then. Raises NotFound (no_such_snapshot)."""
        raise NotImplementedError

    async def snapshot_remove(self, uuid: str, name: str) -> None:
        """Silent when it is gone already."""
        raise NotImplementedError

    # Copies.

    async def clone_disk(self, source: str, path: str, linked: bool, progress: Progress) -> DiskInfo:
        """A copy of a disk that no running machine writes to; `linked` ones hold only what differs, and need the source as
        it is for ever. Raises Conflict (disk_exists, disk_in_use), NotFound (disk_missing)."""
        raise NotImplementedError

    async def flatten(self, uuid: str, target: str, progress: Progress) -> None:
        """Makes a linked clone's disk whole, while it runs or not."""
        raise NotImplementedError

    async def backup(self, uuid: str, folder: Path, progress: Progress) -> tuple[BackupFile, ...]:
        """Every disk of the machine as one moment has it, as qcow2 in a folder, also while it runs (the guest is asked to
        write all it has, where its agent answers). A cancelled or failed one leaves no file."""
        raise NotImplementedError

    async def verify(self, path: str, progress: Progress) -> DiskInfo:
        """Reads a backup's file to its end. Raises SiteError (backup_damaged)."""
        raise NotImplementedError

    async def restore_disk(self, source: str, path: str, progress: Progress) -> DiskInfo:
        """A disk from a backup's file; what was at `path` is replaced at the very end, at once. The machine must not run.
        Raises Conflict (disk_in_use), NotFound (disk_missing)."""
        raise NotImplementedError

    # The guest.

    async def guest_system(self, uuid: str) -> GuestSystem | None:
        """None when its agent does not answer."""
        raise NotImplementedError

    async def grow_filesystem(self, uuid: str) -> str:
        """Lets the guest take the room that its disk has got: its partition, then its file system; what it said. Raises
        Conflict (agent_missing, cannot_grow)."""
        raise NotImplementedError

    # Consoles.

    async def console_socket(self, uuid: str) -> socket.socket:
        """A connected socket that speaks RFB without a password. Raises Conflict (machine_not_running, no_console)."""
        raise NotImplementedError

    async def screenshot(self, uuid: str) -> bytes:
        """What its screen shows, as PNG. Raises Conflict (machine_not_running)."""
        raise NotImplementedError

    async def serial_socket(self, uuid: str) -> socket.socket:
        """A connected socket with the bytes of its first serial port; closing it leaves the port to the next. Raises
        Conflict (machine_not_running, no_console)."""
        raise NotImplementedError
