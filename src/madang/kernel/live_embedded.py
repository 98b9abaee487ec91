"""Live state in an SQLite file, shared by the processes of one host; every call runs in one thread beside the loop."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from madang.kernel.live import GapHandler, Handler, LiveStateUnavailable
from madang.kernel.log import logger

log = logger("live")
Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]
BUSY_PAUSE_SECONDS = 0.01
_LAYOUT = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    "CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value BLOB, expires REAL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, origin TEXT, body BLOB, at REAL);"
)


class EmbeddedLive:
    """Live state in an SQLite file, shared by the processes of one host."""

    POLL_SECONDS = 0.2  # how often other processes are listened to
    LOOK_SECONDS = 1.0  # how often commands are, and others even if it seems that nobody wrote
    BUSY_SECONDS = 5.0  # how long a call waits for another process
    MESSAGE_SECONDS = 60.0  # how long a message waits for a process that is slow
    CLEAN_SECONDS = 60.0  # how often what expired is removed

    def __init__(self, file: Path, *, shared: bool) -> None:
        """`shared`: other processes serve people too, so they are told what happens here.

        Messages are heard in any case: a command may have something to say to the one process there is.
        """
        self.file = file
        self.shared = shared
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of the file that is open
        self._cleaned = 0.0
        self._broken = False
        self._handlers: list[Handler] = []
        self._origin = f"{time.time_ns():x}"
        self._seen = 0
        self._poller: asyncio.Task[None] | None = None

    @property
    def reachable(self) -> bool:
        return not self._broken

    async def start(self) -> None:
        self._seen = await self._ask(self._last_message, 0)
        self._poller = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        if self._poller:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def put(self, key: str, value: Any, seconds: float) -> None:
        await self.put_many({key: value}, seconds)

    async def put_many(self, records: Mapping[str, Any], seconds: float) -> None:
        expires = time.time() + seconds
        rows = [(key, msgspec.json.encode(value), expires) for key, value in records.items()]
        await self._ask(lambda db: db.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows), None)

    async def get(self, key: str) -> Any | None:
        found = await self._ask(
            lambda db: db.execute(
                "SELECT value FROM records WHERE key = ? AND expires > ?", (key, time.time())
            ).fetchone(),
            None,
        )
        return msgspec.json.decode(found[0]) if found else None

    async def get_many(self, prefix: str) -> dict[str, Any]:
        # Keys are plain text, so the records of a prefix are one range of the primary key.
        bounds = (prefix, prefix + "\U0010ffff", time.time())
        rows: list[tuple[str, bytes]] = await self._ask(
            lambda db: db.execute(
                "SELECT key, value FROM records WHERE key >= ? AND key < ? AND expires > ?", bounds
            ).fetchall(),
            [],
        )
        return {key: msgspec.json.decode(value) for key, value in rows}

    async def delete(self, key: str) -> None:
        await self._ask(lambda db: db.execute("DELETE FROM records WHERE key = ?", (key,)), None)

    async def add(self, key: str, seconds: float) -> bool:
        return await self.count(key, seconds) == 1

    async def count(self, key: str, seconds: float) -> int:
        return await self._call(lambda db: _count(db, key, seconds))

    async def hold(self, keys: Sequence[str], holder: str, seconds: float) -> frozenset[str]:
        return await self._call(lambda db: frozenset(key for key in keys if _hold(db, key, holder, seconds)))

    async def release(self, keys: Sequence[str], holder: str) -> None:
        rows = [(key, msgspec.json.encode(holder)) for key in keys]
        await self._ask(lambda db: db.executemany("DELETE FROM records WHERE key = ? AND value = ?", rows), None)

    async def publish(self, message: bytes) -> None:
        if self.shared:
            row = (self._origin, message, time.time())
            insert = "INSERT INTO messages (origin, body, at) VALUES (?, ?, ?)"
            await self._ask(lambda db: db.execute(insert, row), None)

    def on_message(self, handler: Handler) -> None:
        self._handlers.append(handler)

    def on_gap(self, handler: GapHandler) -> None:
        """Messages wait in the file, so none is missed while we run; with the file everything else is lost too."""

    async def _call(self, work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._try, work)

    async def _ask(self, work: Work[Result], otherwise: Any) -> Any:
        """The same for what may be lost: `otherwise` when it cannot be done."""
        try:
            return await self._call(work)
        except LiveStateUnavailable:
            return otherwise

    def _try(self, work: Work[Result]) -> Result:
        try:
            result = self._do(work)
        except sqlite3.Error as first:
            if _busy(first):
                raise self._unavailable(first) from first
            self._close()
            # The file was wiped, replaced or damaged while we run: begin again, with an empty one if it has to be.
            log.warning("live state begins anew", reason=str(first))
            if _damaged(first):
                self._remove()
            try:
                result = self._do(work)
            except (sqlite3.Error, OSError) as error:
                self._close()
                raise self._unavailable(error) from error
        except OSError as error:
            raise self._unavailable(error) from error
        self._broken = False
        return result

    def _do(self, work: Work[Result]) -> Result:
        with self._open() as connection:
            if time.monotonic() - self._cleaned > self.CLEAN_SECONDS:
                self._cleaned = time.monotonic()
                connection.execute("DELETE FROM records WHERE expires <= ?", (time.time(),))
                connection.execute("DELETE FROM messages WHERE at < ?", (time.time() - self.MESSAGE_SECONDS,))
            return work(connection)

    def _unavailable(self, error: Exception) -> LiveStateUnavailable:
        if not self._broken:  # said once, not for every heartbeat
            log.error("live state cannot be used", file=str(self.file), reason=str(error))
        self._broken = True
        return LiveStateUnavailable(
            f"{self.file} cannot be used: {error}.",
            hint="Free some space or make it writable; nothing is lost.",
            retry_after=2,
        )

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened != _identity(self.file):
            self._close()  # the file was removed or replaced: those who open it now see another one than we
        if self._connection is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.file, timeout=self.BUSY_SECONDS, check_same_thread=False)
            try:
                self.file.chmod(0o600)
                self._lay_out(connection)
            except (sqlite3.Error, OSError):
                connection.close()
                raise
            identity = _identity(self.file)
            if identity != self._opened:
                self._seen = 0  # another file numbers its messages anew
            self._connection, self._opened, self._cleaned = connection, identity, 0.0
        return self._connection

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self.BUSY_SECONDS
        while True:
            try:
                connection.executescript(_LAYOUT)
                return
            except sqlite3.OperationalError as error:
                # Of two processes that make a new file at once, SQLite refuses one without waiting for the other.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(BUSY_PAUSE_SECONDS)

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)

    async def _poll(self) -> None:
        looked, written = 0.0, None
        while True:
            await asyncio.sleep(self.POLL_SECONDS if self.shared else self.LOOK_SECONDS)
            # Looking means changing threads twice; the file says for less whether anybody wrote at all.
            now, mark = time.monotonic(), _written(self.file)
            if mark == written and now - looked < self.LOOK_SECONDS:
                continue
            looked, written = now, mark
            for body in await self._ask(self._new_messages, []):
                for handler in self._handlers:
                    try:
                        await handler(body)
                    except Exception:  # of one message; the next ones are to be heard
                        log.exception("a message could not be handled")

    def _new_messages(self, connection: sqlite3.Connection) -> list[bytes]:
        last = self._last_message(connection)
        if last < self._seen:  # wiped: the numbers began anew
            self._seen = 0
        rows = connection.execute(
            "SELECT body FROM messages WHERE id > ? AND id <= ? AND origin != ? ORDER BY id",
            (self._seen, last, self._origin),
        ).fetchall()
        self._seen = last
        return [body for (body,) in rows]

    def _last_message(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()[0])


def _count(connection: sqlite3.Connection, key: str, seconds: float) -> int:
    # One statement, so that of two processes only one is the first. The number is kept as JSON text like any record.
    now = time.time()
    rows = connection.execute(
        "INSERT INTO records VALUES (:key, '1', :end) ON CONFLICT (key) DO UPDATE SET "
        "value = iif(expires > :now, CAST(CAST(value AS TEXT) AS INTEGER) + 1, 1) || '', "
        "expires = iif(expires > :now, expires, :end) RETURNING value",
        {"key": key, "now": now, "end": now + seconds},
    ).fetchall()
    return int(rows[0][0])


def _hold(connection: sqlite3.Connection, key: str, holder: str, seconds: float) -> bool:
    # One statement, so that of two processes only one takes it.
    now = time.time()
    rows = connection.execute(
        "INSERT INTO records VALUES (:key, :holder, :end) ON CONFLICT (key) DO UPDATE SET value = :holder, "
        "expires = :end WHERE value = :holder OR expires <= :now RETURNING key",
        {"key": key, "holder": msgspec.json.encode(holder), "now": now, "end": now + seconds},
    ).fetchall()
    return bool(rows)


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file this is; None when there is none or somebody emptied it."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size else None


def _written(file: Path) -> tuple[int, int, int] | None:
    """Something that changes when anybody writes: of the write-ahead log, inode, size and time."""
    try:
        found = file.with_name(file.name + "-wal").stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _busy(error: sqlite3.Error) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _damaged(error: sqlite3.Error) -> bool:
    """Whether only a new file helps. A full or read-only disk is no reason to forget who tried which password."""
    other_tables = _primary_code(error) == sqlite3.SQLITE_ERROR and "no such table" not in str(error)
    return other_tables or _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
