"""Operations in the database: what is meant is written before anything is touched, one at a time for each machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import Failure, LimitReached
from madang.machines.model import OPEN, Machine, Operation, OperationState
from madang.machines.rows import operation_of, row_of_operation
from madang.machines.store import Stale, checked, find, write
from madang.machines.tables import operations

Changes = Callable[[Machine], Mapping[str, Any]]
_open = operations.c.state.in_([state.value for state in OPEN])


def held_by(operation: Operation, holder: str, since: float) -> Operation:
    """The same as a process begins with it."""
    return msgspec.structs.replace(operation, state=OperationState.RUNNING, holder=holder, started_at=since)


class Journal:
    """The stored operations."""

    def __init__(self, database: Database, queue_most: int) -> None:
        """A machine has at most `queue_most` of them waiting."""
        self._database = database
        self._queue_most = queue_most

    async def get(self, machine_id: str, operation_id: str) -> Operation | None:
        mine = (operations.c.id == operation_id, operations.c.machine_id == machine_id)
        found = await self._select(select(operations).where(*mine))
        return found[0] if found else None

    async def open(self, machine_id: str | None = None) -> Sequence[Operation]:
        """Those that are at work or wait, of one machine or of all, oldest first."""
        chosen = select(operations).where(_open)
        if machine_id is not None:
            chosen = chosen.where(operations.c.machine_id == machine_id)
        return await self._select(chosen.order_by(operations.c.created_at, operations.c.id))

    async def newest(self, machine_id: str, limit: int) -> Sequence[Operation]:
        chosen = select(operations).where(operations.c.machine_id == machine_id)
        return await self._select(chosen.order_by(operations.c.created_at.desc(), operations.c.id).limit(limit))

    async def _select(self, chosen: Any) -> Sequence[Operation]:
        async with self._database.read() as connection:
            return [operation_of(row) for row in (await connection.execute(chosen)).mappings()]

    @retried
    async def add(
        self,
        operation: Operation,
        holder: str,
        etag: str | None = None,
        *,
        edits: bool = False,
        seen: Machine | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Store one; it is the holder's at once where nothing else is at work on the machine, and waits otherwise.

        `edits`: whoever saw the machine before has seen an old one. `seen`: only while the machine is in this version,
        and `values` are noted of it at once. Raises StaleEdit, NotFound, LimitReached (too many wait), Stale.
        """
        async with self._database.write() as connection:
            machine = await checked(connection, operation.machine_id, etag)
            if seen is not None and seen.version != machine.version:
                raise Stale(machine.id)
            before = await _open_of(connection, operation.machine_id)
            if len(before) > self._queue_most:
                raise LimitReached(
                    f"{len(before)} operations of this machine wait already.",
                    code="queue_full",
                    hint="Wait until some are done, or cancel them.",
                )
            if not before:
                operation = held_by(operation, holder, clock.now())
            await connection.execute(insert(operations).values(**row_of_operation(operation)))
            # Whoever looked at the machine before does not take for somebody else's doing what this is about to do.
            edition = {"edition": machine.edition + 1} if edits else {}
            await write(connection, machine, {**(values or {}), **edition})
        return operation

    @retried
    async def follow(
        self, operation: Operation, holder: str, machine: Machine, values: Mapping[str, Any]
    ) -> tuple[Operation, Machine]:
        """Store what was seen of a machine, and the holder's operation that follows from it: never the one without the
        other. Raises Stale when the machine is another one, or something is at work on it."""
        async with self._database.write() as connection:
            if await _open_of(connection, machine.id):
                raise Stale(machine.id)
            changed = await write(connection, machine, values)
            operation = held_by(operation, holder, clock.now())
            await connection.execute(insert(operations).values(**row_of_operation(operation)))
        return operation, changed

    @retried
    async def claim(self, operation: Operation, holder: str) -> Operation:
        """Take one that waits, or that whoever held it has left. Raises Stale when somebody else was faster."""
        async with self._database.write() as connection:
            others = [one for one in await _open_of(connection, operation.machine_id) if one.id != operation.id]
            if any(one.state is OperationState.RUNNING for one in others):
                raise Stale(operation.id)
            values = {"state": OperationState.RUNNING, "holder": holder, "beat": operation.beat + 1}
            return await _write(connection, operation, {**values, "started_at": operation.started_at or clock.now()})

    @retried
    async def note(self, operation: Operation, **values: Any) -> Operation:
        """Store how far it is; whoever reads it sees that it is held. Raises Stale when it is not ours any more."""
        async with self._database.write() as connection:
            now = await _current(connection, operation)
            return await _write(connection, now, {**values, "beat": now.beat + 1})

    @retried
    async def ask_to_cancel(self, machine_id: str, operation_id: str) -> Operation | None:
        """Mark one that is to be cancelled; one that waits is over at once. None: there is none."""
        async with self._database.write() as connection:
            row = await _row(connection, operation_id)
            if row is None or row.machine_id != machine_id:
                return None
            if row.over:
                return row
            values: dict[str, Any] = {"cancel": True}
            if row.state is OperationState.QUEUED:
                values |= {"state": OperationState.CANCELLED, "ended_at": clock.now()}
            return await _write(connection, row, values)

    @retried
    async def finish(
        self,
        operation: Operation,
        state: OperationState,
        changes: Changes,
        *,
        result: Mapping[str, Any] | None = None,
        failure: Failure | None = None,
    ) -> tuple[Operation, Machine | None]:
        """Store its end and what it made of the machine, at once. Raises Stale when it is not ours any more.

        `changes` is pure and may be asked again.
        """
        async with self._database.write() as connection:
            now = await _current(connection, operation)
            values = {"state": state, "result": dict(result or {}), "failure": failure, "ended_at": clock.now()}
            over = await _write(connection, now, {**values, "progress": None, "stage": ""})
            machine = await find(connection, operation.machine_id)
            if machine is not None and (made := dict(changes(machine))):
                machine = await write(connection, machine, made)
            return over, machine

    @retried
    async def forget(self, ended_before: float) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(operations).where(operations.c.ended_at < ended_before))


async def _open_of(connection: AsyncConnection, machine_id: str) -> Sequence[Operation]:
    chosen = select(operations).where(operations.c.machine_id == machine_id, _open)
    ordered = chosen.order_by(operations.c.created_at, operations.c.id)
    return [operation_of(row) for row in (await connection.execute(ordered)).mappings()]


async def _row(connection: AsyncConnection, operation_id: str) -> Operation | None:
    row = (await connection.execute(select(operations).where(operations.c.id == operation_id))).mappings().first()
    return operation_of(row) if row else None


async def _current(connection: AsyncConnection, operation: Operation) -> Operation:
    """It as it is stored now; it may have been marked meanwhile, but has to be the same holder's still."""
    now = await _row(connection, operation.id)
    if now is None or now.over or now.holder != operation.holder:
        raise Stale(operation.id)
    return now


async def _write(connection: AsyncConnection, operation: Operation, values: Mapping[str, Any]) -> Operation:
    changed = msgspec.structs.replace(operation, **values, version=operation.version + 1)
    row = row_of_operation(changed)
    guarded = update(operations).where(operations.c.id == operation.id, operations.c.version == operation.version)
    columns = {name: row[name] for name in (*values, "version")}
    if (await connection.execute(guarded.values(**columns))).rowcount != 1:
        raise Stale(operation.id)
    return changed
