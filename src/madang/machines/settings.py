"""Settings and claims of machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast, get_args

import msgspec

from madang.kernel.claims import Claim
from madang.kernel.settings import Settings, as_root
from madang.machines.hosts.shapes import BootOrder
from madang.machines.model import Every, Weekday
from madang.machines.schedule import WEEKDAYS, Rule

ROUTES = ("/machines/", "/api/vms", "/api/isos")
GIB = 1024**3
MIB = 1024**2
BOOT_ORDERS: tuple[BootOrder, ...] = get_args(BootOrder)
_ORDERS = "|".join(BOOT_ORDERS)
_DAYS = "|".join(WEEKDAYS)


class MachinesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Virtual machines on libvirt."""

    hosts: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}=\S+$")], ...],
        msgspec.Meta(
            description="The hosts of machines, each `NAME=URI` as libvirt takes it, as in "
            "`node1=qemu+ssh://root@node1/system`. All have the folders of disks, ISO files and backups at "
            "the same path. Empty: this machine, by its libvirt, or where that does not run by one that the portal "
            "starts."
        ),
    ] = ()
    account: Annotated[
        str,
        msgspec.Meta(
            max_length=64,
            description="The Unix account of libvirt where that is not the system's and the portal is root. Empty: "
            "madang-machines, which is made when there is none.",
        ),
    ] = ""
    folder: Annotated[
        str,
        msgspec.Meta(
            max_length=200,
            description="Where hosts keep disks. Empty: /var/lib/madang-machines as root, machines in the state folder "
            "otherwise.",
        ),
    ] = ""
    iso_folders: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Folders whose ISO files may be inserted; the first one takes uploads. Empty: isos among the "
            "disks."
        ),
    ] = ()
    domain_type: Annotated[
        str,
        msgspec.Meta(
            pattern="^(kvm|qemu|auto)$",
            description="`kvm`, `qemu` (software, slow), or `auto`: kvm where a probe guest really runs with it.",
        ),
    ] = "auto"
    default_boot_order: Annotated[
        str, msgspec.Meta(pattern=f"^({_ORDERS})$", description="Boot order of a new machine.")
    ] = "cdrom_hd"
    boot_presets: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=f"^[^=]{{1,80}}=({_ORDERS})$")], ...],
        msgspec.Meta(description="Boot orders that everybody is offered with one click, each `NAME=ORDER`."),
    ] = ("Install from CD=cdrom_hd", "Disk=hd", "Disk, else CD=hd_cdrom")
    networks: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^(user|none|(network|bridge):[A-Za-z0-9._-]{1,60})$")], ...],
        msgspec.Meta(
            min_length=1,
            description="Networks to choose from, the first one for who does not: `user` (behind the host), `none`, "
            "`network:NAME` of libvirt, `bridge:NAME` of the host.",
        ),
    ] = ("user", "none")
    cpus: Annotated[int, msgspec.Meta(ge=1, le=4096, description="CPUs of a new machine.")] = 2
    cpus_most: Annotated[int, msgspec.Meta(ge=1, le=4096, description="The most CPUs that one may have.")] = 16
    memory_bytes: Annotated[int, msgspec.Meta(ge=16 * MIB, description="Memory of a new machine (bytes).")] = 2 * GIB
    memory_bytes_most: Annotated[
        int, msgspec.Meta(ge=16 * MIB, description="The most memory that one may have (bytes).")
    ] = 64 * GIB
    disk_bytes: Annotated[int, msgspec.Meta(ge=MIB, description="Disk of a new machine (bytes).")] = 20 * GIB
    disk_bytes_most: Annotated[int, msgspec.Meta(ge=MIB, description="The largest disk (bytes).")] = 2048 * GIB
    keep_free_bytes: Annotated[
        int, msgspec.Meta(ge=0, description="Nothing new is made where less than this is free (bytes).")
    ] = GIB
    machines_per_person: Annotated[
        int, msgspec.Meta(ge=0, le=1_000_000, description="Machines that one person may have; 0: no limit.")
    ] = 10
    cpus_per_person: Annotated[
        int, msgspec.Meta(ge=0, le=1_000_000, description="CPUs of all machines of one person; 0: no limit.")
    ] = 0
    memory_bytes_per_person: Annotated[
        int, msgspec.Meta(ge=0, description="Memory of all machines of one person (bytes); 0: no limit.")
    ] = 0
    disk_bytes_per_person: Annotated[
        int, msgspec.Meta(ge=0, description="Disks of all machines of one person (bytes); 0: no limit.")
    ] = 0
    presets_per_person: Annotated[
        int, msgspec.Meta(ge=0, le=1000, description="Boot presets that one person may keep.")
    ] = 20
    largest_upload_bytes: Annotated[
        int, msgspec.Meta(ge=0, description="A larger ISO file is refused (bytes); 0: no uploads.")
    ] = 20 * GIB
    uploads_per_person: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="Uploads of one person that may be on their way.")
    ] = 3
    upload_hours: Annotated[
        float, msgspec.Meta(gt=0, description="An upload that nobody goes on with is removed after so long.")
    ] = 48.0
    backup_folder: Annotated[
        str, msgspec.Meta(max_length=200, description="Where backups are kept. Empty: backups among the disks.")
    ] = ""
    backups_per_machine: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="A machine keeps so many backups, the newest ones.")
    ] = 5
    safety_backups_per_machine: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=1000, description="Beside those, so many of what was there before something was restored over it."
        ),
    ] = 2
    backup_rule: Annotated[
        str,
        msgspec.Meta(
            pattern="^(choose|force|forbid)$",
            description="Backups that come by themselves: owners `choose` (who does not has the site's schedule), the "
            "site's schedule holds for all (`force`), or there are none (`forbid`).",
        ),
    ] = "choose"
    backup_every: Annotated[
        str, msgspec.Meta(pattern="^(off|daily|weekly)$", description="The site's schedule: `off`, `daily`, `weekly`.")
    ] = "off"
    backup_hour: Annotated[
        int, msgspec.Meta(ge=0, le=23, description="Its hour, in the site's time zone (site.time_zone).")
    ] = 2
    backup_weekday: Annotated[str, msgspec.Meta(pattern=f"^({_DAYS})$", description="Its day, where it is weekly.")] = (
        "sunday"
    )
    backups_at_once: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="So many that come by themselves are made at once; the rest wait.")
    ] = 2
    backup_look_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="The loop looks this often whether a backup is due.")
    ] = 30.0
    look_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="The loop looks at all machines this often; events wake it at once.")
    ] = 5.0
    catalogue_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="The folders of ISO files are looked through this often.")
    ] = 10.0
    beat_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            description="A portal says this often that it is at work on an operation; after three times as much "
            "silence another one takes it over.",
        ),
    ] = 3.0
    host_seconds: Annotated[
        float, msgspec.Meta(ge=0, description="An operation waits this long for a host that was lost meanwhile.")
    ] = 15.0
    answer_seconds: Annotated[
        float, msgspec.Meta(ge=0, description="A request waits this long for its operation before it answers 202.")
    ] = 10.0
    shut_down_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="A guest gets this long to shut down; a restart then turns it off by force."),
    ] = 60.0
    queue_most: Annotated[int, msgspec.Meta(ge=1, le=1000, description="Operations of one machine that may wait.")] = 20
    operation_days: Annotated[float, msgspec.Meta(gt=0, description="What an operation came to is kept so long.")] = (
        30.0
    )
    screenshot_seconds: Annotated[
        float, msgspec.Meta(ge=0, description="A screenshot is as old as this at most when it is shown.")
    ] = 2.0

    def __post_init__(self) -> None:
        """What two settings must be to each other. Raises ValueError."""
        for name in ("cpus", "memory_bytes", "disk_bytes"):
            if getattr(self, name) > getattr(self, f"{name}_most"):
                raise ValueError(f"{name} must not be above {name}_most")
        names = [host.partition("=")[0] for host in self.hosts]
        if len(set(names)) != len(names):
            raise ValueError("two hosts have the same name")

    @property
    def boot_order(self) -> BootOrder:
        """The default one."""
        return cast(BootOrder, self.default_boot_order)

    @property
    def rule(self) -> Rule:
        return cast(Rule, self.backup_rule)

    @property
    def every(self) -> Every:
        return cast(Every, self.backup_every)

    @property
    def weekday(self) -> Weekday:
        return cast(Weekday, self.backup_weekday)

    def presets(self) -> Mapping[str, BootOrder]:
        """The site's, by their names."""
        pairs = (preset.partition("=") for preset in self.boot_presets)
        return {name: cast(BootOrder, order) for name, _, order in pairs}


def pool_folder(settings: Settings) -> Path:
    """Where disks are, in force."""
    if chosen := settings[MachinesSettings].folder:
        return Path(chosen)
    return Path("/var/lib/madang-machines") if as_root() else settings.state_folder / "machines"


def iso_folders(settings: Settings) -> Sequence[Path]:
    """Where ISO files are, in force; uploads go to the first."""
    chosen = settings[MachinesSettings].iso_folders
    return [Path(folder) for folder in chosen] or [pool_folder(settings) / "isos"]


def backup_folder(settings: Settings) -> Path:
    """Where backups are, in force."""
    chosen = settings[MachinesSettings].backup_folder
    return Path(chosen) if chosen else pool_folder(settings) / "backups"


def claims(settings: Settings) -> Sequence[Claim]:
    return [
        Claim("machines", "folder", str(pool_folder(settings))),
        *(Claim("machines", "route", route) for route in ROUTES),
    ]
