"""Sessions in the database: each change is guarded by the record's version."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update

from madang.compute.order import Stage
from madang.compute.sight import Waiting
from madang.desktops.model import Session, State, Terms
from madang.desktops.tables import sessions, usage
from madang.kernel.database import Database, retried
from madang.kernel.errors import Failure, LimitReached

_stages = msgspec.json.Decoder(tuple[Stage, ...])
# Those columns that hold a structure, as JSON; empty is NULL.
_structures: dict[str, msgspec.json.Decoder[Any]] = {
    "failure": msgspec.json.Decoder(Failure),
    "waiting": msgspec.json.Decoder(Waiting),
    "terms": msgspec.json.Decoder(Terms),
}


POOL = "(pool)"  # whose usage it is when nobody asked for a desktop that stood ready


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

    async def running(self, known: Mapping[str, Session] | None = None) -> Sequence[Session]:
        """Every session that is not over. Of `known`, those whose version is still the same are not read again."""
        known = known or {}
        chosen = select(sessions.c.id, sessions.c.version).where(self._mine, sessions.c.ended_at.is_(None))
        async with self._database.read() as connection:
            there = {row[0]: row[1] for row in await connection.execute(chosen)}
        same = {key: known[key] for key, version in there.items() if key in known and known[key].version == version}
        if fresh := [key for key in there if key not in same]:
            same |= {session.id: session for session in await self.many(fresh)}
        return [same[key] for key in there if key in same and not same[key].over]

    async def pooled(self, person_id: str | None = None) -> Sequence[Session]:
        """Those of the pool, ready or on their way, of one person or everybody."""
        chosen = select(sessions).where(self._mine, sessions.c.ended_at.is_(None), sessions.c.pooled_until.is_not(None))
        if person_id is not None:
            chosen = chosen.where(sessions.c.person_id == person_id)
        async with self._database.read() as connection:
            return [_session(row) for row in (await connection.execute(chosen)).mappings()]

    async def versions(
        self, *, person_id: str | None, ended_since: float, limit: int, offset: int
    ) -> Sequence[tuple[str, int]]:
        """Id and version of a person's (None: everybody's) sessions, newest first; infinity: of none that ended."""
        told: ColumnElement[bool] = sessions.c.ended_at.is_(None)
        if ended_since < math.inf:  # MariaDB knows no infinity
            told |= sessions.c.ended_at > ended_since
        chosen = select(sessions.c.id, sessions.c.version).where(self._mine, sessions.c.pooled_until.is_(None), told)
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

    @retried
    async def add(self, session: Session, *, most: int, most_of_site: int | None = None) -> Session:
        """Store a new session; one without a name is numbered.

        Raises LimitReached when its person has `most` running ones, or everybody together `most_of_site`. Those of the
        pool do not count for people, but people do for the pool.
        """
        running = (self._mine, sessions.c.ended_at.is_(None))
        mine = (*running, sessions.c.person_id == session.person_id, sessions.c.pooled_until.is_(None))
        async with self._database.write() as connection:
            names = list((await connection.execute(select(sessions.c.name).where(*mine))).scalars())
            if session.pooled_until is None:
                _refuse_more(len(names), most)
            if most_of_site is not None:
                everybody = select(func.count()).select_from(sessions).where(*running)
                if session.pooled_until is None:  # people come before the pool, which makes room for them
                    everybody = everybody.where(sessions.c.pooled_until.is_(None))
                _refuse_more_of_site(int((await connection.execute(everybody)).scalar_one()), most_of_site)
            if not session.name and session.pooled_until is None:
                session = msgspec.structs.replace(session, name=_free_name(names))
            await connection.execute(insert(sessions).values(**_row(session)))
        return session

    @retried
    async def take_from_pool(self, session: Session, *, most: int, **values: Any) -> Session:
        """Give a ready desktop of the pool to its person. Raises LimitReached, and Stale when it is not there now."""
        mine = (
            self._mine,
            sessions.c.ended_at.is_(None),
            sessions.c.person_id == session.person_id,
            sessions.c.pooled_until.is_(None),
        )
        async with self._database.write() as connection:
            names = list((await connection.execute(select(sessions.c.name).where(*mine))).scalars())
            _refuse_more(len(names), most)
            values["name"] = values.get("name") or _free_name(names)
            taken = msgspec.structs.replace(session, **values, pooled_until=None, version=session.version + 1)
            row = _row(taken)
            guarded = update(sessions).where(sessions.c.id == session.id, sessions.c.version == session.version)
            columns = {name: row[name] for name in (*values, "pooled_until", "version")}
            if (await connection.execute(guarded.values(**columns))).rowcount != 1:
                raise Stale(session.id)
        return taken

    @retried
    async def change(self, session: Session, **values: Any) -> Session:
        """Store the session with some values changed. Raises Stale when it is not the newest version."""
        changed = msgspec.structs.replace(session, **values, version=session.version + 1)
        guarded = update(sessions).where(sessions.c.id == session.id, sessions.c.version == session.version)
        row = _row(changed)
        columns = {name: row[name] for name in (*values, "version")}
        async with self._database.write() as connection:
            if (await connection.execute(guarded.values(**columns))).rowcount != 1:
                raise Stale(session.id)
            if changed.over and not session.over and session.launched_at is not None:
                row = _usage(changed)
                if session.pooled_until is not None:  # its person never asked for it
                    row |= {"person_id": "", "person_name": POOL}
                await connection.execute(insert(usage).values(**row))
        return changed

    @retried
    async def forget(self, *, ids: Sequence[str] = (), ended_before: float = 0.0) -> Sequence[tuple[str, str]]:
        """Remove sessions that are over: those named, and those that ended long ago.

        Gives the id and the person's id of each.
        """
        old = sessions.c.id.in_(ids) | (sessions.c.ended_at < ended_before)
        chosen = delete(sessions).where(self._mine, sessions.c.ended_at.is_not(None), old)
        async with self._database.write() as connection:
            gone = await connection.execute(chosen.returning(sessions.c.id, sessions.c.person_id))
            return [(row[0], row[1]) for row in gone]


def _refuse_more(running: int, most: int) -> None:
    if running >= most:
        raise LimitReached(
            f"You have {running} running desktops; the limit is {most}.",
            hint="End one of them, or ask the site's operator for a higher limit.",
            limit=most,
        )


def _refuse_more_of_site(running: int, most: int) -> None:
    if running >= most:
        raise LimitReached(
            f"{running} desktops run on this site; the limit is {most}.",
            code="site_full",
            hint="Try again later: somebody has to end one first.",
            limit=most,
        )


def _free_name(taken: Sequence[str]) -> str:
    return next(name for number in itertools.count(1) if (name := f"Desktop {number}") not in taken)


def _row(session: Session) -> dict[str, Any]:
    row = msgspec.structs.asdict(session)
    row["state"] = session.state.value
    row["stages"] = msgspec.json.encode(session.stages)
    for name in _structures:
        row[name] = msgspec.json.encode(row[name]) if row[name] is not None else None
    return row


def _session(row: RowMapping) -> Session:
    values = dict(row)
    values["state"] = State(values["state"])
    values["stages"] = _stages.decode(values["stages"])
    for name, decoder in _structures.items():
        values[name] = decoder.decode(values[name]) if values[name] else None
    return Session(**values)


def _usage(session: Session) -> dict[str, Any]:
    resources = session.terms.resources if session.terms else None
    return {
        "session_id": session.id,
        "service": session.service,
        "person_id": session.person_id,
        "person_name": session.person_name,
        "account": session.account,
        "preset_name": session.preset_name,
        "launcher": session.launcher,
        "node": session.node,
        "cpus": (resources.cpus if resources else None) or 1,
        "gpus": gpus_of(resources.gpus) if resources else 0,
        "memory_bytes": float((resources.memory_bytes if resources else None) or 0),
        "created_at": session.created_at,
        "started_at": session.started_at or (session.launched_at if session.launcher == "local" else None),
        "ended_at": session.ended_at,
        "end_reason": session.end_reason or "",
    }


def gpus_of(wish: str) -> int:
    """How many GPUs `2` or `a100:2` are."""
    count = wish.rpartition(":")[2]
    return int(count) if count.isdecimal() else (1 if wish else 0)
