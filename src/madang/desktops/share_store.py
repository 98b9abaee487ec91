"""Shares in the database."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import RowMapping, delete, func, insert, select, update

from madang.desktops.share import Share, State
from madang.desktops.tables import sessions, shares
from madang.identity.audit import Audit
from madang.identity.model import Actor
from madang.kernel.database import Database, retried
from madang.kernel.errors import LimitReached

_columns = [shares.c[name] for name in Share.__struct_fields__]


class Shares:
    """The stored shares of one service."""

    def __init__(self, database: Database, service: str, audit: Audit) -> None:
        self._database = database
        self._mine = shares.c.service == service
        self._audit = audit

    async def get(self, share_id: str) -> Share | None:
        return await self._one(shares.c.id == share_id)

    async def by_token(self, token_hash: str) -> Share | None:
        return await self._one(shares.c.token_hash == token_hash)

    async def of_session(self, session_id: str, now: float) -> Sequence[Share]:
        """Those that hold or wait, the oldest first."""
        chosen = select(*_columns).where(
            self._mine,
            shares.c.session_id == session_id,
            shares.c.state.in_(("asked", "active")),
            shares.c.expires_at > now,
        )
        async with self._database.read() as connection:
            rows = await connection.execute(chosen.order_by(shares.c.created_at, shares.c.id))
            return [_share(row) for row in rows.mappings()]

    @retried
    async def add(self, share: Share, token_hash: str | None, by: Actor, *, most: int) -> None:
        """Store a new one. Raises LimitReached when its session has `most` of the kind that hold or wait."""
        there = select(func.count()).where(
            self._mine,
            shares.c.session_id == share.session_id,
            shares.c.via == share.via,
            shares.c.state.in_(("asked", "active")),
            shares.c.expires_at > share.created_at,
        )
        async with self._database.write() as connection:
            if int((await connection.execute(there)).scalar_one()) >= most:
                raise LimitReached(
                    f"This desktop is shared {most} times.", hint="Take one of its links back first.", limit=most
                )
            values = msgspec.structs.asdict(share) | {"token_hash": token_hash}
            await connection.execute(insert(shares).values(**values))
            action = "desktop.shared" if share.via == "link" else "desktop.view.asked"
            detail = "; ".join(filter(None, [share.id, share.mode, "guests" if share.guests else "", share.label]))
            await self._audit.enter(connection, by, action, share.session_id, detail=detail)

    @retried
    async def change(self, share: Share, state: State, expires_at: float, by: Actor) -> Share | None:
        """Move it to another state; None when somebody else has done so in the meantime."""
        guarded = update(shares).where(self._mine, shares.c.id == share.id, shares.c.state == share.state)
        async with self._database.write() as connection:
            done = await connection.execute(guarded.values(state=state, expires_at=expires_at))
            if done.rowcount != 1:
                return None
            await self._audit.enter(connection, by, _ACTIONS[share.via, state], share.session_id, detail=share.id)
        return msgspec.structs.replace(share, state=state, expires_at=expires_at)

    @retried
    async def forget(self, before: float) -> int:
        """Remove what ran out before, and what is left of sessions that are forgotten."""
        gone = shares.c.session_id.not_in(select(sessions.c.id)) | (shares.c.expires_at < before)
        async with self._database.write() as connection:
            return (await connection.execute(delete(shares).where(self._mine, gone))).rowcount

    async def _one(self, condition: object) -> Share | None:
        chosen = select(*_columns).where(self._mine, condition)  # type: ignore[arg-type]
        async with self._database.read() as connection:
            row = (await connection.execute(chosen)).mappings().first()
        return _share(row) if row else None


_ACTIONS = {
    ("link", "revoked"): "desktop.unshared",
    ("operator", "active"): "desktop.view.allowed",
    ("operator", "refused"): "desktop.view.refused",
    ("operator", "revoked"): "desktop.view.ended",
}


def _share(row: RowMapping) -> Share:
    return Share(**dict(row) | {"guests": bool(row["guests"])})
