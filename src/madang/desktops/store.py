"""Sessions in the database: each change is guarded by the record's version."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, insert, select, update

from madang.compute.order import Stage
from madang.desktops.model import Session, State
from madang.desktops.tables import sessions
from madang.kernel.database import Database
from madang.kernel.errors import Failure, LimitReached

_stages = msgspec.json.Decoder(tuple[Stage, ...])
_failure = msgspec.json.Decoder(Failure)


class Stale(Exception):
    """The record was changed by somebody else in the meantime: read it again and decide anew."""


class Sessions:
    """The stored sessions of one service."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._mine = sessions.c.service == service

    async def get(self, session_id: str) -> Session | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(self._mine, sessions.c.id == session_id))).first()
        return _session(row._mapping) if row else None

    async def running(self) -> Sequence[Session]:
        """Every session that is not over."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(sessions).where(self._mine, sessions.c.ended_at.is_(None)))
            return [_session(row) for row in rows.mappings()]

    async def versions(
        self, *, person_id: str | None, ended_since: float, limit: int, offset: int
    ) -> Sequence[tuple[str, int]]:
        """Id and version of a person's (None: everybody's) sessions, newest first."""
        chosen = select(sessions.c.id, sessions.c.version).where(
            self._mine, sessions.c.ended_at.is_(None) | (sessions.c.ended_at > ended_since)
        )
        if person_id is not None:
            chosen = chosen.where(sessions.c.person_id == person_id)
        ordered = chosen.order_by(sessions.c.created_at.desc(), sessions.c.id).limit(limit).offset(offset)
        async with self._database.read() as connection:
            return [(row[0], row[1]) for row in await connection.execute(ordered)]

    async def many(self, ids: Sequence[str]) -> Sequence[Session]:
        found: list[Session] = []
        async with self._database.read() as connection:
            for begin in range(0, len(ids), 500):  # a statement holds a limited number of values
                part = select(sessions).where(self._mine, sessions.c.id.in_(ids[begin : begin + 500]))
                found += [_session(row) for row in (await connection.execute(part)).mappings()]
        return found

    async def add(self, session: Session, *, most: int) -> Session:
        """Store a new session; one without a name is numbered. Raises LimitReached when its person has `most`."""
        mine = (self._mine, sessions.c.person_id == session.person_id, sessions.c.ended_at.is_(None))
        async with self._database.write() as connection:
            names = list((await connection.execute(select(sessions.c.name).where(*mine))).scalars())
            if len(names) >= most:
                raise LimitReached(
                    f"You have {len(names)} running desktops; the limit is {most}.",
                    hint="End one of them, or ask the site's operator for a higher limit.",
                    limit=most,
                )
            if not session.name:
                session = msgspec.structs.replace(session, name=_free_name(names))
            await connection.execute(insert(sessions).values(**_row(session)))
        return session

    async def change(self, session: Session, **values: Any) -> Session:
        """Store the session with some values changed. Raises Stale when it is not the newest version."""
        changed = msgspec.structs.replace(session, **values, version=session.version + 1)
        guarded = update(sessions).where(sessions.c.id == session.id, sessions.c.version == session.version)
        row = _row(changed)
        columns = {name: row[name] for name in (*values, "version")}
        async with self._database.write() as connection:
            if (await connection.execute(guarded.values(**columns))).rowcount != 1:
                raise Stale(session.id)
        return changed

    async def forget(self, *, ids: Sequence[str] = (), ended_before: float = 0.0) -> Sequence[tuple[str, str]]:
        """Remove sessions that are over: those named, and those that ended long ago.

        Gives the id and the person's id of each.
        """
        old = sessions.c.id.in_(ids) | (sessions.c.ended_at < ended_before)
        chosen = delete(sessions).where(self._mine, sessions.c.ended_at.is_not(None), old)
        async with self._database.write() as connection:
            gone = await connection.execute(chosen.returning(sessions.c.id, sessions.c.person_id))
            return [(row[0], row[1]) for row in gone]


def _free_name(taken: Sequence[str]) -> str:
    return next(name for number in itertools.count(1) if (name := f"Desktop {number}") not in taken)


def _row(session: Session) -> dict[str, Any]:
    row = msgspec.structs.asdict(session)
    row["state"] = session.state.value
    row["stages"] = msgspec.json.encode(session.stages)
    row["failure"] = msgspec.json.encode(session.failure) if session.failure else None
    return row


def _session(row: RowMapping) -> Session:
    values = dict(row)
    values["state"] = State(values["state"])
    values["stages"] = _stages.decode(values["stages"])
    values["failure"] = _failure.decode(values["failure"]) if values["failure"] else None
    return Session(**values)
