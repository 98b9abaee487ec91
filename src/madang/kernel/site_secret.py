"""The site's secret: 32 bytes by which cookies and the like are signed.

It is a file in the state folder. Portals that share a database have state folders of their own, so they agree on the
secret of whoever came first, in the database: who may read that could sign in as anybody in other ways too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from sqlalchemy import Column, LargeBinary, String, Table, insert, select

from madang.kernel.database import Database, metadata, retried
from madang.kernel.errors import SiteError

NAME = "secret"
site_values = Table(
    "site_values",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


@retried
async def shared_secret(database: Database, own: bytes) -> bytes:
    """The secret of all portals on this database: our own when we are the first."""
    chosen = select(site_values.c.value).where(site_values.c.name == NAME)
    async with database.read() as connection:
        found = (await connection.execute(chosen)).scalar()
    if found is not None:
        return bytes(found)
    async with database.write() as connection:
        if (found := (await connection.execute(chosen)).scalar()) is not None:
            return bytes(found)
        await connection.execute(insert(site_values).values(name=NAME, value=own))
    return own


def site_secret(file: Path) -> bytes:
    """The site's key, 32 bytes, made at the first start; two processes that start at once agree on one."""
    if not file.exists():
        # Written whole before it gets its name, so that a process which starts at the same time never reads half of it.
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    secret = file.read_bytes()
    if len(secret) != 32:
        raise SiteError(f"{file} is damaged.", hint="Remove it; everybody will have to sign in again.")
    return secret
