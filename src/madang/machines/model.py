"""A machine: its states and what is stored of it. Pure values; rules.py says what moves it.

    creating -> shut_off <-> starting -> running <-> paused
                   └──── stopping <───────┘└──> crashed

What cannot be seen is not off: `unknown_since` says since when its host is silent, the state stays the last one seen.

Installation, boot order and media are independent of each other: completing an installation changes no order, ejecting
changes no status. `boot_order` and `media` are what the next start takes; `run` is what the machine has now.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from madang.kernel.errors import Failure
from madang.machines.hosts.shapes import BootDevice, BootOrder, Firmware

CD_FIRST: frozenset[BootOrder] = frozenset({"cdrom_hd", "cdrom"})
# The order that a start takes once an installer has restarted the machine. Not "hd": where an installer restarts
# before the disk boots, the firmware goes on to the medium by itself.
DISK_FIRST: BootOrder = "hd_cdrom"


class State(StrEnum):
    CREATING = "creating"
    SHUT_OFF = "shut_off"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    CRASHED = "crashed"
    FAILED = "failed"  # could not be made, or its host has lost its definition: `failure` says why


LIVE = frozenset({State.STARTING, State.RUNNING, State.PAUSED, State.STOPPING})


class Installation(StrEnum):
    NOT_INSTALLED = "NotInstalled"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    FAILED = "InstallationFailed"


class Medium(msgspec.Struct, frozen=True):
    """A CD drive and the ISO in it; None: empty."""

    target: str
    path: str | None


class Run(msgspec.Struct, frozen=True):
    """One run of a machine, from its start to its end.

    `kept`: the order that was kept when it began; it differs from `boot_order` where one start took another.
    `ends_at_restart`: the guest's own restart ends it, because it began from a medium.
    """

    since: float | None
    boot_order: BootOrder | None
    kept: BootOrder | None
    media: tuple[Medium, ...]
    cpus: int
    memory_bytes: int
    boot_device: BootDevice | None = None
    agent: bool = False
    write_failed: bool = False  # it is paused since something could not be written to its disk
    network: str | None = None  # None: it began before this was noted
    ends_at_restart: bool = False

    @property
    def medium(self) -> str | None:
        """The ISO that its firmware finds first."""
        return next((medium.path for medium in self.media if medium.path), None)


class Share(msgspec.Struct, frozen=True):
    """Another person who may look at a machine (view), or also use it (operate)."""

    person_id: str
    person_name: str
    mode: Literal["view", "operate"]


Every = Literal["off", "daily", "weekly"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Schedule(msgspec.Struct, frozen=True):
    """When a machine is backed up by itself: at an hour of the site's time zone; `weekday` is of weekly ones."""

    every: Every
    hour: int
    weekday: Weekday


class BackupPlan(msgspec.Struct, frozen=True):
    """Backups of a machine that come by themselves, and what came of the last one.

    `own`: what its owner chose, None: whatever the site's is. `next_at` was computed by `timed`; where that is not what
    is in force any more, it is computed anew. `failure`: why the last backup, by itself or not, could not be made.
    """

    own: Schedule | None = None
    timed: Schedule | None = None
    next_at: float | None = None
    failure: Failure | None = None


class Machine(msgspec.Struct, frozen=True):
    """A virtual machine of one person, as it is stored. Times in seconds since the epoch, sizes in bytes."""

    id: str
    person_id: str
    person_name: str
    name: str
    host: str
    state: State
    cpus: int
    memory_bytes: int
    firmware: Firmware
    network: str
    disk_path: str
    disk_bytes: int
    boot_order: BootOrder | None  # None: one that libvirt has and we do not (the network first)
    created_at: float
    version: int = 1
    edition: int = 1  # counts edits, as `version` counts whatever is noted
    notes: str = ""
    disk_used: int | None = None
    media: tuple[Medium, ...] = ()
    missing: tuple[str, ...] = ()  # files of media that are not there any more
    run: Run | None = None
    unknown_since: float | None = None
    asked_off_at: float | None = None  # when the guest was asked to shut down
    next_boot: BootOrder | None = None  # what the next start alone takes
    next_boot_why: Literal["installed", "asked"] | None = None
    installation: Installation = Installation.NOT_INSTALLED
    installing_from: str | None = None
    installed_at: float | None = None
    sign: Literal["restart", "agent"] | None = None  # by what an installation seems to be complete
    grew_at: float | None = None  # since when the guest may have to take its disk's new room
    outside: tuple[str, ...] = ()  # what somebody changed past us
    dismissed: tuple[str, ...] = ()  # suggestions that its owner does not want to see
    protected: bool = False
    adopted: bool = False
    template: bool = False  # others are made of it, and it does not run itself
    offered: bool = False  # a template that everybody may make machines of
    parent: str | None = None  # the template that its disk holds only the difference to
    cloned_from: str | None = None  # the name of the template it was made of
    shares: tuple[Share, ...] = ()
    failure: Failure | None = None
    backup_plan: BackupPlan | None = None

    def share_of(self, person_id: str) -> Share | None:
        return next((share for share in self.shares if share.person_id == person_id), None)

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def plan(self) -> BackupPlan:
        return self.backup_plan or BackupPlan()

    @property
    def has_medium(self) -> bool:
        return any(medium.path for medium in self.media)


class OperationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({OperationState.QUEUED, OperationState.RUNNING})


class Operation(msgspec.Struct, frozen=True):
    """A piece of work on a machine: what is meant stands here before anything is touched.

    `holder` is the process that is at it and `beat` grows while it is; `given` is what the work needs to know, and is
    enough for any process to complete it or undo it.
    """

    id: str
    machine_id: str
    person_id: str  # whose machine it is
    kind: str
    state: OperationState
    created_at: float
    asked_by: str  # name; empty: the portal itself
    given: dict[str, str | int | bool | None] = {}
    holder: str | None = None
    beat: int = 0
    progress: float | None = None
    stage: str = ""
    cancel: bool = False
    result: dict[str, str | int | float | bool | None] = {}
    failure: Failure | None = None
    started_at: float | None = None
    ended_at: float | None = None
    version: int = 1

    @property
    def over(self) -> bool:
        return self.state not in OPEN
