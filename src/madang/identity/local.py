"""The one provider there is: names and passwords kept here."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, update

from madang.identity import tables
from madang.identity.background import Background
from madang.identity.model import is_name
from madang.identity.passwords import Passwords
from madang.identity.providers import Identified
from madang.kernel.database import Database


class LocalAccounts:
    """Takes as long for an unknown, a disabled and a known person."""

    name = "local"

    def __init__(self, database: Database, passwords: Passwords, background: Background) -> None:
        self._database = database
        self._passwords = passwords
        self._background = background

    async def identify(self, credentials: Mapping[str, str]) -> Identified | None:
        """The caller has a turn of Passwords."""
        table, name, password = tables.people, credentials["name"], credentials["password"]
        query = select(table.c.id, table.c.password, table.c.disabled).where(table.c.name == name)
        row = None
        if is_name(name):
            async with self._database.read() as connection:
                row = (await connection.execute(query)).one_or_none()
        right = await self._passwords.check(row.password if row else None, password)
        if row is None or not right or row.disabled:
            return None
        if self._passwords.outdated(row.password):
            fresh = await self._passwords.hash(password)
            unchanged = (table.c.id == row.id) & (table.c.password == row.password)
            statement = update(table).where(unchanged).values(password=fresh)
            self._background.put(f"rehash:{row.id}", statement, tries=1, lost=lambda: None)
        return Identified(row.id, self.name)
