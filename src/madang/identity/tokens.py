"""Personal API tokens: `mdg_<id>_<secret>`. The prefix lets scanners for leaked secrets know one."""

from __future__ import annotations

import msgspec
from sqlalchemy import RowMapping, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import cookies, tables
from madang.identity.audit import Audit
from madang.identity.model import Person, Visitor, actor_of, checked_text, invalid
from madang.identity.records import PERSON_COLUMNS, new_id
from madang.identity.settings import IdentitySettings
from madang.kernel import clock
from madang.kernel.database import retried
from madang.kernel.errors import Forbidden, LimitReached, NotFound
from madang.kernel.ground import Ground

PREFIX = "mdg_"
LONGEST = 120
LONGEST_NAME = 80
DAY_SECONDS = 86400.0

FIND = (
    select(tables.api_tokens, *PERSON_COLUMNS)
    .join(tables.people, tables.people.c.id == tables.api_tokens.c.person)
    .where(tables.api_tokens.c.id == bindparam("token"))
)


class Token(msgspec.Struct, frozen=True):
    """A token as its owner sees it; times in seconds since the epoch."""

    id: str
    name: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None


class Tokens:
    """The tokens of the person who asks."""

    def __init__(self, ground: Ground) -> None:
        self._database = ground.database
        self._settings = ground.settings[IdentitySettings]
        self._audit = Audit(ground)

    async def of(self, visitor: Visitor) -> list[Token]:
        table = tables.api_tokens
        columns = (table.c.id, table.c.name, table.c.created_at, table.c.expires_at, table.c.last_used_at)
        query = select(*columns).where(table.c.person == visitor.person.id).order_by(table.c.created_at.desc())
        async with self._database.read() as connection:
            return [Token(*row) for row in await connection.execute(query)]

    @retried
    async def make(self, visitor: Visitor, name: str, days: int | None) -> tuple[Token, str]:
        """A new token and its text, which is shown this once. Raises Forbidden, InvalidInput, LimitReached."""
        refuse_token(visitor)
        name = checked_text("name", name, LONGEST_NAME)
        now, secret = clock.now(), cookies.new_secret()
        token = Token(new_id(), name, now, self._expiry(now, days), None)
        table, person = tables.api_tokens, visitor.person.id
        async with self._database.write() as connection:
            count = select(func.count()).select_from(table).where(table.c.person == person)
            if ((await connection.execute(count)).scalar() or 0) >= self._settings.tokens_per_person:
                raise LimitReached(
                    f"You have {self._settings.tokens_per_person} API tokens.", hint="Revoke one that you do not need."
                )
            values = msgspec.structs.asdict(token) | {"person": person, "secret_hash": cookies.digest(secret)}
            await connection.execute(insert(table).values(values))
            await self._audit.enter(connection, actor_of(visitor), "token.made", token.id, detail=name)
        return token, f"{PREFIX}{token.id}_{secret}"

    @retried
    async def lend(self, person: Person, name: str, seconds: float) -> tuple[Token, str]:
        """A token for a command of somebody who may read the database anyway; `give_back` it afterwards."""
        now, secret = clock.now(), cookies.new_secret()
        token = Token(new_id(), name, now, now + seconds, None)
        values = msgspec.structs.asdict(token) | {"person": person.id, "secret_hash": cookies.digest(secret)}
        async with self._database.write() as connection:
            await connection.execute(insert(tables.api_tokens).values(values))
        return token, f"{PREFIX}{token.id}_{secret}"

    @retried
    async def give_back(self, token: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(tables.api_tokens).where(tables.api_tokens.c.id == token))

    @retried
    async def revoke(self, visitor: Visitor, token: str) -> None:
        """Raises NotFound when it is not there or not theirs."""
        table = tables.api_tokens
        mine = (table.c.id == token) & (table.c.person == visitor.person.id)
        async with self._database.write() as connection:
            if (await connection.execute(delete(table).where(mine))).rowcount == 0:
                raise NotFound("You have no such API token.")
            await self._audit.enter(connection, actor_of(visitor), "token.revoked", token)

    def _expiry(self, now: float, days: int | None) -> float | None:
        most = self._settings.token_days_most
        if days is None:
            return now + most * DAY_SECONDS if most else None
        if most and days > most:
            raise invalid("expires_in_days", f"An API token lives at most {most} days at this site.")
        return now + days * DAY_SECONDS


async def find_token(connection: AsyncConnection, token: str) -> RowMapping | None:
    """The row of a token that holds, joined to its person."""
    row = (await connection.execute(FIND, {"token": token})).mappings().one_or_none()
    if row is None or row["person_disabled"]:
        return None
    return row if row["expires_at"] is None or clock.now() < row["expires_at"] else None


def parse_token(text: str) -> tuple[str, str] | None:
    """Id and secret; None when it is no token of ours."""
    if not text.startswith(PREFIX) or len(text) > LONGEST:
        return None
    token, underscore, secret = text.removeprefix(PREFIX).partition("_")
    return (token, secret) if cookies.is_id(token) and underscore and secret else None


def refuse_token(visitor: Visitor) -> None:
    """What would let a leaked token outlive itself needs the browser."""
    if visitor.via == "token":
        raise Forbidden("An API token cannot do this.", code="browser_needed", hint="Sign in with a browser.")
