"""Coming in and going out: sign in, redeem a link, set a password, sign out."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import cookies, sign_ins, tables
from madang.identity.accounts import Accounts
from madang.identity.attempts import Attempts
from madang.identity.audit import Audit
from madang.identity.background import background_of
from madang.identity.links import Link, LinkInvalid, Links
from madang.identity.local import LocalAccounts
from madang.identity.model import Actor, Visitor, actor_of, checked_password, invalid, is_name
from madang.identity.passwords import Passwords
from madang.identity.providers import Identified, SignInProvider
from madang.identity.records import person_of
from madang.identity.settings import IdentitySettings
from madang.identity.sign_ins import Device
from madang.identity.tokens import refuse_token
from madang.kernel import clock
from madang.kernel.database import retried
from madang.kernel.errors import Conflict, NotFound, NotSignedIn
from madang.kernel.ground import Ground


class WrongCredentials(NotSignedIn):
    code = "wrong_credentials"
    title = "Name or password is wrong"


class SignedIn(msgspec.Struct, frozen=True):
    """Who came in, and the cookie for their browser."""

    visitor: Visitor
    cookie: str
    seconds: float


class Entrance:
    """The use cases of somebody who comes in or goes out."""

    def __init__(self, ground: Ground, passwords: Passwords, provider: SignInProvider | None = None) -> None:
        self._ground = ground
        self._database = ground.database
        self._settings = ground.settings[IdentitySettings]
        self._accounts = Accounts(self._settings)
        self._attempts = Attempts(ground.live, self._settings)
        self._passwords = passwords
        self._links = Links(ground.settings)
        self._audit = Audit(ground)
        self._provider = provider or LocalAccounts(ground.database, passwords, background_of(ground))

    async def sign_in(self, name: str, password: str, device: Device, cookie: str | None = None) -> SignedIn:
        """By name and password; `cookie` is the Cookie header, a sign-in it carries ends.

        Raises WrongCredentials, whatever was wrong, and TooManyAttempts.
        """
        name = name.strip().lower()
        await self._attempts.refuse_locked(name, device.address)
        async with self._passwords.turn():
            # Again: who waited for a turn may have been locked by those before. So no burst gets more tries.
            await self._attempts.refuse_locked(name, device.address)
            identified = await self._provider.identify({"name": name, "password": password})
            locked = False if identified else await self._attempts.failed(name, device.address)
        if identified is None:
            await self._record_refused(name, device, locked)
            raise _wrong_credentials()
        await self._attempts.succeeded(name)
        return await self._admit(identified, device, cookie)

    async def redeem(self, token: str, device: Device, cookie: str | None = None) -> SignedIn:
        """By a one-time link. Raises LinkInvalid."""
        async with self._database.read() as connection:
            link = await self._links.find(connection, token)
        signed_in = await self._admit_by_link(link, device, cookie)
        await self._attempts.succeeded(signed_in.visitor.person.name)
        return signed_in

    async def set_password(self, visitor: Visitor, current: str | None, new: str) -> tuple[str, float]:
        """Change one's password, or set the first. Other sign-ins end; returns this one's new cookie and its seconds.

        Raises Forbidden for an API token, InvalidInput (`wrong_password`, `password_weak`), TooManyAttempts.
        """
        refuse_token(visitor)
        assert visitor.sign_in is not None
        person, table = visitor.person, tables.people
        checked_password(new, person.name)
        async with self._database.read() as connection:
            stored = (await connection.execute(select(table.c.password).where(table.c.id == person.id))).scalar()
        counted = f"current:{person.id}"
        await self._attempts.refuse_locked(counted, visitor.address)
        async with self._passwords.turn():
            await self._attempts.refuse_locked(counted, visitor.address)
            if stored is not None and not await self._passwords.check(stored, current or ""):
                await self._attempts.failed(counted, visitor.address)
                raise invalid("current_password", "This is not your current password.", code="wrong_password")
            if stored is not None and current == new:
                raise invalid("new_password", "This is the password you have.", code="password_weak")
            hashed = await self._passwords.hash(new)
        await self._attempts.succeeded(counted)
        ended, renewed = await self._store_password(visitor, visitor.sign_in, stored, hashed)
        await self._tell(person.id, ended)
        return renewed

    async def sign_out(self, visitor: Visitor) -> None:
        """End the sign-in of this browser; an API token has none."""
        if visitor.sign_in is not None:
            await self._end(visitor, visitor.sign_in, "sign_out")

    async def end_sign_in(self, visitor: Visitor, sign_in: str) -> None:
        """End one of one's own sign-ins. Raises NotFound."""
        if not await self._end(visitor, sign_in, "sign_in.ended"):
            raise NotFound("You have no such sign-in.")

    async def sign_out_everywhere(self, visitor: Visitor) -> None:
        """End all sign-ins of the person. API tokens stay; each can be revoked."""
        await self._end_all(visitor)
        await self._tell(visitor.person.id, [None])

    async def sign_ins_of(self, visitor: Visitor) -> list[dict[str, Any]]:
        """The person's sign-ins, the last seen first."""
        table, now = tables.sign_ins, clock.now()
        query = (
            select(table)
            .where(table.c.person == visitor.person.id, table.c.expires_at > now)
            .where(table.c.last_seen_at > now - self._settings.idle_hours * 3600)
            .order_by(table.c.last_seen_at.desc(), table.c.created_at.desc())
        )
        async with self._database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    @retried
    async def _admit(self, identified: Identified, device: Device, cookie: str | None) -> SignedIn:
        async with self._database.write() as connection:
            return await self._open(connection, identified.person, device, cookie, identified.provider)

    @retried
    async def _admit_by_link(self, link: Link, device: Device, cookie: str | None) -> SignedIn:
        async with self._database.write() as connection:
            await self._links.use(connection, link)
            try:
                return await self._open(connection, link.person, device, cookie, "link")
            except WrongCredentials as error:
                raise LinkInvalid("The person is disabled.") from error

    @retried
    async def _store_password(
        self, visitor: Visitor, sign_in: str, before: str | None, hashed: str
    ) -> tuple[list[str], tuple[str, float]]:
        """The sign-ins that ended, and this one's new cookie and its seconds."""
        person, table = visitor.person, tables.people
        async with self._database.write() as connection:
            unchanged = (table.c.id == person.id) & (table.c.password.is_not_distinct_from(before))
            values = {"password": hashed, "password_set_at": clock.now(), "version": table.c.version + 1}
            if (await connection.execute(update(table).where(unchanged).values(values))).rowcount != 1:
                raise Conflict("The password was changed at the same moment.", hint="Sign in with the new one.")
            ended = await sign_ins.end(connection, person.id, but=sign_in)
            await self._links.withdraw(connection, person.id)
            renewed = await sign_ins.renew(connection, sign_in, self._settings.rotate_overlap_seconds)
            await self._audit.enter(connection, actor_of(visitor), "password.set", person.name)
        return ended, renewed

    async def _open(
        self, connection: AsyncConnection, person: str, device: Device, cookie: str | None, how: str
    ) -> SignedIn:
        table = tables.people
        here = (table.c.id == person) & (table.c.disabled.is_(False))
        if (await connection.execute(update(table).where(here).values(last_sign_in_at=clock.now()))).rowcount != 1:
            raise _wrong_credentials()
        row = (await connection.execute(select(table).where(table.c.id == person))).mappings().one()
        await self._end_replaced(connection, cookie)
        opened = await sign_ins.open_sign_in(connection, person, device, self._settings)
        by = Actor(person, row["name"], device.address)
        await self._audit.enter(connection, by, "sign_in", by.name, detail=how)
        visitor = Visitor(
            person=person_of(row, self._accounts),
            via="cookie",
            sign_in=opened.sign_in,
            must_set_password=row["password"] is None,
            address=device.address,
        )
        return SignedIn(visitor, opened.cookie, opened.seconds)

    async def _end_replaced(self, connection: AsyncConnection, cookie: str | None) -> None:
        """The browser's former sign-in, if the cookie proves it, has no cookie any more: it ends."""
        if (parsed := cookies.parse(cookie)) is None:
            return
        row = (await connection.execute(sign_ins.FIND, {"sign_in": parsed[0]})).mappings().one_or_none()
        if row is not None and cookies.same(cookies.digest(parsed[1]), row["secret_hash"]):
            await sign_ins.end(connection, row["person"], only=row["id"])

    async def _end(self, visitor: Visitor, sign_in: str, action: str) -> bool:
        ended = await self._end_one(visitor, sign_in, action)
        await self._tell(visitor.person.id, ended)
        return bool(ended)

    @retried
    async def _end_one(self, visitor: Visitor, sign_in: str, action: str) -> list[str]:
        async with self._database.write() as connection:
            ended = await sign_ins.end(connection, visitor.person.id, only=sign_in)
            if ended:
                await self._audit.enter(connection, actor_of(visitor), action, sign_in)
        return ended

    @retried
    async def _end_all(self, visitor: Visitor) -> None:
        async with self._database.write() as connection:
            await sign_ins.end(connection, visitor.person.id)
            await self._audit.enter(connection, actor_of(visitor), "sign_out.everywhere", visitor.person.name)

    async def _record_refused(self, name: str, device: Device, locked: bool) -> None:
        """Only names of people go into the trail: another may be a password typed into the wrong field."""
        known = None
        if is_name(name):
            async with self._database.read() as connection:
                query = select(tables.people.c.id).where(tables.people.c.name == name)
                known = (await connection.execute(query)).scalar()
        by = Actor(known, name if known else "unknown", device.address)
        detail = "locked for a while" if locked else ""
        self._audit.record_by(by, "sign_in", name if known else "", outcome="refused", detail=detail)

    async def _tell(self, person: str, ended: list[str] | list[None]) -> None:
        """`person.signed_out`; its sign_in None: all of the person's."""
        for sign_in in ended:
            said = {"person": person, "sign_in": sign_in}
            await self._ground.events.publish("person.signed_out", said, person=person)


def _wrong_credentials() -> WrongCredentials:
    return WrongCredentials("There is nobody with this name and password.", hint="Check both and try again.")
