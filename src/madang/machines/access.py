"""Who may do what to which machine: everything that is done to one begins here."""

from __future__ import annotations

from madang.identity.model import Visitor
from madang.kernel.errors import Forbidden, NotFound
from madang.machines.model import Machine
from madang.machines.store import MachineStore

NO_MACHINE = "There is no such machine of yours."


class Access:
    """What a visitor may do to machines. Operators' permissions are machines.see_all and machines.manage."""

    def __init__(self, store: MachineStore) -> None:
        self.store = store

    async def get(self, visitor: Visitor, machine_id: str) -> Machine:
        """The machine if it is theirs. Raises NotFound, also when it is somebody else's."""
        machine = await self.store.get(machine_id)
        if machine is None or machine.person_id != visitor.person.id:
            raise NotFound(NO_MACHINE, code="machine_not_found", hint="It may have been deleted.")
        return machine

    async def seen_by(self, visitor: Visitor, machine_id: str) -> Machine:
        """The machine if they may look at it: theirs, shared with them, or anybody's for operators. Raises NotFound."""
        machine = await self.store.get(machine_id)
        if machine is not None and (visitor.may("machines.see_all") or machine.share_of(visitor.person.id)):
            return machine
        return await self.get(visitor, machine_id)

    async def used_by(self, visitor: Visitor, machine_id: str, *, looks: bool = False) -> Machine:
        """The machine if they may use it, screen and all: theirs, or shared with them for that (`looks`: at least to
        look). Raises NotFound, Forbidden."""
        machine = await self.store.get(machine_id)
        share = machine.share_of(visitor.person.id) if machine is not None else None
        if machine is None or share is None:
            return await self.get(visitor, machine_id)
        if share.mode == "view" and not looks:
            raise Forbidden("It is shared with you to look at.", hint=f"Ask {machine.person_name} to let you use it.")
        return machine

    async def operated(self, visitor: Visitor, machine_id: str) -> Machine:
        """The machine if they may turn it on and off, and choose what it boots: as `used_by`, or operators."""
        machine = await self.store.get(machine_id) if visitor.may("machines.manage") else None
        return machine if machine is not None else await self.used_by(visitor, machine_id)

    async def managed(self, visitor: Visitor, machine_id: str) -> Machine:
        """The machine if all of it is theirs to change: its owner's, or anybody's for operators. Raises NotFound,
        Forbidden where it is shared with them."""
        machine = await self.store.get(machine_id)
        if machine is not None and visitor.may("machines.manage"):
            return machine
        if machine is not None and machine.share_of(visitor.person.id):
            raise Forbidden("Only its owner may do this.", hint=f"Ask {machine.person_name}.")
        return await self.get(visitor, machine_id)
