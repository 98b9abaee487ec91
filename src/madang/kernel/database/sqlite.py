"""SQLite: a file that processes of one host share."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from madang.kernel.database.dialect import BEGIN, own_transactions
from madang.kernel.database.errors import Verdict
from madang.kernel.database.settings import DatabaseSettings

VERDICTS = {
    sqlite3.SQLITE_BUSY: Verdict.BUSY,
    sqlite3.SQLITE_LOCKED: Verdict.BUSY,
    sqlite3.SQLITE_FULL: Verdict.FULL,
    sqlite3.SQLITE_READONLY: Verdict.AWAY,
    sqlite3.SQLITE_IOERR: Verdict.AWAY,
    sqlite3.SQLITE_CANTOPEN: Verdict.AWAY,
    sqlite3.SQLITE_PERM: Verdict.AWAY,
    sqlite3.SQLITE_CORRUPT: Verdict.DAMAGED,
    sqlite3.SQLITE_NOTADB: Verdict.DAMAGED,
}


class _Connection(sqlite3.Connection):
    """Gives its lock back when it is closed, as it is when whoever used it was cancelled: with a statement of it left
    somewhere, SQLite would keep it open behind our back, in its transaction, until that is collected as garbage."""

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.rollback()
        super().close()


class Sqlite:
    remote = False
    hint = "Free some space or make it writable; nothing is lost."
    # It has to open the file: SELECT 1 does not.
    probe = "SELECT count(*) FROM sqlite_master"

    def __init__(self, file: Path, settings: DatabaseSettings) -> None:
        self.where = str(file)
        self._file = file
        self._settings = settings

    def engine(self) -> AsyncEngine:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self._file}",
            pool_size=self._settings.connections,
            max_overflow=0,
            pool_timeout=self._settings.busy_seconds,
            connect_args={"timeout": self._settings.busy_seconds, "factory": _Connection},
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        own_transactions(engine, self)
        return engine

    def begin_read(self) -> Sequence[str]:
        return ("BEGIN",)

    def begin_write(self, seconds: float) -> Sequence[str]:
        return (f"PRAGMA busy_timeout = {round(seconds * 1000)}", "BEGIN IMMEDIATE")

    def judge(self, error: BaseException | None) -> Verdict | None:
        return VERDICTS.get(_code(error))

    def said(self, error: BaseException | None) -> str:
        return str(error)

    def no_such_table(self, error: BaseException | None) -> bool:
        return _code(error) == sqlite3.SQLITE_ERROR and "no such table" in str(error)

    def cut(self, connection: Any) -> None:
        """A file is never silent."""

    @contextlib.asynccontextmanager
    async def upgrading(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        with self._file.with_suffix(".lock").open("w") as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            async with engine.connect() as connection:
                await connection.execution_options(**{BEGIN: self.begin_write(self._settings.upgrade_seconds)})
                async with connection.begin():
                    yield connection
            self._file.chmod(0o600)


def _code(error: BaseException | None) -> int:
    """SQLite's primary result code (https://sqlite.org/rescode.html); 0 when it is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions on its own: own_transactions says when, and of which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-4000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
