"""What operators set while the site runs: limits and the maintenance notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.desktops.tables import operator_settings
from madang.kernel.database import Database, retried

Enter = Callable[[AsyncConnection], Awaitable[None]]
Kind = TypeVar("Kind", bound=msgspec.Struct)
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class PersonLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=80)]
    sessions: Count


class SiteLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Running sessions at most. None: as the settings say, or no limit of the site."""

    sessions_per_person: Count | None = None
    sessions_of_site: Count | None = None
    people: tuple[PersonLimit, ...] = ()

    def of(self, name: str, default: int) -> int:
        """How many somebody may have."""
        for one in self.people:
            if one.name == name:
                return one.sessions
        return default if self.sessions_per_person is None else self.sessions_per_person


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What everybody reads until ends_at, and whether nothing new starts from begins_at on (epoch s; None: always)."""

    text: Annotated[str, msgspec.Meta(max_length=300)] = ""
    blocks_start: bool = False
    begins_at: float | None = None
    ends_at: float | None = None

    def shown(self, now: float) -> bool:
        return bool(self.text) and (self.ends_at is None or now < self.ends_at)

    def in_force(self, now: float) -> bool:
        return self.shown(now) and (self.begins_at or 0) <= now


class Policies:
    """What operators of one service set."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._service = service

    async def limits(self) -> SiteLimits:
        return await self._get("limits", SiteLimits) or SiteLimits()

    async def notice(self) -> Notice:
        return await self._get("notice", Notice) or Notice()

    async def set_limits(self, limits: SiteLimits, enter: Enter | None = None) -> None:
        """`enter` puts an entry into the audit trail."""
        await self._set("limits", limits, enter)

    async def set_notice(self, notice: Notice, enter: Enter | None = None) -> None:
        await self._set("notice", notice, enter)

    async def _get(self, name: str, kind: type[Kind]) -> Kind | None:
        mine = operator_settings.c.service == self._service, operator_settings.c.name == name
        async with self._database.read() as connection:
            row = (await connection.execute(select(operator_settings.c.data).where(*mine))).first()
        return msgspec.json.decode(row[0], type=kind) if row else None

    @retried
    async def _set(self, name: str, value: msgspec.Struct, enter: Enter | None) -> None:
        mine = operator_settings.c.service == self._service, operator_settings.c.name == name
        row = {"service": self._service, "name": name, "version": 1, "data": msgspec.json.encode(value)}
        async with self._database.write() as connection:
            await connection.execute(delete(operator_settings).where(*mine))
            await connection.execute(insert(operator_settings).values(**row))
            if enter is not None:
                await enter(connection)
