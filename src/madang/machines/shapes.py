"""What is sent to the API of machines, and what its operations share.

    GET    /api/vms                                MachineView[]   ?all=true: of all people (operators)
    POST   /api/vms                                NewMachine -> MachineView (201)
    GET    /api/vms/options                        OptionsView
    GET    /api/vms/hosts                          HostStateView[] (operators)
    GET    /api/vms/{uuid}                         MachineView, ETag (also in it as `etag`)
    PATCH  /api/vms/{uuid}                         Description -> MachineView (If-Match heeded)
    DELETE /api/vms/{uuid}?name=...&disks=remove   204, or 202 with its MachineView while it is at work; disks=keep
    POST   /api/vms/{uuid}/action                  Action -> MachineView
    GET    /api/vms/{uuid}/boot-order              BootOrderView, ETag
    POST   /api/vms/{uuid}/boot-order              NewBootOrder -> MachineView (If-Match heeded)
    POST   /api/vms/{uuid}/boot-order/apply        -> MachineView: restart it now, with what is pending
    POST   /api/vms/{uuid}/boot-order/discard      -> MachineView: what it runs with is kept
    POST   /api/vms/{uuid}/boot-order/once         Once -> MachineView: for the next start alone
    DELETE /api/vms/{uuid}/boot-order/once         -> MachineView
    PATCH  /api/vms/{uuid}/hardware                NewHardware -> MachineView (If-Match heeded)
    POST   /api/vms/{uuid}/hardware/discard        -> MachineView: what it runs with is kept
    GET    /api/vms/{uuid}/media                   MediumView[]
    POST   /api/vms/{uuid}/media/attach            Attach -> MachineView
    POST   /api/vms/{uuid}/media/detach            Detach -> MachineView
    POST   /api/vms/{uuid}/complete-installation   Completion -> MachineView
    GET    /api/vms/{uuid}/installation-status     InstallationView
    POST   /api/vms/{uuid}/installation-status     InstallationChange -> MachineView: tell by hand
    POST   /api/vms/{uuid}/suggestions/dismiss     Dismissal -> MachineView
    GET    /api/vms/{uuid}/disk                    DiskView
    POST   /api/vms/{uuid}/disk/resize             Resize -> MachineView
    POST   /api/vms/{uuid}/disk/grow-inside        -> MachineView
    POST   /api/vms/{uuid}/keys                    Keys -> 204
    GET    /api/vms/{uuid}/screenshot              image, ETag
    GET    /api/vms/{uuid}/operations              OperationView[], newest first
    GET    /api/vms/{uuid}/operations/{id}         OperationView
    POST   /api/vms/{uuid}/operations/{id}/cancel  OperationView
    GET    /api/vms/boot-presets                   BootPresetView[]
    POST   /api/vms/boot-presets                   NewBootPreset -> BootPresetView
    DELETE /api/vms/boot-presets/{id}              204
    GET    /api/vms/disks                          FurtherDiskView[]: one's own, in machines or not
    DELETE /api/vms/disks/{id}?name=...            204, one that is in no machine
    POST   /api/vms/disks/{id}/resize              Resize -> FurtherDiskView
    GET    /api/vms/{uuid}/disks                   FurtherDiskView[]
    POST   /api/vms/{uuid}/disks                   NewDisk -> MachineView
    POST   /api/vms/{uuid}/disks/attach            AttachedDisk -> MachineView
    POST   /api/vms/{uuid}/disks/detach            AttachedDisk -> MachineView
    POST   /api/vms/{uuid}/disks/move              MovedDisk -> MachineView of the other machine, once it is detached
    POST   /api/vms/{uuid}/shares                  NewShare -> MachineView
    DELETE /api/vms/{uuid}/shares/{person_id}      -> MachineView
    GET    /api/vms/{uuid}/snapshots               SnapshotView[], oldest first
    POST   /api/vms/{uuid}/snapshots               NewSnapshot -> MachineView
    POST   /api/vms/{uuid}/snapshots/{name}/revert -> MachineView
    DELETE /api/vms/{uuid}/snapshots/{name}        -> MachineView
    POST   /api/vms/{uuid}/template                Template -> MachineView
    POST   /api/vms/{uuid}/clone                   NewClone -> MachineView of the new one (201)
    POST   /api/vms/{uuid}/disk/flatten            -> MachineView: a linked clone's disk becomes whole
    GET    /api/vms/templates                      TemplateView[]: one's own, and those for everybody
    GET    /api/vms/{uuid}/backup-schedule         BackupScheduleView: when it is backed up by itself
    PUT    /api/vms/{uuid}/backup-schedule         ChosenSchedule -> BackupScheduleView
    GET    /api/vms/{uuid}/backups                 BackupView[], newest first
    POST   /api/vms/{uuid}/backups                 -> MachineView
    POST   /api/vms/{uuid}/backups/{id}/verify     -> MachineView
    POST   /api/vms/{uuid}/backups/{id}/restore    -> MachineView: over the machine, which is backed up before
    GET    /api/vms/backups                        BackupView[]: one's own, also of machines that are gone
    POST   /api/vms/backups/{id}/new               NewClone -> MachineView of the new one (201)
    DELETE /api/vms/backups/{id}                   204
    GET    /api/vms/strangers                      StrangerView[] (operators)
    POST   /api/vms/strangers/{uuid}/adopt         Stranger -> MachineView (201, operators)
    GET    /api/isos                               IsoView[]
    DELETE /api/isos?path=...                      204 (operators)
    GET    /api/isos/uploads                       UploadView[], one's own that are on their way
    POST   /api/isos/uploads                       NewUpload -> UploadView; the same file again: goes on where it was
    PUT    /api/isos/uploads/{id}?offset=N         bytes -> UploadView
    POST   /api/isos/uploads/{id}/finish           -> IsoView
    DELETE /api/isos/uploads/{id}                  204
    WebSocket /machines/console/{uuid}             RFB, subprotocol binary
    WebSocket /machines/serial/{uuid}              the serial port's bytes

A change answers 200 when it is done, 202 when it is still at work: `operation` in the answer is the one at work.
Events: machines.machine {machine}, machines.machine.gone {id, version?}, machines.operation {operation}, machines.isos
{}, machines.disks {} (one's own).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar.params import Parameter

from madang.machines.model import Weekday

BootOrder = Literal["cdrom_hd", "hd", "cdrom", "hd_cdrom"]
Firmware = Literal["bios", "uefi"]
Act = Literal["start", "shut_down", "reset", "force_off", "pause", "resume", "restart"]
Status = Literal["NotInstalled", "Installing", "Installed", "InstallationFailed"]

MachineId = Annotated[str, Parameter(max_length=36, description="Id (UUID) of a machine.")]
SnapshotName = Annotated[str, Parameter(max_length=64, description="Name of a snapshot.")]
BackupId = Annotated[str, Parameter(max_length=40, description="Id of a backup.")]
OperationId = Annotated[str, Parameter(max_length=20, description="Id of an operation.")]
Name = Annotated[str, msgspec.Meta(max_length=80, description="What the machine is called.")]
Notes = Annotated[str, msgspec.Meta(max_length=2000, description="Whatever its owner wants to remember of it.")]
IsoPath = Annotated[
    str, msgspec.Meta(max_length=4096, description="`path` of an entry of the catalogue (GET /api/isos).")
]
Target = Annotated[str, msgspec.Meta(max_length=16, description="A drive's name, as in `current_media`.")]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=1 << 60)]


class NewMachine(msgspec.Struct, forbid_unknown_fields=True):
    """A machine that somebody asks for; what is left out takes the site's default."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    notes: Notes = ""
    cpus: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    memory_bytes: Bytes | None = None
    disk_bytes: Bytes | None = None
    iso_path: IsoPath | None = None
    second_iso_path: IsoPath | None = None
    boot_order: BootOrder | None = None
    firmware: Firmware = "bios"
    network: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    host: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    start: bool = False


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    notes: Notes | None = None
    protected: bool | None = None


class Action(msgspec.Struct, forbid_unknown_fields=True):
    action: Act


class NewBootOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`apply`: at the next start, or now, which restarts a machine that runs."""

    boot_order: BootOrder
    apply: Literal["next_start", "now"] = "next_start"


class NewHardware(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is. `apply`: at the next start, or now, which restarts a machine that runs."""

    cpus: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    memory_bytes: Bytes | None = None
    network: Annotated[str, msgspec.Meta(max_length=80, description="One of `networks` (GET /api/vms/options).")] | (
        None
    ) = None
    apply: Literal["next_start", "now"] = "next_start"


class Once(msgspec.Struct, forbid_unknown_fields=True):
    """The order that the next start alone takes: `cdrom` boots the CD once."""

    boot_order: BootOrder = "cdrom"


class Attach(msgspec.Struct, forbid_unknown_fields=True):
    """Put an ISO into a drive: the first empty one, else the first, when none is named."""

    iso_path: IsoPath
    target: Target | None = None
    force: bool = False


class Detach(msgspec.Struct, forbid_unknown_fields=True):
    """Take the ISO out of a drive: of every drive, when none is named."""

    target: Target | None = None
    force: bool = False


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """Its system is installed; the boot order stays unless one is named, media stay unless they are to go."""

    eject: bool = False
    boot_order: BootOrder | None = None
    snapshot: Annotated[str, msgspec.Meta(max_length=80, description="Title of a snapshot to take; empty: none.")] = ""


class InstallationChange(msgspec.Struct, forbid_unknown_fields=True):
    installation_status: Status


class Dismissal(msgspec.Struct, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(max_length=40, description="Code of a suggestion.")]


class Resize(msgspec.Struct, forbid_unknown_fields=True):
    """Only larger: 1 GB is 1024 * 1024 * 1024 bytes."""

    size_gb: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Keys(msgspec.Struct, forbid_unknown_fields=True):
    """Keys pressed together, by their names."""

    keys: Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(min_length=1, max_length=8)]


class NewShare(msgspec.Struct, forbid_unknown_fields=True):
    """`view`: look at it and its screen; `operate`: also power, boot order, media and console."""

    person: Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="Name of the other person.")]
    mode: Literal["view", "operate"] = "view"


class NewDisk(msgspec.Struct, forbid_unknown_fields=True):
    """1 GB is 1024 * 1024 * 1024 bytes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    size_gb: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class AttachedDisk(msgspec.Struct, forbid_unknown_fields=True):
    disk: Annotated[str, msgspec.Meta(max_length=20, description="Id of a further disk.")]


class MovedDisk(msgspec.Struct, forbid_unknown_fields=True):
    disk: Annotated[str, msgspec.Meta(max_length=20, description="Id of a further disk.")]
    to: Annotated[str, msgspec.Meta(max_length=36, description="Id (UUID) of the machine that gets it.")]


class NewSnapshot(msgspec.Struct, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80, description="What it is called.")]


class Template(msgspec.Struct, forbid_unknown_fields=True):
    """A template does not run; machines are made of it. `everybody`: by everybody (operators), None: as it is."""

    template: bool
    everybody: bool | None = None


class ChosenSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """`site`: whenever the site's are; what is left out is as the site's."""

    every: Literal["site", "off", "daily", "weekly"]
    hour: Annotated[int, msgspec.Meta(ge=0, le=23, description="In the site's time zone.")] | None = None
    weekday: Weekday | None = None


class NewClone(msgspec.Struct, forbid_unknown_fields=True):
    """`linked`: its disk holds only the difference to the template's (of backups: not heeded)."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    linked: bool = False


class Stranger(msgspec.Struct, forbid_unknown_fields=True):
    host: Annotated[str, msgspec.Meta(max_length=40, description="The host that has it.")]
    person: Annotated[str, msgspec.Meta(max_length=64, description="Name of whose it will be; empty: one's own.")] = ""
    name: Name = ""


class NewBootPreset(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    boot_order: BootOrder


class NewUpload(msgspec.Struct, forbid_unknown_fields=True):
    """`sha256` of the whole file, in hexadecimal digits."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    size: Bytes
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
