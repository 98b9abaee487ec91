"""The service `machines`: virtual machines on libvirt."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources

from madang.identity.audit import Audit
from madang.identity.service import People
from madang.identity.settings import IdentitySettings
from madang.identity.sign_on import SignOn
from madang.kernel.ground import Ground, Missing, Parts, Service
from madang.kernel.loops import Loop
from madang.kernel.settings import Settings, SiteSettings, as_root
from madang.kernel.sockets import NO_LONGER_ALLOWED
from madang.machines import (
    acts,
    boot_routes,
    copies_routes,
    disk_routes,
    disk_work,
    hardware_routes,
    iso_routes,
    making,
    schedule_routes,
    snapshots,
    templates,
)
from madang.machines.adoption import Adoption
from madang.machines.backup_work import Backing
from madang.machines.backups import Backups
from madang.machines.boot import Boot
from madang.machines.catalogue import Catalogue
from madang.machines.disk_store import DiskStore
from madang.machines.disks import Disks
from madang.machines.hardware import Hardware
from madang.machines.hosts.binding import is_there
from madang.machines.inside import Inside
from madang.machines.journal import Journal
from madang.machines.local_host import fleet_of, programs_missing
from madang.machines.making import Making
from madang.machines.media import Media
from madang.machines.offers import Offers
from madang.machines.operations import Operations
from madang.machines.restoring import Restoring
from madang.machines.routes import router
from madang.machines.schedules import Schedules, site_schedule
from madang.machines.service import Machines
from madang.machines.settings import MachinesSettings, backup_folder, claims, iso_folders
from madang.machines.shelf import Shelf
from madang.machines.snapshots import Snapshots
from madang.machines.sockets import Doors
from madang.machines.store import MachineStore
from madang.machines.supervisor import Supervisor
from madang.machines.templates import Templates
from madang.machines.uploads import Uploads
from madang.machines.wishes import quota_of


def missing(settings: Settings) -> Sequence[Missing]:
    """What machines need and this machine lacks."""
    lacking = [] if is_there() else ["libvirt's Python module"]
    lacking += programs_missing(settings)
    if not lacking:
        return ()
    groups = tomllib.loads(resources.files("madang").joinpath("packages.toml").read_text(encoding="utf-8"))
    # The whole group, as set-up brings it: apt passes over what is there.
    command = f"apt-get install --no-install-recommends {' '.join(groups['machines']['packages'])}"
    return [Missing(", ".join(lacking), command if as_root() else f"sudo {command}")]


def assemble(ground: Ground) -> Parts:
    settings = ground.settings[MachinesSettings]
    sign_on, audit = SignOn(ground), Audit(ground)
    store, journal = MachineStore(ground.database), Journal(ground.database, settings.queue_most)
    fleet = fleet_of(ground)
    catalogue = Catalogue(iso_folders(ground.settings))
    operations = Operations(
        store,
        journal,
        ground.leases.holder,
        alone=lambda: not ground.live.shared,
        beat_seconds=settings.beat_seconds,
        host_seconds=settings.host_seconds,
    )
    disk_store = DiskStore(ground.database)
    shelf = Shelf(backup_folder(ground.settings), fleet.account or settings.account or None)
    backing = Backing(shelf, disk_store, settings.backups_per_machine, settings.safety_backups_per_machine)
    restoring = Restoring(backing, store, disk_store, fleet, quota_of(settings))
    rooms = Making(fleet, restoring)
    operations.rooms = {
        **making.rooms(rooms),
        **acts.rooms(rooms, settings.shut_down_seconds),
        **snapshots.rooms(),
        **templates.rooms(),
        **disk_work.rooms(disk_store, store, operations),
        **backing.rooms(),
        **restoring.rooms(),
    }
    machines = Machines(ground, settings, fleet, catalogue, operations, store, journal, audit)
    uploads = Uploads(
        ground.database,
        catalogue,
        audit,
        largest_bytes=settings.largest_upload_bytes,
        per_person=settings.uploads_per_person,
        keep_free_bytes=settings.keep_free_bytes,
        keep_seconds=settings.upload_hours * 3600,
    )
    boot, media, inside = Boot(machines, ground.database), Media(machines), Inside(machines)
    offers = Offers(machines, boot, lambda: missing(ground.settings))
    supervisor = Supervisor(machines, uploads)
    doors = Doors(machines, sign_on)
    doors.open.close_for_who_leaves(ground.events, NO_LONGER_ALLOWED)

    async def stop() -> None:
        await operations.stop()
        await supervisor.stop()

    schedules = Schedules(machines, site_schedule(ground.settings[SiteSettings], settings))
    copies, people = Templates(machines), People(ground)
    further = [
        *boot_routes.routes(machines, boot, media),
        *iso_routes.routes(media, uploads),
        *hardware_routes.routes(machines, Hardware(machines)),
        *disk_routes.routes(machines, Disks(machines, disk_store)),
        *copies_routes.routes(
            machines,
            Snapshots(machines),
            copies,
            Backups(machines, copies, shelf),
            Adoption(machines, people),
        ),
        *schedule_routes.routes(schedules),
    ]
    return Parts(
        routes=[router(machines, people, inside, offers, sign_on, further)],
        sockets={"/machines/console/": doors.console, "/machines/serial/": doors.serial},
        loops=[
            supervisor.loop,
            supervisor.catalogue_loop,
            operations.loop,
            schedules.loop,
            Loop("machines doors", doors.check, ground.settings[IdentitySettings].recheck_seconds),
        ],
        start=supervisor.start,
        stop=stop,
    )


machines = Service(
    name="machines",
    summary="Virtual machines on libvirt",
    assemble=assemble,
    settings={"machines": MachinesSettings},
    claims=claims,
    missing=missing,
)
