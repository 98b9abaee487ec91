"""What is in machines' drives, and the catalogue that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from madang.identity.model import Visitor
from madang.kernel.errors import Conflict, Forbidden, InvalidInput
from madang.machines.catalogue import Iso
from madang.machines.model import Machine, Medium
from madang.machines.service import Machines


class IsoUse(msgspec.Struct, frozen=True):
    """An entry of the catalogue, and the machines in whose drives it is: those that may be named, and how many."""

    iso: Iso
    named: tuple[Machine, ...]
    count: int


class Media:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def insert(
        self, visitor: Visitor, machine_id: str, path: str, target: str | None, *, force: bool
    ) -> tuple[Machine, bool]:
        """Put an ISO into a drive, in place of what is in it: the first empty one when none is named.

        Raises InvalidInput (not_in_catalogue, iso_unreadable, no_such_drive), Conflict (tray_locked).
        """
        machine = await self._machines.operated(visitor, machine_id)
        iso = await self._machines.catalogue.usable(path)
        drive = _drive(machine, target)
        given = {"path": iso.path, "target": drive, "force": force}
        return await self._machines.act(visitor, machine, "insert", given)

    async def eject(
        self, visitor: Visitor, machine_id: str, target: str | None, *, force: bool
    ) -> tuple[Machine, bool]:
        """Empty a drive, or all. Raises InvalidInput (no_such_drive), Conflict (tray_locked, no_drive)."""
        machine = await self._machines.operated(visitor, machine_id)
        drive = _drive(machine, target) if target is not None else None
        return await self._machines.act(visitor, machine, "eject", {"target": drive, "force": force})

    async def catalogue(self, visitor: Visitor) -> Sequence[IsoUse]:
        """Its entries. Raises Forbidden."""
        if not visitor.may("machines.use"):
            raise Forbidden("Your roles do not include machines.", hint="Ask an administrator.")
        users = await self._users()
        everybody = visitor.may("machines.see_all")
        found = []
        for iso in self._machines.catalogue.all():
            using = users.get(iso.path, [])
            named = tuple(one for one in using if everybody or one.person_id == visitor.person.id)
            found.append(IsoUse(iso, named, len(using)))
        return found

    async def delete(self, visitor: Visitor, path: str) -> None:
        """Raises Forbidden, NotFound, Conflict (iso_in_use, iso_kept)."""
        if not visitor.may("machines.manage"):
            raise Forbidden("Only operators delete ISO files.", hint="Ask an operator.")
        await self._refuse_used(path)
        await self._machines.catalogue.remove(path, lambda: self._refuse_used(path))
        await self._machines.audit.record(
            "iso.delete", person=visitor.person, object=Path(path).name, address=visitor.address, outcome="done"
        )
        await self._machines.tell_isos()

    async def _refuse_used(self, path: str) -> None:
        if using := (await self._users()).get(path):
            raise Conflict(
                f"It is in {len(using)} machines: {', '.join(machine.name for machine in using[:5])}.",
                code="iso_in_use",
                title="This ISO is in use",
                hint="Have it ejected there first.",
            )

    async def changed(self) -> None:
        """There is a new entry: every page hears of it."""
        await self._machines.tell_isos()

    async def _users(self) -> dict[str, list[Machine]]:
        """By path, the machines in whose drives it is, now or at the next start, or is being put."""
        # Operations first: what one that ends meanwhile has inserted is in the record then.
        coming = [
            (one.machine_id, one.given.get("path"))
            for one in await self._machines.journal.open()
            if one.kind == "insert"
        ]
        users: dict[str, list[Machine]] = {}
        for machine in await self._machines.store.all():
            drives: tuple[Medium, ...] = (*machine.media, *(machine.run.media if machine.run else ()))
            inserted = {str(path) for machine_id, path in coming if machine_id == machine.id}
            for path in inserted | {medium.path for medium in drives if medium.path}:
                users.setdefault(path, []).append(machine)
        return users


def _drive(machine: Machine, target: str | None) -> str:
    media = machine.run.media if machine.run else machine.media
    if not media:
        raise Conflict("It has no CD drive.", code="no_drive")
    if target is None:
        return next((medium.target for medium in media if medium.path is None), media[0].target)
    if target not in [medium.target for medium in media]:
        raise InvalidInput(
            f"It has no drive {target!r}.",
            code="no_such_drive",
            hint=f"It has: {', '.join(medium.target for medium in media)}.",
            fields=[{"field": "target", "message": "is unknown"}],
        )
    return target
