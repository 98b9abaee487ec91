"""PostgreSQL; driver psycopg. States of errors: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from madang.kernel.database.dialect import BEGIN, own_transactions
from madang.kernel.database.errors import Verdict
from madang.kernel.database.settings import SCHEMES, Address, DatabaseSettings, password_of
from madang.kernel.errors import SettingError, SiteError

# By the whole state, else by its class, the first two characters.
VERDICTS = {
    "40001": Verdict.CONFLICT,  # serialization failure
    "40P01": Verdict.CONFLICT,  # deadlock
    "55P03": Verdict.BUSY,  # lock time-out
    "25006": Verdict.LOST,  # it has become a standby: another host may be the primary now
    "25P03": Verdict.LOST,  # idle in a transaction for too long
    "57P": Verdict.LOST,  # it stops, crashed, or starts
    "57014": Verdict.AWAY,  # a query was cancelled by its operator
    "08": Verdict.LOST,
    "53100": Verdict.FULL,
    "53": Verdict.AWAY,  # memory, connections
    "28": Verdict.REFUSED,
    "3D000": Verdict.REFUSED,
    "42501": Verdict.REFUSED,
    "XX001": Verdict.DAMAGED,
    "XX002": Verdict.DAMAGED,
}
# What fails before there is a connection has no state (libpq tells none), so it is known by its words.
REFUSALS = ("authentication failed", "no pg_hba.conf entry", "no password supplied", "FATAL:  database", "FATAL:  role")
NO_SUCH_TABLE = "42P01"
TURN = 0x6D6164616E67  # "madang": the number of the advisory lock that a writer holds; each database has its own


class PostgreSQL:
    remote = True
    hint = "Everything goes on by itself once it answers again."
    probe = "SELECT 1"

    def __init__(self, address: Address, settings: DatabaseSettings) -> None:
        self.where = address.where
        self._address = address
        self._settings = settings
        self._password = password_of(settings)

    def engine(self) -> AsyncEngine:
        address, settings = self._address, self._settings
        options: dict[str, Any] = {
            "host": ",".join(host for host, _ in address.hosts),
            # The driver must not begin transactions on its own: own_transactions says when, and of which kind.
            "autocommit": True,
            "connect_timeout": max(2, round(settings.answer_seconds)),
            "application_name": "madang",
        }
        if address.hosts:
            options["port"] = ",".join(str(port) for _, port in address.hosts)
        else:  # libpq wants the folder of the socket, and the number in its name
            folder, _, number = address.socket.rpartition("/.s.PGSQL.")
            options |= {"host": folder or address.socket, "port": number or SCHEMES["postgresql"]}
        if len(address.hosts) > 1:
            options["target_session_attrs"] = "read-write"
        if settings.ca_file:
            if not os.access(settings.ca_file, os.R_OK):
                raise SettingError(f"database.ca_file {settings.ca_file} cannot be read.")
            options |= {"sslmode": "verify-full", "sslrootcert": settings.ca_file}
        engine = create_async_engine(
            URL.create("postgresql+psycopg", address.user, self._password or None, database=address.name),
            pool_size=settings.connections,
            max_overflow=0,
            pool_timeout=settings.busy_seconds,
            connect_args=options,
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        own_transactions(engine, self)
        return engine

    def begin_read(self) -> Sequence[str]:
        return (f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {self._limits(self._settings.busy_seconds)}",)

    def begin_write(self, seconds: float) -> Sequence[str]:
        # READ COMMITTED: what is read after the wait for the turn is newer than the wait. One trip to the server.
        return (f"BEGIN ISOLATION LEVEL READ COMMITTED; {self._limits(seconds)}; SELECT pg_advisory_xact_lock({TURN})",)

    def judge(self, error: BaseException | None) -> Verdict | None:
        import psycopg

        state = getattr(error, "sqlstate", None)
        if state is None:
            refused = any(words in str(error) for words in REFUSALS)
            away = Verdict.REFUSED if refused else Verdict.AWAY
            return away if isinstance(error, psycopg.OperationalError) else None
        return next((VERDICTS[part] for part in (state, state[:3], state[:2]) if part in VERDICTS), None)

    def said(self, error: BaseException | None) -> str:
        return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())

    def no_such_table(self, error: BaseException | None) -> bool:
        return getattr(error, "sqlstate", None) == NO_SUCH_TABLE

    def cut(self, connection: Any) -> None:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    @contextlib.asynccontextmanager
    async def upgrading(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with engine.connect() as connection:
            await connection.execution_options(**{BEGIN: self.begin_write(self._settings.upgrade_seconds)})
            async with connection.begin():
                encoding = await connection.scalar(text("SHOW server_encoding"))
                if encoding != "UTF8":
                    raise SiteError(
                        f"{self.where} keeps text as {encoding}.",
                        code="database_encoding",
                        hint="Create it with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
                    )
                yield connection

    def _limits(self, seconds: float) -> str:
        """How long a lock is waited for, and how long the server waits for a portal that holds one and is silent."""
        lock, idle = (max(1, round(each * 1000)) for each in (seconds, self._settings.answer_seconds))
        return f"SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {idle}"


def _prepare(connection: Any, _record: Any) -> None:
    """No text here holds a NUL. A name with one is nobody's: it is asked for all the same, with another character."""
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    connection.adapters.register_dumper(str, WithoutNul)
