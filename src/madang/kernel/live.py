"""Live state: records with an expiry, counters, and messages between processes. It may be lost at any time.

Embedded: an SQLite file, so that several processes of one host share it; every call runs in one thread beside the
event loop. Whoever uses it treats an empty answer as "not known yet" and rebuilds it from reality.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from madang.kernel.log import logger

log = logger("live")
Result = TypeVar("Result")
Handler = Callable[[bytes], Awaitable[None]]


class Live(Protocol):
    """What every kind of live state does. Keys are text, values anything that msgspec writes as JSON."""

    async def put(self, key: str, value: Any, seconds: float) -> None:
        """Keep a record for so long."""

    async def get(self, key: str) -> Any | None:
        """The record, or None when there is none (any more)."""

    async def get_many(self, prefix: str) -> dict[str, Any]:
        """Every record whose key starts so."""

    async def delete(self, key: str) -> None: ...

    async def add(self, key: str, seconds: float) -> bool:
        """Keep a mark; False when it was there already."""

    async def count(self, key: str, seconds: float) -> int:
        """Count one more; the count begins anew `seconds` after the first."""

    async def publish(self, message: bytes) -> None:
        """Tell the other processes."""

    def on_message(self, handler: Handler) -> None:
        """Hear what other processes publish (never one's own)."""


class EmbeddedLive:
    """Live state in an SQLite file, shared by the processes of one host."""

    POLL_SECONDS = 0.2
    MESSAGE_SECONDS = 10.0

    def __init__(self, file: Path, *, shared: bool) -> None:
        """`shared`: other processes use the file too, so their messages are looked for."""
        self.file = file
        self.shared = shared
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._connection: sqlite3.Connection | None = None
        self._handlers: list[Handler] = []
        self._origin = f"{time.time_ns():x}"
        self._seen = 0
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._seen = await self._call(self._last_message)
        if self.shared:
            self._poller = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        if self._poller:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def put(self, key: str, value: Any, seconds: float) -> None:
        row = (key, msgspec.json.encode(value), time.time() + seconds)
        await self._call(lambda db: db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", row))

    async def get(self, key: str) -> Any | None:
        found = await self._call(
            lambda db: db.execute(
                "SELECT value FROM records WHERE key = ? AND expires > ?", (key, time.time())
            ).fetchone()
        )
        return msgspec.json.decode(found[0]) if found else None

    async def get_many(self, prefix: str) -> dict[str, Any]:
        # Keys are plain text, so the records of a prefix are one range of the primary key.
        bounds = (prefix, prefix + "\U0010ffff", time.time())
        rows = await self._call(
            lambda db: db.execute(
                "SELECT key, value FROM records WHERE key >= ? AND key < ? AND expires > ?", bounds
            ).fetchall()
        )
        return {key: msgspec.json.decode(value) for key, value in rows}

    async def delete(self, key: str) -> None:
        await self._call(lambda db: db.execute("DELETE FROM records WHERE key = ?", (key,)))

    async def add(self, key: str, seconds: float) -> bool:
        return await self.count(key, seconds) == 1

    async def count(self, key: str, seconds: float) -> int:
        return await self._call(lambda db: _count(db, key, seconds))

    async def publish(self, message: bytes) -> None:
        if self.shared:
            row = (self._origin, message, time.time())
            await self._call(lambda db: db.execute("INSERT INTO messages (origin, body, at) VALUES (?, ?, ?)", row))

    def on_message(self, handler: Handler) -> None:
        self._handlers.append(handler)

    async def _call(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._try, work)

    def _try(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        for last_try in (False, True):
            try:
                with self._open() as connection:
                    return work(connection)
            except sqlite3.DatabaseError as error:
                # The file was wiped, replaced or damaged while we run: begin again with an empty one.
                log.warning("live state begins anew", reason=str(error))
                self._close()
                if last_try:
                    raise
                if "locked" not in str(error) and "no such table" not in str(error):
                    self._remove()
        raise AssertionError("unreachable")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.file, timeout=5.0, check_same_thread=False)
            self.file.chmod(0o600)
            connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
                "CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value BLOB, expires REAL) WITHOUT ROWID;"
                "CREATE TABLE IF NOT EXISTS messages"
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, origin TEXT, body BLOB, at REAL);"
            )
            connection.execute("DELETE FROM records WHERE expires <= ?", (time.time(),))
            connection.commit()
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.POLL_SECONDS)
            for body in await self._call(self._new_messages):
                for handler in self._handlers:
                    await handler(body)

    def _new_messages(self, connection: sqlite3.Connection) -> list[bytes]:
        last = self._last_message(connection)
        if last < self._seen:  # wiped: the numbers began anew
            self._seen = 0
        rows = connection.execute(
            "SELECT body FROM messages WHERE id > ? AND origin != ? ORDER BY id", (self._seen, self._origin)
        ).fetchall()
        if last != self._seen:
            connection.execute("DELETE FROM messages WHERE at < ?", (time.time() - self.MESSAGE_SECONDS,))
        self._seen = last
        return [body for (body,) in rows]

    def _last_message(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()[0])


def _count(connection: sqlite3.Connection, key: str, seconds: float) -> int:
    now = time.time()
    row = connection.execute("SELECT value, expires FROM records WHERE key = ?", (key,)).fetchone()
    number, expires = (int(row[0]), row[1]) if row and row[1] > now else (0, now + seconds)
    connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (key, str(number + 1).encode(), expires))
    return number + 1
