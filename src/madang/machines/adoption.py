"""Machines that libvirt has and we do not: they become somebody's, and nothing in them is changed."""

from __future__ import annotations

from collections.abc import Sequence

from madang.identity.model import Visitor, checked_text
from madang.identity.service import People
from madang.kernel import clock
from madang.kernel.errors import Conflict, Forbidden, NotFound, Unavailable
from madang.machines.hosts.host import Host
from madang.machines.hosts.shapes import Seen
from madang.machines.model import Machine, State
from madang.machines.rules import followed, media_of
from madang.machines.service import Machines
from madang.machines.wishes import NAME_LONGEST


class Adoption:
    def __init__(self, machines: Machines, people: People) -> None:
        self._machines = machines
        self._people = people

    async def strangers(self, visitor: Visitor) -> Sequence[tuple[Host, Seen]]:
        """Of all hosts that answer, by name. Raises Forbidden."""
        _refuse_others(visitor)
        await self._machines.fleet.ready()
        ours = {machine.id for machine in await self._machines.store.all()}
        found = []
        for host in self._machines.fleet.hosts.values():
            if host.connected:
                found += [(host, seen) for seen in (await host.snapshot()).values() if seen.uuid not in ours]
        return sorted(found, key=lambda pair: pair[1].name)

    async def adopt(self, visitor: Visitor, machine_id: str, host_name: str, person: str, name: str) -> Machine:
        """Raises Forbidden, NotFound (no_such_machine, person_not_found), Conflict (adopted_already, not_adoptable)."""
        _refuse_others(visitor)
        await self._machines.fleet.ready()
        host = self._machines.fleet.hosts.get(host_name)
        if host is None:
            raise NotFound(f"There is no host {host_name!r}.", code="no_such_host")
        if not host.connected:
            raise Unavailable(host.problem, code="host_unreachable", hint="Try again in a moment.")
        owner = await self._people.by_name(person) if person else visitor.person
        if await self._machines.store.get(machine_id) is not None:
            raise Conflict("It is somebody's already.", code="adopted_already")
        seen = await host.look(machine_id)
        kept = seen.inactive
        if not kept.disks or kept.disks[0].path is None:
            raise Conflict(
                "It has no disk that is a file.",
                code="not_adoptable",
                hint="Such a machine stays with libvirt's tools.",
            )
        disk = await host.disk(kept.disks[0].path, seen.uuid)
        machine = Machine(
            id=seen.uuid,
            person_id=owner.id,
            person_name=owner.name,
            name=checked_text("name", name or kept.title or seen.name, NAME_LONGEST),
            host=host.name,
            state=State.SHUT_OFF,
            cpus=kept.cpus,
            memory_bytes=kept.memory_bytes,
            firmware=kept.firmware,
            network=kept.network,
            disk_path=kept.disks[0].path,
            disk_bytes=disk.virtual_bytes,
            boot_order=kept.boot_order,
            created_at=clock.now(),
            media=media_of(seen, live=False),
            adopted=True,
        )
        values = followed(machine, seen, clock.now())
        machine = await self._machines.take_in(visitor, machine, values)
        return machine


def _refuse_others(visitor: Visitor) -> None:
    if not visitor.may("machines.manage"):
        raise Forbidden("Only operators take machines over.", hint="Ask an operator.")
