"""The database: SQLAlchemy Core over asyncio. What people want and what was last seen is kept here.

SQLite in WAL mode by default. Readers never wait for a writer; a writer waits `database.busy_seconds` for another one,
then Unavailable `database_busy` says so and nothing was written. Writers of one process take turns, so that those who
wait never hold the connections that readers need.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from sqlalchemy import Engine, MetaData, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from madang.kernel.errors import MadangError, SiteError, Unavailable

# Every slice's tables register here; names of constraints are fixed so that migrations can name them on any database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where records are kept."""

    busy_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, le=120, description="A write waits this long for another writer before it is refused."),
    ] = 15.0
    connections: Annotated[
        int,
        msgspec.Meta(
            ge=2, le=64, description="Open connections at most; one of them writes, more requests wait their turn."
        ),
    ] = 5


class DatabaseBusy(Unavailable):
    code = "database_busy"
    title = "The database is busy"


class DatabaseFull(Unavailable):
    code = "database_full"
    title = "The disk of the database is full"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database cannot be used right now"


class DatabaseDamaged(SiteError):
    code = "database_damaged"
    title = "The database is damaged"


class Database:
    """Connections to one database; `read()` and `write()` each give a transaction."""

    def __init__(self, file: Path, settings: DatabaseSettings) -> None:
        self.file = file
        self.url = f"sqlite+aiosqlite:///{file}"
        self._busy_seconds = settings.busy_seconds
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=settings.connections,
            max_overflow=0,
            pool_timeout=settings.busy_seconds,
            connect_args={"timeout": settings.busy_seconds},
        )
        own_transactions(self.engine.sync_engine)
        self._writing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view of the records. Raises Unavailable (DatabaseBusy and others) and DatabaseDamaged."""
        async with self._errors(), self.engine.connect() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block, rolled back on an exception.

        It takes the write lock at once, so that what is read inside cannot have changed at the commit.
        """
        async with self._errors(), self._turn() as seconds, self.engine.connect() as plain:
            connection = await plain.execution_options(madang_write=seconds)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[float]:
        """Wait for the writers of this process; gives the seconds that are left to wait for those of others."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._busy_seconds):
                await self._writing.acquire()
        except TimeoutError as error:
            raise self._busy() from error
        try:
            yield max(0.0, self._busy_seconds - (time.monotonic() - begin))
        finally:
            self._writing.release()

    @contextlib.asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except DBAPIError as error:
            known = self._known(error.orig)
            if known is None:
                raise
            raise known from error
        except NoConnection as error:
            raise self._busy() from error

    def _known(self, error: BaseException | None) -> MadangError | None:
        return self._busy() if _code(error) in BUSY else known_error(self.file, error)

    def _busy(self) -> DatabaseBusy:
        return DatabaseBusy(
            f"Another writer held it for {self._busy_seconds:g} s. Nothing was changed.",
            hint="Try again in a moment.",
            retry_after=2,
        )


def known_error(file: Path, error: BaseException | None) -> MadangError | None:
    """What can be said of a driver's error; None: it is a bug of ours. By number: texts name our columns."""
    code, detail = _code(error), f"{file}: {error}."
    again = "Free some space or make it writable; nothing is lost."
    if code == sqlite3.SQLITE_FULL:
        return DatabaseFull(detail, hint=again)
    if code in (*BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return DatabaseUnavailable(detail, hint=again)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseDamaged(detail, hint="Stop the portal and restore a backup.")
    return None


def _code(error: BaseException | None) -> int:
    """SQLite's primary result code (https://sqlite.org/rescode.html); 0 when it is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def own_transactions(engine: Engine) -> None:
    """Let SQLAlchemy say when a transaction begins, so that everything in it, changes of tables too, is one."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions on its own: _begin says when, and of which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-4000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    seconds = connection.get_execution_options().get("madang_write")
    if seconds is not None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
    connection.exec_driver_sql("BEGIN" if seconds is None else "BEGIN IMMEDIATE")
