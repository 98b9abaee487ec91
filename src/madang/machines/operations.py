"""Carries operations out: one at a time for each machine, the rest wait, whoever is killed is followed by another.

An operation is stored before anything is touched. The process that stored it works on it at once; a process that finds
one that nobody holds any more (its beat stands still) takes it over, and its room completes what was begun. So a room's
work may be repeated from its beginning, and knows by `Work.again` that it may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from madang.kernel import clock, metrics
from madang.kernel.errors import Failure, MadangError, Unavailable
from madang.kernel.ids import short_id
from madang.kernel.log import logger
from madang.kernel.loops import Loop
from madang.machines.hosts.host import Host
from madang.machines.hosts.shapes import Seen
from madang.machines.journal import Journal, held_by
from madang.machines.model import Machine, Operation, OperationState, State
from madang.machines.rules import kept
from madang.machines.store import MachineStore, Stale
from madang.machines.work import BROKEN, CANCELLED, INTERRUPTED, Changes, Ended, Outcome, Room, Work, no_changes

log = logger("machines")
POLL_SECONDS = 0.1
TELL_AFTER_SECONDS = 0.2  # of what is over by then, nobody wants to know how far it is
TELL_SECONDS = 0.5  # between two notes of progress
UNREACHABLE = "host_unreachable"
IDLE_BEATS = 10  # so many go by until a process that is alone, and has nothing to do, looks again


class Operations:
    """The operations of this process."""

    def __init__(
        self,
        store: MachineStore,
        journal: Journal,
        holder: str,
        *,
        alone: Callable[[], bool],
        beat_seconds: float,
        host_seconds: float,
    ) -> None:
        """`alone`: no other process works on the same database. A beat that stands still for three times
        `beat_seconds` is nobody's. A host that is lost meanwhile has `host_seconds` to come back."""
        self.rooms: dict[str, Room] = {}
        self.host_of: Callable[[Machine], Host] = _no_host
        self.tell: Callable[[Operation, Machine | None], Awaitable[None]] = _tell_nobody
        self.gone: Callable[[Machine], Awaitable[None]] = _nobody_is_gone
        self.loop = Loop("machines operations", self.cycle, beat_seconds)
        self._store = store
        self._journal = journal
        self._holder = holder
        self._alone = alone
        self._beat_seconds = beat_seconds
        self._host_seconds = host_seconds
        self._tasks: dict[str, asyncio.Task[Ended]] = {}
        self._cancelled: set[str] = set()
        self._interruptible: set[str] = set()  # whose room is at work, or would be told too early or too late
        self._beats: dict[str, tuple[int, float]] = {}
        self._stopped = False
        self._may_rest = 0

    async def stop(self) -> None:
        """Leave what is at work to whoever comes next."""
        self._stopped = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def draft(self, machine: Machine, kind: str, by: str, given: Mapping[str, Any] | None = None) -> Operation:
        """An operation that is not stored yet."""
        return Operation(
            id=short_id(14),
            machine_id=machine.id,
            person_id=machine.person_id,
            kind=kind,
            state=OperationState.QUEUED,
            created_at=clock.now(),
            asked_by=by,
            given=dict(given or {}),
        )

    def held(self, operation: Operation) -> Operation:
        """The same as this process begins with it, for one that is stored together with its machine."""
        return held_by(operation, self._holder, operation.created_at)

    async def add(
        self, operation: Operation, etag: str | None = None, *, seen: Machine | None = None, **values: Any
    ) -> Operation:
        """Store it, and begin if nothing else is at work on the machine. `seen`, `values`: as for the journal. Raises
        StaleEdit, NotFound, LimitReached, Stale."""
        edits = self.rooms[operation.kind].edits
        operation = await self._journal.add(operation, self._holder, etag, edits=edits, seen=seen, values=values)
        if operation.state is OperationState.RUNNING:
            self.begin(operation)
        else:
            await self.tell(operation, None)
        return operation

    async def follow(self, operation: Operation, machine: Machine, values: Mapping[str, Any]) -> Machine:
        """Store what was seen of a machine together with the operation that this makes necessary, and begin with that.
        Raises Stale."""
        operation, changed = await self._journal.follow(operation, self._holder, machine, values)
        self.begin(operation)
        return changed

    def alters(self, operation: Operation) -> frozenset[str]:
        """What of the machine's record it may have made untrue, as nobody knows how far it came."""
        room = self.rooms.get(operation.kind)
        lost = operation.failure is not None and operation.failure.code == UNREACHABLE
        return room.alters if room is not None and lost else frozenset()

    async def wait(self, operation: Operation, seconds: float) -> Operation:
        """It as it is once it is over, or after so long. One that waits for others is not waited for.

        Raises what it failed by.
        """
        task = self._tasks.get(operation.id)
        if task is None:
            return operation
        done, _ = await asyncio.wait([task], timeout=seconds)
        if not done or task.cancelled():
            return operation
        ended = task.result()
        if ended.error is not None:
            raise ended.error
        return ended.operation

    def begin(self, operation: Operation, *, again: bool = False) -> None:
        """Work on one that is held by this process."""
        self._may_rest = 0
        if self._stopped:
            return
        task = asyncio.create_task(self._run(operation, again=again), name=f"operation {operation.kind}")
        self._tasks[operation.id] = task
        task.add_done_callback(lambda _task: self._tasks.pop(operation.id, None))

    async def cancel(self, machine_id: str, operation_id: str) -> Operation | None:
        """One that waits is over then; one at work ends soon, where its kind can. None: there is none."""
        before = await self._journal.get(machine_id, operation_id)
        operation = await self._journal.ask_to_cancel(machine_id, operation_id)
        if operation is not None:
            self._cancel_here(operation)
            room = self.rooms.get(operation.kind)
            ended = before is not None and not before.over and operation.state is OperationState.CANCELLED
            if ended and room is not None and room.dropped is not None:
                await room.dropped(operation)
            await self.tell(operation, None)
        return operation

    def can_cancel(self, operation: Operation) -> bool:
        room = self.rooms.get(operation.kind)
        return operation.state is OperationState.QUEUED or (room is not None and room.can_cancel)

    def _cancel_here(self, operation: Operation) -> None:
        task = self._tasks.get(operation.id)
        if task is not None and operation.cancel and self.can_cancel(operation) and operation.id not in self._cancelled:
            self._cancelled.add(operation.id)
            if operation.id in self._interruptible:
                task.cancel()

    async def cycle(self) -> str:
        """Keep what is ours, cancel what is to be cancelled, take over what nobody holds."""
        if self._alone() and self._may_rest:
            self._may_rest -= 1
            return ""
        now, standing = time.monotonic(), {}
        running: set[str] = set()
        there = await self._journal.open()
        self._may_rest = 0 if there or self._tasks else IDLE_BEATS
        for operation in there:
            if operation.id in self._tasks:
                running.add(operation.machine_id)
                self._cancel_here(operation)
                with contextlib.suppress(Stale):
                    await self._journal.note(operation)
                continue
            if operation.machine_id in running:
                continue
            running.add(operation.machine_id)  # the first of each machine; the others wait for it
            beat, since = self._beats.get(operation.id, (-1, now))
            standing[operation.id] = (operation.beat, since if beat == operation.beat else now)
            if operation.state is OperationState.QUEUED or self._abandoned(operation, now - standing[operation.id][1]):
                await self._take(operation)
        self._beats = standing
        return ""

    def _abandoned(self, operation: Operation, seconds: float) -> bool:
        mine = operation.holder == self._holder  # its end could not be stored
        return mine or operation.holder is None or self._alone() or seconds > 3 * self._beat_seconds

    async def _take(self, operation: Operation) -> None:
        again = operation.state is OperationState.RUNNING
        with contextlib.suppress(Stale):
            claimed = await self._journal.claim(operation, self._holder)
            self.begin(claimed, again=again)
            self._cancel_here(claimed)  # who asked for that may not have been heard by whoever held it

    async def _run(self, operation: Operation, *, again: bool) -> Ended:
        """Work on it to its end, store that, go on with the next one of the machine."""
        try:
            ended = await self._carry_out(operation, again=again)
        except Stale:
            return Ended(operation)  # somebody took it over: this process was stopped for long
        finally:
            self._cancelled.discard(operation.id)
        await self._next(operation.machine_id)
        return ended

    async def _next(self, machine_id: str) -> None:
        waiting = await self._journal.open(machine_id)
        if waiting and waiting[0].state is OperationState.QUEUED:
            await self._take(waiting[0])

    async def _carry_out(self, operation: Operation, *, again: bool) -> Ended:
        machine = await self._store.get(operation.machine_id)
        room = self.rooms.get(operation.kind)
        if machine is None or room is None or (again and not room.repeatable):
            return await self._over(operation, OperationState.FAILED, failure=INTERRUPTED)
        await self.tell(operation, machine)
        if operation.id in self._cancelled and await self._undone(operation, machine, again=again):
            return await self._over(operation, OperationState.CANCELLED)
        work: Work | None = None
        try:
            work = Work(operation, machine, self.host_of(machine), again=again)
            outcome = await self._with_progress(room, work)
        except asyncio.CancelledError:
            if operation.id not in self._cancelled:
                await self._leave(operation)
                raise
            return await self._over(operation, OperationState.CANCELLED)
        except MadangError as error:
            log.info("operation failed", kind=operation.kind, machine=machine.id, code=error.code)
            ended = await self._failed(operation, work, error.failure())
            return Ended(ended.operation, error)
        except Exception:
            metrics.bugs.labels("machines").inc()
            log.exception("operation failed", kind=operation.kind, machine=machine.id)
            return await self._failed(operation, work, BROKEN)
        if outcome.gone:
            await self._store.remove(machine.id)
            await self.gone(machine)
            return Ended(msgspec.structs.replace(operation, state=OperationState.DONE, ended_at=clock.now()))
        seen = await self._look(work)
        return await self._over(operation, OperationState.DONE, outcome, seen)

    async def _undone(self, operation: Operation, machine: Machine, *, again: bool) -> bool:
        """Of one that is cancelled before we begin with it; False where it has to be completed."""
        undo = self.rooms[operation.kind].undo
        if not again or undo is None:
            return True
        try:
            return await undo(Work(operation, machine, self.host_of(machine), again=True))
        except MadangError as error:
            log.info("not all could be undone", kind=operation.kind, machine=machine.id, code=error.code)
            return True

    async def _with_progress(self, room: Room, work: Work) -> Outcome:
        """The room's work; its progress is stored and told while it goes on."""
        telling = asyncio.create_task(self._tell_progress(work))
        self._interruptible.add(work.operation.id)
        try:
            try:
                return await room.run(work)
            except Unavailable as error:
                if error.code != UNREACHABLE or not room.repeatable or not await self._back(work.host):
                    raise
            work.again = True
            return await room.run(work)
        finally:
            self._interruptible.discard(work.operation.id)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _back(self, host: Host) -> bool:
        """Whether a host that was lost in the middle of it comes back soon."""
        until = time.monotonic() + self._host_seconds
        while not host.connected and time.monotonic() < until:  # noqa: ASYNC110  (a host tells one listener only)
            await asyncio.sleep(POLL_SECONDS)
        return host.connected

    async def _tell_progress(self, work: Work) -> None:
        await asyncio.sleep(TELL_AFTER_SECONDS)
        while True:
            await work.changed.wait()
            work.changed.clear()
            try:
                noted = await self._journal.note(work.operation, progress=work.share, stage=work.stage[:40])
                await self.tell(noted, None)
            except (Stale, MadangError):
                continue
            await asyncio.sleep(TELL_SECONDS)

    async def _look(self, work: Work) -> Seen | None:
        try:
            return await work.host.look(work.machine.id)
        except MadangError:
            return None  # the next look of the supervisor finds out

    async def _leave(self, operation: Operation) -> None:
        """This process stops: whoever comes next need not wait until it is known to be gone."""
        with contextlib.suppress(Stale, MadangError):
            await self._journal.note(operation, holder=None)

    async def _failed(self, operation: Operation, work: Work | None, failure: Failure) -> Ended:
        """What it did before it failed stays, and is nobody else's doing."""
        alters = self.rooms[operation.kind].alters
        seen = await self._look(work) if work is not None and alters and failure.code != UNREACHABLE else None
        return await self._over(operation, OperationState.FAILED, seen=seen, failure=failure)

    async def _over(
        self,
        operation: Operation,
        state: OperationState,
        outcome: Outcome | None = None,
        seen: Seen | None = None,
        *,
        failure: Failure | None = None,
    ) -> Ended:
        changes = outcome.changes if outcome else self._after_failure(operation, failure)
        result = outcome.result if outcome else {}
        over, machine = await self._journal.finish(
            operation, state, lambda now: changes(now, seen), result=result, failure=failure
        )
        await self.tell(over, machine)
        return Ended(over)

    def _after_failure(self, operation: Operation, failure: Failure | None) -> Changes:
        """A machine that could not be made says why; one whose host was lost is not known any more."""
        if operation.kind == "create":
            return lambda _machine, _seen: {"state": State.FAILED, "failure": failure or CANCELLED}
        room = self.rooms.get(operation.kind)
        said = (
            room.failed(failure) if room is not None and room.failed is not None and failure is not None else no_changes
        )
        if failure is not None and failure.code == UNREACHABLE:
            return lambda machine, seen: {"unknown_since": machine.unknown_since or clock.now(), **said(machine, seen)}
        alters = room.alters if room is not None else frozenset()
        return lambda machine, seen: {
            **(kept(machine, seen, alters) if seen is not None else {}),
            **said(machine, seen),
        }


def _no_host(_machine: Machine) -> Host:
    raise Unavailable("No host is known yet.", code="host_unreachable")


async def _tell_nobody(_operation: Operation, _machine: Machine | None) -> None:
    """Until somebody does."""


async def _nobody_is_gone(_machine: Machine) -> None:
    """Until somebody tells."""
