"""CPUs, memory and network of a machine: changed for its next start, at once where it does not run."""

from __future__ import annotations

from typing import Any

import msgspec

from madang.identity.model import Visitor
from madang.kernel.bounds import within
from madang.kernel.errors import Conflict
from madang.machines.hosts.shapes import Hardware as Wanted
from madang.machines.model import Machine
from madang.machines.rules import pending
from madang.machines.service import Machines
from madang.machines.store import Quota, refuse_stale
from madang.machines.wishes import LEAST_MEMORY, checked_network


class Hardware:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def change(
        self, visitor: Visitor, machine_id: str, wanted: Wanted, *, now: bool, etag: str | None
    ) -> tuple[Machine, bool]:
        """`now` restarts a machine that runs. What is None, or as it is already, is not looked at.

        Raises InvalidInput, LimitReached (quota_reached), StaleEdit, NotFound, Forbidden, Conflict (fixed_hardware).
        """
        machine = await self._machines.managed(visitor, machine_id)
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        changes = {name: value for name, value in given.items() if value != getattr(machine, name)}
        if not changes:
            refuse_stale(machine, etag)
            return machine, True
        limits = self._machines.settings
        if (cpus := changes.get("cpus")) is not None:
            within("cpus", cpus, cpus, 1, limits.cpus_most)
        if (memory := changes.get("memory_bytes")) is not None:
            within("memory_bytes", memory, memory, LEAST_MEMORY, limits.memory_bytes_most)
        if (network := changes.get("network")) is not None:
            checked_network(network, limits.networks)
        return await self._act(visitor, machine, changes, now=now, etag=etag)

    async def discard(self, visitor: Visitor, machine_id: str, etag: str | None) -> tuple[Machine, bool]:
        """Keep what it runs with. Raises Conflict (nothing_pending), LimitReached where the quota went elsewhere."""
        machine = await self._machines.managed(visitor, machine_id)
        changes: dict[str, Any] = {one.what: one.now for one in pending(machine) if one.what != "boot_order"}
        if not changes:
            raise Conflict("Nothing of its hardware waits for the next start.", code="nothing_pending")
        return await self._act(visitor, machine, changes, now=False, etag=etag)

    async def _act(
        self, visitor: Visitor, machine: Machine, changes: dict[str, Any], *, now: bool, etag: str | None
    ) -> tuple[Machine, bool]:
        more = Quota(
            cpus=max(0, changes.get("cpus", 0) - machine.cpus),
            memory_bytes=max(0, changes.get("memory_bytes", 0) - machine.memory_bytes),
        )
        await self._machines.refuse_more(machine.person_id, more)
        return await self._machines.act(visitor, machine, "hardware", {**changes, "now": now}, etag)
