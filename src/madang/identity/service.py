"""People and what is done with them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import sign_ins, tables
from madang.identity.accounts import Accounts
from madang.identity.audit import Audit
from madang.identity.links import Links
from madang.identity.model import (
    DISPLAY_NAME_LONGEST,
    Actor,
    Language,
    Person,
    Role,
    Visitor,
    actor_of,
    checked_name,
    checked_roles,
    checked_text,
    is_name,
    permissions_of,
)
from madang.identity.records import encode_roles, new_id, person_of
from madang.identity.settings import IdentitySettings
from madang.kernel import clock
from madang.kernel.database import retried
from madang.kernel.errors import Conflict, NotFound
from madang.kernel.ground import Ground


class People:
    """The use cases of administrators, and of everybody with their own record."""

    def __init__(self, ground: Ground) -> None:
        settings = ground.settings[IdentitySettings]
        self._database = ground.database
        self._events = ground.events
        self._accounts = Accounts(settings)
        self._links = Links(ground.settings)
        self._audit = Audit(ground)

    async def all(self) -> list[Person]:
        """Everybody, by name."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tables.people).order_by(tables.people.c.name))).mappings()
            return [person_of(row, self._accounts) for row in rows]

    async def get(self, person: str) -> Person:
        """By id. Raises NotFound."""
        async with self._database.read() as connection:
            return await self._read(connection, person)

    async def by_name(self, name: str) -> Person:
        """Raises NotFound."""
        row = None
        if is_name(name):
            async with self._database.read() as connection:
                query = select(tables.people).where(tables.people.c.name == name)
                row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is nobody called {name!r}.", code="person_not_found", hint="madang people list")
        return person_of(row, self._accounts)

    async def an_administrator(self) -> Person:
        """The one who has been it the longest. Raises NotFound."""
        people = [person for person in await self.all() if "admin" in person.roles and not person.disabled]
        if not people:
            raise NotFound("There is no administrator yet.", code="person_not_found", hint="madang up makes the first.")
        return min(people, key=lambda person: person.created_at)

    async def add(
        self, by: Actor, name: str, *, display_name: str = "", roles: tuple[Role, ...], account: str | None = None
    ) -> tuple[Person, str]:
        """A new person and the one-time link that lets them in the first time; no password is made up.

        Raises InvalidInput, Conflict `name_taken`, AccountNotCreated.
        """
        name, roles = checked_name(name), checked_roles(roles)
        display_name = checked_text("display_name", display_name or name, DISPLAY_NAME_LONGEST)
        await self._refuse_taken(name)
        if account is not None or "desktops.use" in permissions_of(roles):
            account = await self._accounts.settle(account, name, create=True)
        return await self._introduce(by, name, display_name, roles, account)

    async def add_without_account(self, by: Actor, name: str, roles: tuple[Role, ...]) -> tuple[Person, str]:
        """As `add`, for somebody who cannot have desktops yet."""
        return await self._introduce(by, name, name, roles, None)

    async def change(
        self,
        by: Actor,
        person: str,
        *,
        display_name: str | UnsetType = UNSET,
        roles: tuple[Role, ...] | UnsetType = UNSET,
        account: str | UnsetType | None = UNSET,
        disabled: bool | UnsetType = UNSET,
    ) -> Person:
        """Change what is given. Who is disabled loses sign-ins, links and API tokens at once.

        Raises NotFound, InvalidInput, Conflict `last_administrator`.
        """
        values: dict[str, Any] = {}
        if not isinstance(display_name, UnsetType):
            values["display_name"] = checked_text("display_name", display_name, DISPLAY_NAME_LONGEST)
        if not isinstance(roles, UnsetType):
            values["roles"] = encode_roles(checked_roles(roles))
        if not isinstance(disabled, UnsetType):
            values["disabled"] = disabled
        if not isinstance(account, UnsetType):
            known = await self.get(person)
            values["account"] = await self._accounts.settle(account, known.name, create=False) if account else None
        before, after = await self._store(by, person, values)
        await self._events.publish("person.changed", {"person": person}, person=person)
        if after.disabled and not before.disabled:
            await self._events.publish("person.disabled", {"person": person}, person=person)
        return after

    async def change_self(
        self, visitor: Visitor, *, display_name: str | UnsetType = UNSET, language: Language | UnsetType | None = UNSET
    ) -> Person:
        """What everybody may change about themselves. Raises InvalidInput."""
        values: dict[str, Any] = {}
        if not isinstance(display_name, UnsetType):
            values["display_name"] = checked_text("display_name", display_name, DISPLAY_NAME_LONGEST)
        if not isinstance(language, UnsetType):
            values["language"] = language
        _, after = await self._store(actor_of(visitor), visitor.person.id, values)
        await self._events.publish("person.changed", {"person": after.id}, person=after.id)
        return after

    async def reset_password(self, by: Actor, person: str) -> str:
        """Take the password away, end all sign-ins, and return a one-time link. Raises NotFound, Conflict."""
        link = await self._take_password(by, person)
        await self._events.publish("person.signed_out", {"person": person, "sign_in": None}, person=person)
        return link

    @retried
    async def make_link(self, by: Actor, person: str) -> str:
        """A one-time sign-in link; the password stays. Raises NotFound, Conflict."""
        async with self._database.write() as connection:
            known = await self._enabled(connection, person)
            link = await self._links.make(connection, person)
            await self._audit.enter(connection, by, "link.made", known.name)
        return link

    async def _refuse_taken(self, name: str) -> None:
        # Before an account is created; the unique index decides in the end.
        async with self._database.read() as connection:
            if (await connection.execute(select(tables.people.c.id).where(tables.people.c.name == name))).scalar():
                raise _name_taken(name)

    async def _introduce(
        self, by: Actor, name: str, display_name: str, roles: tuple[Role, ...], account: str | None
    ) -> tuple[Person, str]:
        person, link = await self._insert(by, name, display_name, roles, account)
        await self._events.publish("person.changed", {"person": person.id}, person=person.id)
        return person, link

    @retried
    async def _insert(
        self, by: Actor, name: str, display_name: str, roles: tuple[Role, ...], account: str | None
    ) -> tuple[Person, str]:
        person_id = new_id()
        values = {
            "id": person_id,
            "name": name,
            "display_name": display_name,
            "roles": encode_roles(roles),
            "account": account,
            "language": None,
            "disabled": False,
            "created_at": clock.now(),
            "version": 1,
        }
        async with self._database.write() as connection:
            try:
                await connection.execute(insert(tables.people).values(values))
            except IntegrityError as error:
                raise _name_taken(name) from error
            link = await self._links.make(connection, person_id)
            await self._audit.enter(connection, by, "person.added", name, detail=", ".join(roles))
            person = await self._read(connection, person_id)
        return person, link

    @retried
    async def _take_password(self, by: Actor, person: str) -> str:
        async with self._database.write() as connection:
            known = await self._enabled(connection, person)
            table = tables.people
            values = {"password": None, "version": table.c.version + 1}
            await connection.execute(update(table).where(table.c.id == person).values(values))
            await sign_ins.end(connection, person)
            link = await self._links.make(connection, person)
            await self._audit.enter(connection, by, "password.reset", known.name)
        return link

    async def _read(self, connection: AsyncConnection, person: str) -> Person:
        query = select(tables.people).where(tables.people.c.id == person)
        row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such person.", code="person_not_found")
        return person_of(row, self._accounts)

    async def _enabled(self, connection: AsyncConnection, person: str) -> Person:
        known = await self._read(connection, person)
        if known.disabled:
            raise Conflict(f"{known.name} is disabled.", code="person_disabled", hint="Enable the person first.")
        return known

    @retried
    async def _store(self, by: Actor, person: str, values: dict[str, Any]) -> tuple[Person, Person]:
        """The person before and after the change."""
        async with self._database.write() as connection:
            before = await self._read(connection, person)
            after = await self._write(connection, by, before, values)
            if after.disabled and not before.disabled:
                await self._shut_out(connection, person)
        return before, after

    async def _write(self, connection: AsyncConnection, by: Actor, before: Person, values: dict[str, Any]) -> Person:
        if not values:
            return before
        table = tables.people
        unchanged = (table.c.id == before.id) & (table.c.version == before.version)
        statement = update(table).where(unchanged).values({**values, "version": before.version + 1})
        if (await connection.execute(statement)).rowcount != 1:
            raise Conflict("Somebody else changed this person at the same moment.", hint="Look again and repeat.")
        after = await self._read(connection, before.id)
        await _keep_an_administrator(connection, before, after)
        await self._audit.enter(connection, by, _action(before, after), before.name, detail=_difference(before, after))
        return after

    async def _shut_out(self, connection: AsyncConnection, person: str) -> None:
        await sign_ins.end(connection, person)
        await connection.execute(delete(tables.api_tokens).where(tables.api_tokens.c.person == person))
        await connection.execute(delete(tables.sign_in_links).where(tables.sign_in_links.c.person == person))


async def _keep_an_administrator(connection: AsyncConnection, before: Person, after: Person) -> None:
    was, still = ("admin" in p.roles and not p.disabled for p in (before, after))
    if not was or still:
        return
    table = tables.people
    enabled = table.c.roles.contains('"admin"', autoescape=True) & table.c.disabled.is_(False)
    if not (await connection.execute(select(func.count()).select_from(table).where(enabled))).scalar():
        raise Conflict(
            f"{before.name} is the last administrator.",
            code="last_administrator",
            hint="Make somebody else an administrator first.",
        )


def _action(before: Person, after: Person) -> str:
    if after.disabled != before.disabled:
        return "person.disabled" if after.disabled else "person.enabled"
    return "person.changed"


def _difference(before: Person, after: Person) -> str:
    pairs = [
        ("display_name", before.display_name, after.display_name),
        ("roles", ",".join(before.roles), ",".join(after.roles)),
        ("account", before.account, after.account),
        ("language", before.language, after.language),
    ]
    return "; ".join(f"{name}: {old} -> {new}" for name, old, new in pairs if old != new)


def _name_taken(name: str) -> Conflict:
    return Conflict(f"There is somebody called {name} already.", code="name_taken", hint="Choose another name.")
