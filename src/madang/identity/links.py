"""One-time sign-in links: `<site>/welcome#<token>`. The fragment is never sent, so no log of any proxy holds it."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import cookies, tables
from madang.identity.records import new_id
from madang.identity.settings import IdentitySettings
from madang.kernel import clock
from madang.kernel.errors import NotSignedIn
from madang.kernel.settings import Settings

WELCOME_PATH = "/welcome"


class LinkInvalid(NotSignedIn):
    code = "link_invalid"
    title = "This sign-in link does not work any more"


class Link(msgspec.Struct, frozen=True):
    """Whom an unused link lets in."""

    id: str
    person: str


class Links:
    """Makes and redeems links."""

    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._seconds = settings[IdentitySettings].link_minutes * 60

    async def make(self, connection: AsyncConnection, person: str) -> str:
        """A new link for a person; earlier ones that were not used stop working."""
        token, now = cookies.new_secret(), clock.now()
        await self.withdraw(connection, person)
        values = {
            "id": new_id(),
            "person": person,
            "token_hash": cookies.digest(token),
            "created_at": now,
            "expires_at": now + self._seconds,
        }
        await connection.execute(insert(tables.sign_in_links).values(values))
        return f"{self._public_url}{WELCOME_PATH}#{token}"

    async def withdraw(self, connection: AsyncConnection, person: str) -> None:
        table = tables.sign_in_links
        await connection.execute(delete(table).where(table.c.person == person, table.c.used_at.is_(None)))

    async def find(self, connection: AsyncConnection, token: str) -> Link:
        """The unused link with this token. Raises LinkInvalid."""
        table = tables.sign_in_links
        query = select(table.c.id, table.c.person).where(
            table.c.token_hash == cookies.digest(token), table.c.used_at.is_(None), table.c.expires_at > clock.now()
        )
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise _invalid()
        return Link(*row)

    async def use(self, connection: AsyncConnection, link: Link) -> None:
        """Mark it used; of several who try at once one succeeds, the others get LinkInvalid."""
        table = tables.sign_in_links
        unused = (table.c.id == link.id) & table.c.used_at.is_(None)
        if (await connection.execute(update(table).where(unused).values(used_at=clock.now()))).rowcount != 1:
            raise _invalid()


def _invalid() -> LinkInvalid:
    return LinkInvalid(
        "It was used already, is out of date, or was replaced by a newer one.",
        hint="Ask an administrator for a new one; on the machine itself: madang people link NAME",
    )
