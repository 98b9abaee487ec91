"""Templates and the machines that are made of them: by a copy of the disk, or by the difference to it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from madang.identity.model import Visitor, checked_text
from madang.kernel import clock
from madang.kernel.errors import Conflict, Forbidden
from madang.machines.hosts.shapes import Seen
from madang.machines.model import Machine, Medium, State
from madang.machines.service import Machines
from madang.machines.wishes import NAME_LONGEST
from madang.machines.work import Outcome, Room, Work


def rooms() -> dict[str, Room]:
    return {"flatten": Room(_flatten, can_cancel=True)}


async def _flatten(work: Work) -> Outcome:
    seen = await work.host.look(work.machine.id)
    target = next(drive.target for drive in seen.inactive.disks if drive.path == work.machine.disk_path)
    await work.host.flatten(work.machine.id, target, work.progress)

    def changes(_machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
        return {"parent": None}

    return Outcome(changes)


class Templates:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def offered(self, visitor: Visitor) -> Sequence[Machine]:
        """One's own, and those for everybody, by name."""
        found = await self._machines.store.templates(visitor.person.id)
        return sorted(found, key=lambda one: (one.name, one.id))

    async def declare(self, visitor: Visitor, machine_id: str, template: bool, everybody: bool | None) -> Machine:
        """Make it a template, or a machine again; `everybody`: machines may be made of it by everybody, None: as it is.

        Raises Conflict (machine_running, has_clones, machine_busy), Forbidden.
        """
        machine = await self._machines.managed(visitor, machine_id)
        if machine.state is not State.SHUT_OFF:
            raise Conflict(
                "It is not off.", code="machine_running", title="The machine runs", hint="Shut it down first."
            )
        if await self._machines.journal.open(machine.id):
            raise Conflict("Something is at work on it.", code="machine_busy", hint="Wait until that is over.")
        if not template:
            await self._machines.refuse_with_clones(visitor, machine)
        offered = template and (machine.offered if everybody is None else everybody)
        if offered and not machine.offered and not visitor.may("machines.manage"):
            raise Forbidden("Only operators offer a template to everybody.", hint="Ask an operator.")
        changed = await self._machines.edit(machine, str(machine.edition), template=template, offered=offered)
        if offered != machine.offered:
            said = f"{machine.name}; {'for everybody' if offered else 'no more for everybody'}"
            await self._machines.audit.record(
                "machine.template", person=visitor.person, object=machine.id, address=visitor.address, detail=said
            )
        return changed

    async def clone(self, visitor: Visitor, machine_id: str, name: str, *, linked: bool) -> tuple[Machine, bool]:
        """A new machine of its disk: by the template's owner, an operator, or everybody where it is for everybody.

        Raises NotFound, Conflict (not_a_template), LimitReached, InvalidInput, SiteError.
        """
        machine = await self._machines.store.get(machine_id)
        if machine is None or not (machine.template and machine.offered):
            machine = await self._machines.managed(visitor, machine_id)
        if not machine.template:
            raise Conflict(
                "Only of templates others are made.",
                code="not_a_template",
                hint="Shut it down, and make it a template.",
            )
        given = {"source": machine.disk_path, "linked": linked}
        return await self._machines.make(visitor, self.like(machine, visitor, name, linked=linked), given)

    def like(self, machine: Machine, visitor: Visitor, name: str, *, linked: bool) -> Machine:
        """A machine of somebody as this one is, that has nothing of its own yet."""
        machine_id = str(uuid.uuid4())
        return msgspec.structs.replace(
            machine,
            id=machine_id,
            person_id=visitor.person.id,
            person_name=visitor.person.name,
            name=checked_text("name", name, NAME_LONGEST),
            notes="",
            state=State.CREATING,
            boot_order=machine.boot_order or self._machines.settings.boot_order,
            disk_path=self._machines.fleet.disk_path(machine_id),
            disk_used=None,
            media=tuple(Medium(medium.target, None) for medium in machine.media),
            missing=(),
            created_at=clock.now(),
            version=1,
            edition=1,
            run=None,
            unknown_since=None,
            asked_off_at=None,
            next_boot=None,
            next_boot_why=None,
            sign=None,
            outside=(),
            dismissed=(),
            protected=False,
            adopted=False,
            template=False,
            offered=False,
            backup_plan=None,
            parent=machine.id if linked else None,
            cloned_from=machine.name,
            shares=(),
            failure=None,
        )

    async def flatten(self, visitor: Visitor, machine_id: str) -> tuple[Machine, bool]:
        """Make a linked clone's disk whole. Raises Conflict (not_linked)."""
        machine = await self._machines.managed(visitor, machine_id)
        if machine.parent is None:
            raise Conflict("Its disk is whole.", code="not_linked")
        return await self._machines.act(visitor, machine, "flatten")
