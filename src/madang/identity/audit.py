"""The audit trail: who did what to what, with which outcome, from where. Never a secret.

A change of what is kept here is entered in the transaction that makes it (`enter`), so there is no change without its
entry and no entry without its change. What changes nothing in this database (a refused sign-in, a desktop that was
opened) is entered in the background (`record`): it neither delays nor fails the action. When the database takes
nothing for minutes, such entries go to the log instead.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from sqlalchemy import Insert, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import tables
from madang.identity.background import background_of
from madang.identity.model import Actor, Person
from madang.kernel import clock
from madang.kernel.database import retried
from madang.kernel.ground import Ground
from madang.kernel.log import logger

log = logger("audit")
TRIES = 20
_numbers = itertools.count()


class Entry(msgspec.Struct, frozen=True):
    """One entry, in the order of the table's columns; `at` in seconds since the epoch, outcome `done` or `refused`."""

    id: int
    at: float
    person: str | None
    person_name: str
    action: str
    object: str
    outcome: str
    address: str
    detail: str


class Audit:
    """The trail of one site."""

    def __init__(self, ground: Ground) -> None:
        self._database = ground.database
        self._background = background_of(ground)

    async def enter(
        self, connection: AsyncConnection, by: Actor, action: str, what: str = "", *, detail: str = ""
    ) -> None:
        """Enter something done, as part of the transaction that does it."""
        await connection.execute(_insert(by, action, what, "done", detail))

    async def record(
        self,
        action: str,
        *,
        person: Person | None,
        object: str = "",
        address: str = "",
        outcome: str = "done",
        detail: str = "",
    ) -> None:
        """Enter it soon, for any slice. Returns at once and never fails."""
        by = Actor(person.id, person.name, address) if person else Actor(None, "", address)
        self.record_by(by, action, object, outcome=outcome, detail=detail)

    def record_by(self, by: Actor, action: str, what: str = "", *, outcome: str = "done", detail: str = "") -> None:
        """The same on behalf of somebody who is no person here."""
        self._background.put(
            f"audit:{next(_numbers)}",
            _insert(by, action, what, outcome, detail),
            tries=TRIES,
            lost=lambda: log.error(
                "an entry of the audit trail could not be kept",
                person=by.name, action=action, object=what, outcome=outcome, address=by.address,
            ),
        )  # fmt: skip

    async def newest(self, limit: int, before: int | None = None) -> list[Entry]:
        """The newest entries first; `before`: only those older than the one with this id."""
        query = select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(tables.audit.c.id < before)
        async with self._database.read() as connection:
            return [Entry(*row) for row in await connection.execute(query)]

    @retried
    async def forget(self, older_than: float) -> int:
        """Remove entries of before that moment; how many there were."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(tables.audit).where(tables.audit.c.at < older_than))).rowcount


def _insert(by: Actor, action: str, what: str, outcome: str, detail: str) -> Insert:
    values: dict[str, Any] = {
        "at": clock.now(),
        "person": by.person,
        "person_name": by.name[:80],
        "action": action[:64],
        "object": what[:200],
        "outcome": outcome[:16],
        "address": by.address[:64],
        "detail": detail[:500],
    }
    return insert(tables.audit).values(values)
