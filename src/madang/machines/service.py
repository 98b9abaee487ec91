"""The use cases of machines: the only room that changes a machine. Whose it is, is looked at first (access.py)."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from madang.identity.audit import Audit
from madang.identity.model import Person, Visitor, checked_text
from madang.kernel import clock
from madang.kernel.bounds import within
from madang.kernel.errors import Conflict, Forbidden, InvalidInput, LimitReached, MadangError, NotFound, Unavailable
from madang.kernel.ground import Ground
from madang.kernel.settings import SiteSettings
from madang.machines.access import Access
from madang.machines.catalogue import Catalogue
from madang.machines.fleet import Fleet
from madang.machines.journal import Journal
from madang.machines.model import Machine, Medium, Operation, OperationState, Share, State
from madang.machines.operations import Operations
from madang.machines.rules import plan_start
from madang.machines.settings import MachinesSettings
from madang.machines.showing import EncodedViews, join, operation_view, view
from madang.machines.store import MachineStore, Quota, refuse_more, refuse_stale
from madang.machines.views import MachineView, OperationView
from madang.machines.wishes import (
    LEAST_DISK,
    LEAST_MEMORY,
    NAME_LONGEST,
    Wish,
    checked_network,
    checked_notes,
    quota_of,
)

# Operations by which the further disks of a person become other ones.
DISK_KINDS = frozenset({"add_disk", "attach_disk", "detach_disk", "move_disk", "grow_disk", "restore"})


class Machines(Access):
    """The machines of a site."""

    def __init__(
        self,
        ground: Ground,
        settings: MachinesSettings,
        fleet: Fleet,
        catalogue: Catalogue,
        operations: Operations,
        store: MachineStore,
        journal: Journal,
        audit: Audit,
    ) -> None:
        super().__init__(store)
        self.settings = settings
        self.fleet = fleet
        self.catalogue = catalogue
        self.operations = operations
        self.journal = journal
        self.audit = audit
        self._ground = ground
        self._encoded = EncodedViews()
        # Set by whoever carries machines on: called with the id of one that wants a look now.
        self.wake: Callable[[str], None] = lambda _machine: None
        operations.tell = self.tell_operation
        operations.gone = self.tell_gone
        operations.host_of = fleet.host_of

    # Sharing and looking.

    async def share(
        self, visitor: Visitor, machine_id: str, person: Person, mode: Literal["view", "operate"]
    ) -> Machine:
        """Let another person look at it, or use it. Raises NotFound, Forbidden, InvalidInput."""
        machine = await self.managed(visitor, machine_id)
        if person.id == machine.person_id:
            raise InvalidInput("It is theirs already.", fields=[{"field": "person", "message": "is its owner"}])
        changed = await self.store.share(machine.id, Share(person.id, person.name, mode), person.id)
        await self._record(visitor, "share", machine, f"with {person.name}: {mode}")
        await self.tell(changed)
        return changed

    async def unshare(self, visitor: Visitor, machine_id: str, person_id: str) -> Machine:
        """No more. Silent when it was not."""
        machine = await self.managed(visitor, machine_id)
        changed = await self.store.share(machine.id, None, person_id)
        await self._record(visitor, "unshare", machine, person_id)
        await self.tell(changed)
        # What was read or told of it before may come later: by its version it is known to be old.
        news = {"id": machine.id, "version": changed.version}
        await self._ground.events.publish("machines.machine.gone", news, person=person_id)
        return changed

    async def list(self, visitor: Visitor, *, everybody: bool, limit: int, offset: int) -> bytes:
        """Machines as JSON, newest first."""
        person = None if everybody and visitor.may("machines.see_all") else visitor.person.id
        wanted = list(await self.store.versions(person_id=person, limit=limit, offset=offset))
        bodies = self._encoded.known(wanted)
        if missing := [key for key, _version in wanted if key not in bodies]:
            bodies |= self._encoded.keep(await self.store.many(missing))
        return join(wanted, bodies, await self._at_work())

    async def _at_work(self, machine_id: str | None = None) -> Mapping[str, tuple[OperationView, int]]:
        """By machine: the first of its open operations, and how many wait behind it."""
        found: dict[str, list[Operation]] = {}
        for operation in await self.journal.open(machine_id):
            found.setdefault(operation.machine_id, []).append(operation)
        return {key: (self.shown_operation(each[0]), len(each) - 1) for key, each in found.items()}

    async def shown(self, machine: Machine) -> MachineView:
        shown = view(machine)
        if at_work := (await self._at_work(machine.id)).get(machine.id):
            shown.operation, shown.queued = at_work
        return shown

    def shown_operation(self, operation: Operation) -> OperationView:
        return operation_view(operation, self.operations.can_cancel(operation))

    # Making and removing.

    async def create(self, visitor: Visitor, wish: Wish) -> tuple[Machine, bool]:
        """A new machine, and whether it is made already. What cannot be made leaves nothing.

        Raises Forbidden, InvalidInput, LimitReached, Unavailable, SiteError.
        """
        if not visitor.may("machines.use"):
            raise Forbidden("Your roles do not include machines.", hint="Ask an administrator.")
        if text := self._ground.settings[SiteSettings].maintenance:
            raise Unavailable(text, code="maintenance", title="The site is being maintained")
        return await self.make(visitor, await self._draft(visitor, wish), {"start": wish.start})

    async def make(self, visitor: Visitor, machine: Machine, given: Mapping[str, Any]) -> tuple[Machine, bool]:
        """Have a machine made that was drafted, in the way that is `given` (making.py). Raises as `create`."""
        if not visitor.may("machines.use"):
            raise Forbidden("Your roles do not include machines.", hint="Ask an administrator.")
        operation = self.operations.held(self.operations.draft(machine, "create", visitor.person.name, given))
        await self.store.add(machine, operation, self.quota())
        self.operations.begin(operation)
        await self._record(visitor, "create", machine)
        try:
            operation = await self.operations.wait(operation, self.settings.answer_seconds)
        except MadangError:
            await self.store.remove(machine.id)
            await self.tell_gone(machine)
            raise
        return await self.store.get(machine.id) or machine, operation.over

    async def _draft(self, visitor: Visitor, wish: Wish) -> Machine:
        limits = self.settings
        disk_bytes = within("disk_bytes", wish.disk_bytes, limits.disk_bytes, LEAST_DISK, limits.disk_bytes_most)
        name = checked_text("name", wish.name, NAME_LONGEST)
        cpus = within("cpus", wish.cpus, limits.cpus, 1, limits.cpus_most)
        memory = within("memory_bytes", wish.memory_bytes, limits.memory_bytes, LEAST_MEMORY, limits.memory_bytes_most)
        network = checked_network(wish.network or limits.networks[0], limits.networks)
        paths = [iso and (await self.catalogue.usable(iso)).path for iso in wish.isos]
        host = await self.fleet.place(wish.host, disk_bytes, memory)
        machine_id = str(uuid.uuid4())
        machine = Machine(
            id=machine_id,
            person_id=visitor.person.id,
            person_name=visitor.person.name,
            name=name,
            notes=checked_notes(wish.notes),
            host=host.name,
            state=State.CREATING,
            cpus=cpus,
            memory_bytes=memory,
            firmware=wish.firmware,
            network=network,
            disk_path=self.fleet.disk_path(machine_id),
            disk_bytes=disk_bytes,
            boot_order=wish.boot_order or limits.boot_order,
            created_at=clock.now(),
            # What the host will call them is seen once it has made them.
            media=tuple(Medium(f"cd{number}", path) for number, path in enumerate(paths)),
        )
        if wish.start:
            plan_start(machine)
        return machine

    async def take_in(self, visitor: Visitor, machine: Machine, values: Mapping[str, Any]) -> Machine:
        """Store a machine that there is already. Raises Conflict (adopted_already)."""
        machine = msgspec.structs.replace(machine, **values)
        await self.store.take_in(machine)
        await self._record(visitor, "adopt", machine)
        await self.tell(machine)
        return machine

    async def refuse_with_clones(self, visitor: Visitor, machine: Machine) -> None:
        """Raise Conflict while the disks of others hold only the difference to its disk. Those of other people are
        counted, not named."""
        clones = await self.store.linked_to(machine.id)
        if not clones:
            return
        own = [one.name for one in clones if one.person_id == visitor.person.id]
        foreign = len(clones) - len(own)
        said = [", ".join(own[:5])] if own else []
        said += [f"{foreign} of other people"] if foreign else []
        raise Conflict(
            f"{len(clones)} {'machine needs' if len(clones) == 1 else 'machines need'} its disk: {' and '.join(said)}.",
            code="has_clones",
            title="Others are linked to it",
            hint="Their owners can delete them, or make their disks whole." if foreign else
            "Delete them, or make their disks whole.",
            own=len(own),
            others=foreign,
        )  # fmt: skip

    def quota(self) -> Quota:
        return quota_of(self.settings)

    async def refuse_more(self, person_id: str, more: Quota) -> None:
        """Raise LimitReached when a person may not have so much more."""
        refuse_more(await self.store.used(person_id), more, self.quota())

    async def delete(self, visitor: Visitor, machine_id: str, name: str, disks: str) -> Machine | None:
        """Remove it; None once it is gone. `name` has to be its name, `disks` says whether they are kept or removed.

        Raises NotFound, InvalidInput (name_differs), Conflict (protected, machine_running, has_clones).
        """
        machine = await self.managed(visitor, machine_id)
        if name != machine.name:
            raise InvalidInput(
                "This is not the machine's name.", code="name_differs", hint="Type its name as it is shown.",
                fields=[{"field": "name", "message": "is not its name"}],
            )  # fmt: skip
        if machine.protected:
            raise Conflict("It is protected.", code="protected", hint="Take its protection off first.")
        if machine.live:
            raise Conflict("It runs.", code="machine_running", title="The machine runs", hint="Force it off first.")
        await self.refuse_with_clones(visitor, machine)
        # Whoever links a machine to its disk meanwhile makes it another edition.
        _, over = await self.act(visitor, machine, "delete", {"disks": disks}, str(machine.edition))
        return None if over else machine

    async def describe(
        self,
        visitor: Visitor,
        machine_id: str,
        etag: str | None,
        name: str | None,
        notes: str | None,
        protected: bool | None,
    ) -> Machine:
        """Give it another name or other notes, protect it or not. Raises NotFound, InvalidInput, StaleEdit."""
        machine = await self.managed(visitor, machine_id)
        given: dict[str, Any] = {
            "name": checked_text("name", name, NAME_LONGEST) if name is not None else None,
            "notes": checked_notes(notes) if notes is not None else None,
            "protected": protected,
        }
        changes = {key: value for key, value in given.items() if value is not None and value != getattr(machine, key)}
        if not changes:
            refuse_stale(machine, etag)
            return machine
        changed = await self.edit(machine, etag, **changes)
        await self._record(visitor, "describe", machine, ", ".join(changes))
        if "name" in changes and machine.state not in (State.CREATING, State.FAILED):
            with contextlib.suppress(LimitReached):  # too much waits already: libvirt's own tools show the old name
                await self.operations.add(self.operations.draft(changed, "title", visitor.person.name))
        return changed

    # What every change goes through.

    async def act(
        self,
        visitor: Visitor,
        machine: Machine,
        kind: str,
        given: Mapping[str, Any] | None = None,
        etag: str | None = None,
    ) -> tuple[Machine, bool]:
        """Have an operation done: the machine as it is then, and whether it is done already.

        Raises what it failed by; StaleEdit, NotFound, LimitReached.
        """
        if machine.state is State.CREATING and kind != "delete":
            raise Conflict("It is still being made.", code="machine_creating", hint="Try again in a moment.")
        if machine.state is State.FAILED and kind not in ("delete", "start"):
            raise Conflict("It could not be made, or is gone.", code="machine_failed", hint="Delete it, or start it.")
        operation = await self.operations.add(self.operations.draft(machine, kind, visitor.person.name, given), etag)
        said = ", ".join(f"{name} {value}" for name, value in operation.given.items() if value is not None)
        await self._record(visitor, kind, machine, said)
        operation = await self.operations.wait(operation, self.settings.answer_seconds)
        self.wake(machine.id)
        return await self.store.get(machine.id) or machine, operation.over

    async def edit(self, machine: Machine, etag: str | None, **values: Any) -> Machine:
        """Store an edit that concerns the record alone, and tell everybody who may see it. Raises StaleEdit."""
        changed = await self.store.edit(machine.id, etag, **values)
        await self.tell(changed)
        return changed

    async def note(self, machine: Machine, **values: Any) -> Machine:
        """Store what was seen. Raises Stale."""
        changed = await self.store.change(machine, **values)
        await self.tell(changed)
        return changed

    async def power(self, visitor: Visitor, machine_id: str, action: str) -> tuple[Machine, bool]:
        """Raises Conflict (no_medium, machine_running, machine_not_running)."""
        machine = await self.operated(visitor, machine_id)
        if action == "start":
            plan_start(machine)
        return await self.act(visitor, machine, action)

    async def start_again(self, machine: Machine, seen: Mapping[str, Any]) -> Machine:
        """On behalf of nobody: its guest asked for a restart that ended its run. Raises Stale.

        That it ended is stored together with the start: a portal that is killed in between would leave it off.
        """
        changed = await self.operations.follow(self.operations.draft(machine, "start", ""), machine, seen)
        await self.tell(changed)
        return changed

    async def _record(self, visitor: Visitor, action: str, machine: Machine, detail: str = "") -> None:
        foreign = f"of {machine.person_name}" if machine.person_id != visitor.person.id else ""
        said = "; ".join(word for word in (machine.name, foreign, detail) if word)
        await self.audit.record(
            f"machine.{action}", person=visitor.person, object=machine.id, address=visitor.address,
            outcome="done", detail=said,
        )  # fmt: skip

    # Operations.

    async def operations_of(self, visitor: Visitor, machine_id: str, limit: int) -> Sequence[Operation]:
        """Newest first. Raises NotFound."""
        return await self.journal.newest((await self.seen_by(visitor, machine_id)).id, limit)

    async def operation(self, visitor: Visitor, machine_id: str, operation_id: str) -> Operation:
        machine = await self.seen_by(visitor, machine_id)
        return _there(await self.journal.get(machine.id, operation_id))

    async def cancel(self, visitor: Visitor, machine_id: str, operation_id: str) -> Operation:
        """Raises NotFound, Conflict (cannot_cancel)."""
        machine = await self.managed(visitor, machine_id)
        operation = _there(await self.journal.get(machine.id, operation_id))
        if not operation.over and not self.operations.can_cancel(operation):
            raise Conflict("It cannot be stopped in the middle.", code="cannot_cancel", hint="It will end soon.")
        return _there(await self.operations.cancel(machine.id, operation_id))

    # Telling.

    async def tell(self, machine: Machine) -> None:
        """An event with the machine as it is now, for each who may see it."""
        people = [machine.person_id, *(share.person_id for share in machine.shares)]
        heard = [person for person in people if self._ground.events.heard("machines.machine", person)]
        shown = await self.shown(machine) if heard else None
        for person in heard:
            await self._ground.events.publish("machines.machine", {"machine": shown}, person=person)

    async def tell_operation(self, operation: Operation, machine: Machine | None) -> None:
        """How far it is, and the machine where that is another one by it."""
        shown = self.shown_operation(operation)
        await self._ground.events.publish("machines.operation", {"operation": shown}, person=operation.person_id)
        if (
            operation.failure is not None and machine is not None and not operation.asked_by
        ):  # nobody waits for its answer
            await self.audit.record(
                f"machine.{operation.kind}", person=None, object=operation.machine_id,
                outcome="failed", detail=f"{operation.failure.code}: {operation.failure.detail}",
            )  # fmt: skip
        if operation.over and operation.kind in DISK_KINDS:
            await self.tell_disks(operation.person_id)
        if machine is None and operation.state is not OperationState.RUNNING:
            machine = await self.store.get(operation.machine_id)
        if machine is not None:
            await self.tell(machine)

    async def tell_gone(self, machine: Machine) -> None:
        for person in (machine.person_id, *(share.person_id for share in machine.shares)):
            await self._ground.events.publish("machines.machine.gone", {"id": machine.id}, person=person)
        await self.tell_disks(machine.person_id)  # those in it are in no machine now

    async def tell_disks(self, person_id: str) -> None:
        """The further disks of a person are other ones, or elsewhere."""
        await self._ground.events.publish("machines.disks", {}, person=person_id)

    async def tell_isos(self) -> None:
        """The catalogue is another one."""
        await self._ground.events.publish("machines.isos", {})


def _there(operation: Operation | None) -> Operation:
    if operation is None:
        raise NotFound("There is no such operation.", code="operation_not_found", hint="It may be forgotten.")
    return operation
