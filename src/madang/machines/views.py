"""What the API of machines answers with. Sizes in bytes, moments as ISO text in UTC."""

from __future__ import annotations

import msgspec

from madang.kernel.errors import Failure


class Owner(msgspec.Struct):
    id: str
    name: str


class MediumView(msgspec.Struct):
    """A drive and what is in it now; `iso` is the name in the catalogue, None: empty."""

    target: str
    iso: str | None
    path: str | None
    missing: bool = False  # the file is not there any more


class PendingView(msgspec.Struct):
    """What the next start takes and the run does not have: `what` is boot_order, cpus,
    memory_bytes or network."""

    what: str
    from_: str | int | None = msgspec.field(name="from")
    to: str | int | None


class OnceView(msgspec.Struct):
    """The order that the next start alone takes; `why` is installed (the installer restarted) or asked."""

    boot_order: str
    why: str


class SuggestionView(msgspec.Struct):
    """Something to do with one click. `code` is one of model.SUGGESTIONS; the rest is what its sentence needs."""

    code: str
    boot_order: str | None = None
    target: str | None = None
    iso: str | None = None
    changed: list[str] = []
    can_do: bool = True


class OperationView(msgspec.Struct):
    """Long work on a machine: `state` is queued, running, done, failed or cancelled; `progress` from 0 to 1."""

    id: str
    machine_id: str
    kind: str
    state: str
    progress: float | None
    stage: str
    can_cancel: bool
    asked_by: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    result: dict[str, str | int | float | bool | None]
    failure: Failure | None


class ShareView(msgspec.Struct):
    """Another person who may look at a machine (view), or also use it (operate)."""

    person_id: str
    name: str
    mode: str


class MachineView(msgspec.Struct):
    """A machine. `state` is creating, shut_off, starting, running, paused, stopping, crashed, failed or unknown.

    `boot_order` is the kept one, `current_boot_order` what it runs with now, `current_boot_device` what it really
    booted from: hd, cdrom, network or None.
    """

    id: str
    name: str
    notes: str
    owner: Owner
    host: str
    state: str
    last_state: str
    unknown_since: str | None
    installation_status: str
    boot_order: str
    current_boot_order: str | None
    current_boot_device: str | None
    next_boot: OnceView | None
    disk_path: str
    disk_size: int
    disk_used: int | None
    current_media: list[MediumView]
    pending: list[PendingView]
    firmware: str
    cpus: int
    memory_bytes: int
    network: str
    protected: bool
    adopted: bool
    template: bool
    everybody: bool  # a template of which everybody may make machines
    linked: bool  # its disk holds only the difference to a template's
    cloned_from: str | None
    suggestions: list[SuggestionView]
    shares: list[ShareView]
    failure: Failure | None
    version: int  # grows with whatever is seen of it
    etag: str  # for If-Match: another one after every edit
    created_at: str
    started_at: str | None
    agent: bool
    screenshot: bool  # whether there is a screen to look at: console and screenshot
    next_backup_at: str | None  # by itself
    operation: OperationView | None = None  # the one at work, or first in the queue
    queued: int = 0  # so many wait behind it


class BootOrderView(msgspec.Struct):
    """`boot_order` is kept, `current` what the run has (None: it does not run), `next_boot` what one start takes."""

    boot_order: str
    current: str | None
    pending: bool
    next_boot: OnceView | None
    current_boot_device: str | None
    etag: str


class InstallationView(msgspec.Struct):
    installation_status: str
    installing_from: str | None  # the medium's name
    installed_at: str | None
    suggestions: list[SuggestionView]


class DiskView(msgspec.Struct):
    """`size` is what the machine sees, `used` what it takes in the pool, `free` what the pool still has."""

    path: str
    size: int
    used: int | None
    format: str
    pool_free: int | None
    grow_hint: bool  # it grew, and the system inside may have to extend its partition
    can_grow_inside: bool  # the guest agent can do it


class IsoUser(msgspec.Struct):
    id: str
    name: str


class IsoView(msgspec.Struct):
    """An ISO of the catalogue; `path` is what is sent to insert it. `boots` holds bios and uefi, or nothing."""

    path: str
    name: str
    folder: str
    size: int
    modified_at: str
    label: str
    boots: list[str]
    readable: bool
    used_by: list[IsoUser]  # of those that the one who asks may see
    used_count: int
    can_delete: bool


class UploadView(msgspec.Struct):
    """An upload that is on its way: send the rest from `offset` on."""

    id: str
    name: str
    size: int
    offset: int
    sha256: str
    created_at: str


class PoolView(msgspec.Struct):
    path: str
    total: int
    free: int


class HostView(msgspec.Struct):
    name: str
    connected: bool
    down_since: str | None
    problem: str
    pool: PoolView | None
    machines: int


class CapacityView(msgspec.Struct):
    """What a host has; `memory_free` is what its running machines (ours or not) may not take either."""

    cpus: int
    memory_bytes: int
    memory_free: int
    running: int


class HostStateView(msgspec.Struct):
    """A host as operators see it: `uri` without keys and options; `storage_problem`, why it can take no new machine;
    `capacity` None while it does not answer; `machines` are ours."""

    name: str
    uri: str
    connected: bool
    down_since: str | None
    problem: str
    storage_problem: Failure | None
    pool: PoolView | None
    capacity: CapacityView | None
    machines: int


class AllowanceView(msgspec.Struct):
    """What a person may have and has; None: no limit."""

    most: int | None
    used: int


class QuotaView(msgspec.Struct):
    machines: AllowanceView
    cpus: AllowanceView
    memory_bytes: AllowanceView
    disk_bytes: AllowanceView


class BootPresetView(msgspec.Struct):
    """A boot order with a name: the site's, or one's own."""

    id: str
    name: str
    boot_order: str
    own: bool


class RangeView(msgspec.Struct):
    least: int
    most: int
    default: int


class OptionsView(msgspec.Struct):
    """What the form for a new machine needs."""

    hosts: list[HostView]
    networks: list[str]
    firmwares: list[str]
    boot_orders: list[str]
    default_boot_order: str
    boot_presets: list[BootPresetView]
    cpus: RangeView
    memory_bytes: RangeView
    disk_bytes: RangeView
    quota: QuotaView
    largest_upload_bytes: int
    missing: list[str]


class SnapshotView(msgspec.Struct):
    """`state` is the machine's when it was taken: running, shutoff or paused."""

    name: str
    title: str
    created_at: str
    state: str
    parent: str | None
    current: bool


class BackupView(msgspec.Struct):
    """All disks of a machine as one moment had them; `size` is what they take."""

    id: str
    machine_id: str
    machine_name: str
    created_at: str
    size: int
    verified_at: str | None
    safety: bool  # made by itself, before another one was put over the machine
    disks: int


class ScheduleView(msgspec.Struct):
    """`every` is off, daily or weekly; `hour` is the site's, `weekday` of weekly ones."""

    every: str
    hour: int
    weekday: str


class BackupScheduleView(ScheduleView):
    """What is in force for a machine; `own`: by its owner's choice. `rule` is choose, force or forbid, `failure` why
    the last backup could not be made."""

    own: bool
    rule: str
    site: ScheduleView
    time_zone: str
    next_at: str | None
    failure: Failure | None


class TemplateView(msgspec.Struct):
    """What machines are made of: one's own, or one that is offered to everybody."""

    id: str
    name: str
    own: bool
    everybody: bool
    host: str
    cpus: int
    memory_bytes: int
    disk_size: int
    firmware: str
    installation_status: str


class StrangerView(msgspec.Struct):
    """A machine of libvirt that is none of ours yet."""

    id: str
    name: str
    host: str
    state: str
    cpus: int
    memory_bytes: int
    disk_path: str | None


class FurtherDiskView(msgspec.Struct):
    """A disk beside the one that a machine boots from; `machine_id` None: it is in no machine."""

    id: str
    name: str
    size: int
    used: int | None  # what it takes in the pool; None: not known
    host: str
    path: str
    machine_id: str | None
    created_at: str
