"""From what machines boot: their order, one start's own, presets; and what is known of their installation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select

from madang.identity.model import Visitor, checked_text
from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import Conflict, LimitReached, NotFound
from madang.kernel.ids import short_id
from madang.machines.hosts.shapes import BootOrder
from madang.machines.model import Installation, Machine
from madang.machines.rules import pending
from madang.machines.service import Machines
from madang.machines.suggestions import STAY, suggestions
from madang.machines.tables import boot_presets
from madang.machines.wishes import NAME_LONGEST


class BootPreset(msgspec.Struct, frozen=True):
    """A boot order with a name; one without a person is the site's."""

    id: str
    person_id: str | None
    name: str
    boot_order: BootOrder
    created_at: float = 0.0


class Boot:
    def __init__(self, machines: Machines, database: Database) -> None:
        self._machines = machines
        self._database = database

    async def order(
        self, visitor: Visitor, machine_id: str, order: BootOrder, *, now: bool, etag: str | None
    ) -> tuple[Machine, bool]:
        """Keep another order; `now` restarts a machine that runs. Raises StaleEdit, NotFound."""
        machine = await self._machines.operated(visitor, machine_id)
        return await self._machines.act(visitor, machine, "boot_order", {"boot_order": order, "now": now}, etag)

    async def apply(self, visitor: Visitor, machine_id: str, etag: str | None) -> tuple[Machine, bool]:
        """Restart it, so that it has what is pending. Raises Conflict (nothing_pending)."""
        machine = await self._machines.operated(visitor, machine_id)
        _refuse_without_pending(machine)
        return await self._machines.act(visitor, machine, "restart", etag=etag)

    async def discard(self, visitor: Visitor, machine_id: str, etag: str | None) -> tuple[Machine, bool]:
        """Keep the order that was kept when its run began. Raises Conflict (nothing_pending)."""
        machine = await self._machines.operated(visitor, machine_id)
        _refuse_without_pending(machine, "boot_order")
        assert machine.run is not None
        if machine.run.kept is None:
            raise Conflict("Its order before is none of ours.", code="order_unknown", hint="Choose an order.")
        return await self._machines.act(visitor, machine, "boot_order", {"boot_order": machine.run.kept}, etag)

    async def once(self, visitor: Visitor, machine_id: str, order: BootOrder | None, etag: str | None) -> Machine:
        """The order that the next start alone takes; None: the kept one. Raises StaleEdit."""
        machine = await self._machines.operated(visitor, machine_id)
        why = "asked" if order is not None else None
        return await self._machines.edit(machine, etag, next_boot=order, next_boot_why=why)

    # Installation.

    async def complete(
        self, visitor: Visitor, machine_id: str, *, eject: bool, order: BootOrder | None, snapshot: str = ""
    ) -> tuple[Machine, bool]:
        """Its system is installed. Order and media stay as they are unless they are to change. A snapshot of this title
        is taken of it then."""
        machine = await self._machines.operated(visitor, machine_id)
        if not eject and order is None and not snapshot:
            return await self.installation(visitor, machine_id, Installation.INSTALLED), True
        title = checked_text("snapshot", snapshot, NAME_LONGEST) if snapshot else None
        given = {"eject": eject, "boot_order": order, "snapshot": title}
        return await self._machines.act(visitor, machine, "complete", given)

    async def installation(self, visitor: Visitor, machine_id: str, status: Installation) -> Machine:
        """Tell by hand how far it is; nothing else changes."""
        machine = await self._machines.operated(visitor, machine_id)
        installed_at = (machine.installed_at or clock.now()) if status is Installation.INSTALLED else None
        return await self._machines.edit(
            machine, None, installation=status, installed_at=installed_at, sign=None, dismissed=()
        )

    async def dismiss(self, visitor: Visitor, machine_id: str, code: str) -> Machine:
        """Do not show a suggestion any more. Raises NotFound, Conflict (suggestion_stays)."""
        machine = await self._machines.operated(visitor, machine_id)
        if code not in [one.code for one in suggestions(machine)]:
            raise NotFound("There is no such suggestion now.", code="suggestion_not_found")
        if code in STAY:
            raise Conflict("It would not start as it is.", code="suggestion_stays", hint="Do one of what is offered.")
        if code == "changed_outside":
            return await self._machines.edit(machine, None, outside=())
        if code == "grow_inside":
            return await self._machines.edit(machine, None, grew_at=None)
        return await self._machines.edit(machine, None, dismissed=(*machine.dismissed, code))

    # Presets.

    async def presets(self, visitor: Visitor) -> Sequence[BootPreset]:
        """The site's, then one's own."""
        site = self._machines.settings.presets()
        own = select(boot_presets).where(boot_presets.c.person_id == visitor.person.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(own.order_by(boot_presets.c.created_at))).mappings()
            mine = [BootPreset(**row) for row in rows]
        return [*(BootPreset(f"site:{name}", None, name, order) for name, order in site.items()), *mine]

    async def add_preset(self, visitor: Visitor, name: str, order: BootOrder) -> BootPreset:
        """Raises InvalidInput, LimitReached."""
        preset = BootPreset(
            short_id(12),
            visitor.person.id,
            checked_text("name", name, NAME_LONGEST),
            order,
            clock.now(),
        )
        await self._store(preset, self._machines.settings.presets_per_person)
        return preset

    @retried
    async def _store(self, preset: BootPreset, most: int) -> None:
        mine = select(boot_presets.c.id).where(boot_presets.c.person_id == preset.person_id)
        async with self._database.write() as connection:
            if len((await connection.execute(mine)).all()) >= most:
                raise LimitReached(f"You have {most} presets already.", hint="Delete one of them.", limit=most)
            await connection.execute(insert(boot_presets).values(**msgspec.structs.asdict(preset)))

    @retried
    async def remove_preset(self, visitor: Visitor, preset_id: str) -> None:
        """Raises NotFound, also for the site's."""
        mine = (boot_presets.c.id == preset_id, boot_presets.c.person_id == visitor.person.id)
        async with self._database.write() as connection:
            if not (await connection.execute(delete(boot_presets).where(*mine))).rowcount:
                raise NotFound("There is no such preset of yours.", code="preset_not_found")


def _refuse_without_pending(machine: Machine, what: str | None = None) -> None:
    if not any(what in (None, one.what) for one in pending(machine)):
        raise Conflict("Nothing waits for the next start.", code="nothing_pending")
