"""Snapshots: a machine's disks, its memory while it runs, and what we know of it, as they were at one moment.

libvirt keeps disks, memory and definition. What is ours alone (how far an installation is) goes into its description of
the snapshot, so that a revert brings that back too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from madang.identity.model import Visitor, checked_text
from madang.kernel import clock
from madang.kernel.errors import Conflict
from madang.kernel.ids import short_id
from madang.machines.hosts.shapes import Seen, Snapshot
from madang.machines.model import Installation, Machine
from madang.machines.rules import followed, kept
from madang.machines.service import Machines
from madang.machines.wishes import NAME_LONGEST
from madang.machines.work import Outcome, Room, Work

# What a snapshot brings back of the record.
DEFINED = frozenset({"boot_order", "media", "cpus", "memory_bytes", "network"})


class Known(msgspec.Struct, frozen=True):
    """What is kept with a snapshot of our own."""

    title: str = ""
    installation: Installation = Installation.NOT_INSTALLED
    installing_from: str | None = None
    installed_at: float | None = None


_known = msgspec.json.Decoder(Known)


def known_of(snapshot: Snapshot) -> Known:
    """Of one that was not taken by us, that it is called as it is called."""
    try:
        return _known.decode(snapshot.description)
    except msgspec.DecodeError:
        return Known(title=snapshot.name)


def rooms() -> dict[str, Room]:
    return {
        "snapshot": Room(_take),
        "revert": Room(
            _revert, edits=True, alters=frozenset({"boot_order", "media", "cpus", "memory_bytes", "network"})
        ),
        "drop_snapshot": Room(_drop),
    }


async def _take(work: Work) -> Outcome:
    name = str(work.given["name"])
    await take_snapshot(work, work.machine, name, str(work.given["title"]))
    return Outcome(result={"name": name})


async def take_snapshot(work: Work, machine: Machine, name: str, title: str) -> None:
    """With what is known of it; one that was begun before is not taken again."""
    known = Known(title, machine.installation, machine.installing_from, machine.installed_at)
    try:
        await work.host.snapshot_take(machine.id, name, msgspec.json.encode(known).decode())
    except Conflict as error:
        if not work.again or error.code != "snapshot_exists":
            raise


async def _revert(work: Work) -> Outcome:
    name, machine = str(work.given["name"]), work.machine
    found = next((one for one in await work.host.snapshots(machine.id) if one.name == name), None)
    if found is not None and found.disks is not None:
        _refuse_other_disks(found.disks, await work.host.look(machine.id))
    await work.host.snapshot_revert(machine.id, name)
    size = (await work.host.disk(machine.disk_path, machine.id)).virtual_bytes
    known = known_of(found) if found is not None else Known()

    def changes(now: Machine, seen: Seen | None) -> Mapping[str, Any]:
        # What the snapshot's definition says is what was asked for, and nobody else's doing.
        then = {**kept(now, seen), **followed(now, seen, clock.now())} if seen is not None else {}
        then |= {"outside": now.outside, "next_boot": None, "next_boot_why": None, "sign": None, "edition": now.edition}
        then |= {"installation": known.installation, "installing_from": known.installing_from}
        return then | {"installed_at": known.installed_at, "disk_bytes": size, "grew_at": None, "asked_off_at": None}

    return Outcome(changes, {"name": name})


def _refuse_other_disks(then: Sequence[str], seen: Seen) -> None:
    """A revert brings the definition of then back: with disks that are elsewhere by now, and without those added since.
    Raises Conflict (disks_differ)."""
    now = {drive.path for drive in seen.inactive.disks if drive.path}
    if gone := [path for path in then if path not in now]:
        raise _differs(f"It had {len(gone)} more disks then: {', '.join(gone)}.", "Attach what it had then again.")
    if added := sorted(now.difference(then)):
        raise _differs(f"It has got {len(added)} disks since: {', '.join(added)}.", "Detach what came since first.")


def _differs(detail: str, hint: str) -> Conflict:
    return Conflict(detail, code="disks_differ", title="It had other disks then", hint=hint)


async def _drop(work: Work) -> Outcome:
    await work.host.snapshot_remove(work.machine.id, str(work.given["name"]))
    return Outcome()


class Snapshots:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def list(self, visitor: Visitor, machine_id: str) -> Sequence[Snapshot]:
        """Oldest first."""
        machine = await self._machines.seen_by(visitor, machine_id)
        return await self._machines.fleet.host_of(machine).snapshots(machine.id)

    async def take(self, visitor: Visitor, machine_id: str, title: str) -> tuple[Machine, bool]:
        """Raises Conflict (snapshot_unsupported), InvalidInput."""
        machine = await self._machines.managed(visitor, machine_id)
        name = "s" + short_id(10)
        given = {"name": name, "title": checked_text("title", title, NAME_LONGEST)}
        return await self._machines.act(visitor, machine, "snapshot", given)

    async def revert(self, visitor: Visitor, machine_id: str, name: str) -> tuple[Machine, bool]:
        """Raises NotFound (no_such_snapshot), Conflict (protected, is_template, disks_differ)."""
        machine = await self._machines.managed(visitor, machine_id)
        if machine.protected:
            raise Conflict("It is protected.", code="protected", hint="Take its protection off first.")
        if machine.template:
            raise Conflict("Machines are made of it.", code="is_template", hint="Make it a machine again first.")
        return await self._machines.act(visitor, machine, "revert", {"name": name})

    async def drop(self, visitor: Visitor, machine_id: str, name: str) -> tuple[Machine, bool]:
        machine = await self._machines.managed(visitor, machine_id)
        return await self._machines.act(visitor, machine, "drop_snapshot", {"name": name})
