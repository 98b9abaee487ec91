"""What goes into a host and comes out of it: plain values. Sizes are bytes, times epoch seconds, paths the host's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

BootOrder = Literal["cdrom_hd", "hd", "cdrom", "hd_cdrom"]
BootDevice = Literal["hd", "cdrom", "network"]
Firmware = Literal["bios", "uefi"]
DomainType = Literal["kvm", "qemu"]
OnReboot = Literal["restart", "destroy"]
Ended = Literal["restart", "shutdown"]
State = Literal["running", "paused", "shut_off", "crashed", "starting", "stopping"]

# How far a long work is (0..1, None: cannot be told) and what it does now ("copying", "checking" ...). Called in the
# thread of the event loop. A work is cancelled by cancelling the task that waits for it: it undoes what it began.
Progress = Callable[[float | None, str], None]

# libvirt's name of a machine of ours is this and its uuid; what its person calls it is the title.
NAME_PREFIX = "madang-"


class Limits(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds."""

    connect: float = 15.0
    call: float = 30.0  # of libvirt, one that answers at once normally
    retry: float = 1.0  # between attempts to reach a host that is lost
    silent: float = 3.0  # between questions whether an idle host is still there
    command: float = 60.0  # qemu-img, where it does not copy
    agent: float = 5.0  # for an answer of the guest agent
    tray: float = 8.0  # for a guest to let go of its tray


class Wish(msgspec.Struct, frozen=True):
    """A machine as it is to be made."""

    uuid: str
    title: str  # what its person calls it
    cpus: int
    memory_bytes: int
    disk_path: str  # qcow2, made beforehand by create_disk
    folder: str  # of this machine alone: boot log, serial log, UEFI variables; made when it is not there
    media: tuple[str | None, str | None] = (None, None)  # ISO files of its two CD drives
    boot_order: BootOrder = "cdrom_hd"
    firmware: Firmware = "bios"
    network: str = "user"  # "user" (behind the host), "none", "network:NAME" of libvirt, "bridge:NAME" of the host
    domain_type: DomainType = "qemu"

    @property
    def name(self) -> str:
        return NAME_PREFIX + self.uuid


class Hardware(msgspec.Struct, frozen=True):
    """What of a machine is to be another; None: it stays as it is. `network` as in Wish."""

    cpus: int | None = None
    memory_bytes: int | None = None
    network: str | None = None


class Drive(msgspec.Struct, frozen=True):
    """A disk or a CD drive."""

    target: str  # as libvirt calls it: "vda", "sda" ...
    kind: Literal["disk", "cdrom"]
    path: str | None  # None: an empty drive, or nothing that is a file
    bus: str
    format: str | None = None
    size_bytes: int | None = None  # virtual; Host.look knows it of disks while the machine runs
    tray_open: bool = False
    boot: int | None = None  # its place in the boot order, from 1


class Definition(msgspec.Struct, frozen=True):
    """A machine as libvirt defines it. `boot_order` None: one that is none of ours (network first, ...)."""

    uuid: str
    name: str
    title: str
    cpus: int
    memory_bytes: int
    firmware: Firmware
    boot_order: BootOrder | None
    drives: tuple[Drive, ...]
    on_reboot: str
    network: str  # as in Wish, "other" where it has several or is none of those
    domain_type: str
    boot_log: str | None = None  # file that the firmware writes what it boots from to

    @property
    def disks(self) -> tuple[Drive, ...]:
        return tuple(drive for drive in self.drives if drive.kind == "disk")

    @property
    def cdroms(self) -> tuple[Drive, ...]:
        return tuple(drive for drive in self.drives if drive.kind == "cdrom")


class Seen(msgspec.Struct, frozen=True):
    """A machine as it was seen a moment ago."""

    uuid: str
    name: str
    state: State
    definition: Definition  # of the current run; of the next start when there is none
    inactive: Definition  # what the next start takes
    reason: str = ""  # of the state, libvirt's word: "shutdown", "destroyed", "failed", "ioerror" ...
    since: float | None = None  # when the current run began; None: it does not run, or began before we looked
    boot_device: BootDevice | None = None  # what the current run, or the last one, was booted from: its firmware's word
    booted_at: float | None = None  # of one that is off: when its last run wrote last where that is said (epoch s)
    agent: bool = False  # the guest agent has connected
    persistent: bool = True
    own: bool = False  # made by us
    ended_by: Ended | None = None  # how the guest ended its last run, where that was heard

    @property
    def off(self) -> bool:
        return self.state in ("shut_off", "crashed")


class Pool(msgspec.Struct, frozen=True):
    """The folder in which a host keeps disks."""

    path: str
    total_bytes: int
    free_bytes: int


class Capacity(msgspec.Struct, frozen=True):
    """What a host has to run machines with."""

    cpus: int
    memory_bytes: int
    free_bytes: int  # memory that neither its programs use nor its running machines may take
    running: int  # machines, ours or not


class DiskInfo(msgspec.Struct, frozen=True):
    """A disk image."""

    path: str
    virtual_bytes: int
    real_bytes: int
    format: str
    backing: str | None = None  # the file it is a linked clone of


class Change(msgspec.Struct, frozen=True):
    """Something happened to a machine. Only a reason to look: reality is in `snapshot`."""

    uuid: str
    what: Literal[
        "started", "stopped", "rebooted", "crashed", "paused", "resumed",
        "defined", "removed", "agent", "media", "block_job", "ended",
    ]  # fmt: skip
    # Of "stopped": shutdown, destroyed, crashed, failed ...; of "agent": connected, disconnected; of "ended", which the
    # guest did by itself: restart, shutdown.
    detail: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot inside a machine's own disks."""

    name: str
    created_at: float
    state: str  # of the machine when it was taken: "running", "shutoff", "paused"
    parent: str | None
    current: bool
    description: str = ""
    disks: tuple[str, ...] | None = None  # files of the disks that the machine had; None: it does not say


class GuestSystem(msgspec.Struct, frozen=True):
    """What the guest agent says of the system that runs."""

    name: str  # "Debian GNU/Linux 12 (bookworm)"
    root_on_disk: bool  # "/" (or C:) is on a disk of the machine: no live medium


class BackupFile(msgspec.Struct, frozen=True):
    """One disk in a backup; `source` is its file in the machine."""

    target: str
    path: str
    virtual_bytes: int
    real_bytes: int
    source: str = ""
