"""Connections to the database of a site; `read()` and `write()` each give a transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from madang.kernel.database.dialect import BEGIN, Dialect
from madang.kernel.database.errors import DatabaseBusy, DatabaseConflict, DatabaseUnavailable, Verdict, known_error
from madang.kernel.database.settings import DatabaseSettings, address_of
from madang.kernel.database.sqlite import Sqlite
from madang.kernel.errors import MadangError

# Every slice's tables register here; names of constraints are fixed so that migrations can name them on any database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


@dataclass
class _Course:
    """How far a transaction has come."""

    writes: bool = False
    committing: bool = False
    cut: bool = False  # the server was silent for too long, and we broke the connection


class Database:
    """Connections to one database."""

    def __init__(self, file: Path, settings: DatabaseSettings) -> None:
        """`file`: where SQLite's is, if settings name no other database."""
        self.file = file
        self.dialect = _dialect(file, settings)
        self.engine: AsyncEngine = self.dialect.engine()
        self._settings = settings
        self._writing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view of the records. Raises Unavailable (DatabaseBusy and others) and DatabaseDamaged."""
        course = _Course()
        async with self._errors(course), self._connection(course) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block, rolled back on an exception.

        It takes its turn at once, so that what is read inside cannot have changed at the commit. An error of the
        database must leave the block: PostgreSQL undoes all of the transaction. Raises what `read` raises, and
        DatabaseConflict: the method that calls this is to be `retried`.
        """
        course = _Course(writes=True)
        async with self._errors(course), self._turn() as seconds, self._connection(course, seconds) as connection:
            yield connection
            course.committing = True
            await connection.commit()

    @contextlib.asynccontextmanager
    async def upgrading(self) -> AsyncIterator[AsyncConnection]:
        """For migrations: changes of tables, by one process at a time."""
        async with self._errors(_Course()), self.dialect.upgrading(self.engine) as connection:
            yield connection

    async def answers(self) -> None:
        """Return if it does; raises as `read` does."""
        async with self.read() as connection:
            await connection.execute(text(self.dialect.probe))

    async def close(self) -> None:
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def _connection(self, course: _Course, turn: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection whose transaction has begun, or on SQLite begins with its first statement if it only reads."""
        guard: asyncio.TimerHandle | None = None
        try:
            async with self.engine.connect() as connection:
                if turn is not None:
                    await connection.execution_options(**{BEGIN: self.dialect.begin_write(turn)})
                if self.dialect.remote:
                    seconds = self._settings.answer_seconds + (turn or 0.0)
                    guard = asyncio.get_running_loop().call_later(seconds, self._cut, connection, course)
                if turn is not None or self.dialect.remote:
                    await self._begin(connection, course)
                yield connection
        finally:
            if guard is not None:
                guard.cancel()

    async def _begin(self, connection: AsyncConnection, course: _Course) -> None:
        try:
            await connection.begin()
        except DBAPIError as error:
            if course.cut or not (self.dialect.remote and error.connection_invalidated):
                raise
            await connection.begin()  # it had been idle while the server went away; this time it is a new one

    def _cut(self, connection: AsyncConnection, course: _Course) -> None:
        course.cut = True
        inner = connection.sync_connection
        if inner is not None and not inner.closed and not inner.invalidated:
            self.dialect.cut(inner.connection.driver_connection)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[float]:
        """Wait for the writers of this process; gives the seconds that are left to wait for those of others.

        So those who wait never hold the connections that readers need.
        """
        begin, most = time.monotonic(), self._settings.busy_seconds
        try:
            async with asyncio.timeout(most):
                await self._writing.acquire()
        except TimeoutError as error:
            raise self._busy() from error
        try:
            yield max(0.0, most - (time.monotonic() - begin))
        finally:
            self._writing.release()

    @contextlib.asynccontextmanager
    async def _errors(self, course: _Course) -> AsyncIterator[None]:
        try:
            yield
        except DBAPIError as error:
            known = self._known(error, course)
            if known is None:
                raise
            raise known from error
        except NoConnection as error:
            raise self._busy() from error

    def _known(self, error: DBAPIError, course: _Course) -> MadangError | None:
        verdict = self.dialect.judge(error.orig)
        if self.dialect.remote and (error.connection_invalidated or course.cut):
            verdict = Verdict.LOST if verdict in (None, Verdict.AWAY) else verdict
        if verdict is None:
            return None
        detail = f"{self.dialect.where}: {self.dialect.said(error.orig)}."
        if course.cut:
            detail = f"{self.dialect.where} did not answer within {self._settings.answer_seconds:g} s."
        if verdict is Verdict.LOST and course.committing:
            return DatabaseUnavailable(
                f"{detail} It happened while the change was made final, so nobody knows yet whether it was.",
                code="database_outcome_unknown",
                hint="Look whether it is there before you repeat it.",
                retry_after=5,
            )
        if verdict is Verdict.CONFLICT or (verdict is Verdict.LOST and course.writes and not course.cut):
            return self._conflict(detail)
        return self._busy() if verdict is Verdict.BUSY else known_error(verdict, detail, self.dialect.hint)

    def _busy(self) -> DatabaseBusy:
        return DatabaseBusy(
            f"Another writer held it for {self._settings.busy_seconds:g} s. Nothing was changed.",
            hint="Try again in a moment.",
            retry_after=2,
        )

    def _conflict(self, detail: str) -> DatabaseConflict:
        error = DatabaseConflict(f"{detail} Nothing was changed.", hint="Try again in a moment.", retry_after=2)
        error.retries, error.pause_seconds = self._settings.retries, self._settings.retry_seconds
        return error


def _dialect(file: Path, settings: DatabaseSettings) -> Dialect:
    if not settings.url:
        return Sqlite(file, settings)
    # The drivers are loaded only where they are used.
    if (address := address_of(settings.url)).scheme == "mariadb":
        from madang.kernel.database.mariadb import MariaDB

        return MariaDB(address, settings)
    from madang.kernel.database.postgresql import PostgreSQL

    return PostgreSQL(address, settings)
