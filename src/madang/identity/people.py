"""The first person of a site: its administrator, let in by a one-time link."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import select

from madang.identity import tables
from madang.identity.accounts import ordinary
from madang.identity.model import Actor
from madang.identity.service import People
from madang.kernel.errors import Conflict, MadangError
from madang.kernel.ground import Ground
from madang.kernel.log import logger
from madang.kernel.settings import as_root

log = logger("identity")
FIRST_NAME = "admin"
STARTER = Actor(None, "start of the portal")


async def first_administrator(ground: Ground) -> str | None:
    """A fresh one-time link for the first administrator, until some administrator has set a password; then None."""
    people, table = People(ground), tables.people
    query = select(table.c.id, table.c.disabled, table.c.password_set_at).order_by(table.c.created_at)
    async with ground.database.read() as connection:
        administrators = list(await connection.execute(query.where(table.c.roles.contains('"admin"', autoescape=True))))
        anybody = administrators or (await connection.execute(query.limit(1))).first()
    if not anybody:
        try:
            return await _create(people)
        except Conflict:  # another process was quicker; it says the link
            return None
    if any(row.password_set_at is not None for row in administrators):
        return None
    waiting = [row.id for row in administrators if not row.disabled]
    return await people.make_link(STARTER, waiting[0]) if waiting else None


async def _create(people: People) -> str:
    account = await asyncio.to_thread(_account) if as_root() else None
    try:
        _, link = await people.add(STARTER, FIRST_NAME, display_name="Administrator", roles=("admin",), account=account)
    except MadangError as error:
        if error.code == "name_taken":
            raise
        # Without an account there are no desktops for the administrator, but somebody to put that right.
        log.warning("the first administrator has no Unix account", detail=error.detail, hint=error.hint)
        _, link = await people.add_without_account(STARTER, FIRST_NAME, ("admin",))
    return link


def _account() -> str | None:
    """As root: the account of whoever called sudo, if it is a person's; None: one of the administrator's own."""
    caller = os.environ.get("SUDO_USER", "")
    return caller if caller and ordinary(caller) else None
