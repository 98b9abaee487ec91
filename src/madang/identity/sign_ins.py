"""Sign-ins as they are kept: one a browser, found by the id in its cookie."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.identity import cookies, tables
from madang.identity.records import PERSON_COLUMNS, new_id
from madang.identity.settings import IdentitySettings
from madang.kernel import clock

FIND = (
    select(tables.sign_ins, *PERSON_COLUMNS)
    .join(tables.people, tables.people.c.id == tables.sign_ins.c.person)
    .where(tables.sign_ins.c.id == bindparam("sign_in"))
)


class Device(msgspec.Struct, frozen=True):
    """Where a request comes from, as people see it in the list of their sign-ins."""

    address: str
    user_agent: str


class Opened(msgspec.Struct, frozen=True):
    """A new sign-in. `cookie` is the value for the browser and is kept nowhere."""

    sign_in: str
    cookie: str
    seconds: float


async def open_sign_in(connection: AsyncConnection, person: str, device: Device, settings: IdentitySettings) -> Opened:
    """Always a new id and a new secret, so that no cookie planted before can become a sign-in."""
    sign_in, secret, now = new_id(), cookies.new_secret(), clock.now()
    seconds = settings.sign_in_hours * 3600
    values = {
        "id": sign_in,
        "person": person,
        "secret_hash": cookies.digest(secret),
        "rotated_at": now,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + seconds,
        "address": device.address[:64],
        "user_agent": printable(device.user_agent)[:200],
    }
    await connection.execute(insert(tables.sign_ins).values(values))
    return Opened(sign_in, f"{sign_in}.{secret}", seconds)


async def renew(connection: AsyncConnection, sign_in: str, overlap: float) -> tuple[str, float]:
    """Give the sign-in a secret that follows from nothing known before; the new cookie and its seconds."""
    table, secret, now = tables.sign_ins, cookies.new_secret(), clock.now()
    values = {
        "previous_hash": table.c.secret_hash,
        "previous_until": now + overlap,
        "secret_hash": cookies.digest(secret),
        "rotated_at": now,
    }
    await connection.execute(update(table).where(table.c.id == sign_in).values(values))
    expires = (await connection.execute(select(table.c.expires_at).where(table.c.id == sign_in))).scalar()
    return f"{sign_in}.{secret}", (expires or now) - now


async def end(
    connection: AsyncConnection, person: str, *, only: str | None = None, but: str | None = None
) -> list[str]:
    """End all sign-ins of a person, or `only` one, or all `but` one; the ids of those ended."""
    table = tables.sign_ins
    chosen: Any = table.c.person == person
    if only is not None:
        chosen &= table.c.id == only
    if but is not None:
        chosen &= table.c.id != but
    ids = list((await connection.execute(select(table.c.id).where(chosen))).scalars())
    await connection.execute(delete(table).where(chosen))
    return ids


def good(row: RowMapping, settings: IdentitySettings) -> bool:
    """Whether the sign-in of this row still holds, whoever shows it."""
    now = clock.now()
    idle = now - row["last_seen_at"] > settings.idle_hours * 3600
    return now < row["expires_at"] and not idle and not row["person_disabled"]


def printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
