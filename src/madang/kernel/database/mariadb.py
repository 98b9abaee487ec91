"""MariaDB, alone or as a Galera cluster; driver asyncmy. Numbers of errors: https://mariadb.com/kb/en/mariadb-error-codes/."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import URL, LargeBinary, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles

from madang.kernel.database.dialect import BEGIN, own_transactions
from madang.kernel.database.errors import DatabaseBusy, Verdict
from madang.kernel.database.settings import Address, DatabaseSettings, password_of
from madang.kernel.errors import SettingError

NOT_REACHED = 2003
NOT_READY = 1047  # a Galera node that is not part of the cluster now: another host may be
VERDICTS = {
    # Deadlock (Galera: another node's transaction won, said at any statement or at COMMIT); record changed since the
    # last read; a query that was interrupted.
    Verdict.CONFLICT: (1213, 1020, 1317),
    Verdict.BUSY: (1205,),
    # The server stops, ended the connection (a transaction that was idle), or is gone in the middle.
    Verdict.LOST: (NOT_READY, 1053, 1077, 1079, 1080, 1927, 2006, 2013, 2014, 2045, 2055, 4030, 4031),
    # Not reached; too many connections; memory; read-only; a table too full for its limits.
    Verdict.AWAY: (2002, NOT_REACHED, 2005, 1040, 1203, 1226, 1037, 1041, 1290, 1836),
    Verdict.FULL: (1021, 1114, 3),
    Verdict.REFUSED: (1044, 1045, 1049, 1130, 1142, 1143, 1227, 1698, 2026),
    Verdict.DAMAGED: (1034, 1035, 1194, 1195, 1712, 1877),
}
BY_NUMBER = {number: verdict for verdict, numbers in VERDICTS.items() for number in numbers}
NO_SUCH_TABLE = 1146

# As SQLite compares: every character, case and trailing space counts.
COLLATION = "utf8mb4_nopad_bin"
# The row that every writer changes first. It is no part of the history of tables: only this database needs it.
TURN_TABLE = "CREATE TABLE IF NOT EXISTS madang_turn (id INT PRIMARY KEY, taken BIGINT NOT NULL) ENGINE=InnoDB"
TURN_ROW = "INSERT IGNORE INTO madang_turn VALUES (1, 0)"
TAKE_TURN = "UPDATE madang_turn SET taken = taken + 1 WHERE id = 1"


@compiles(LargeBinary, "mysql", "mariadb")
def _binary(*_: Any, **__: Any) -> str:
    return "MEDIUMBLOB"  # BLOB ends at 64 KiB


class MariaDB:
    remote = True
    hint = "Everything goes on by itself once it answers again."
    probe = "SELECT count(*) FROM madang_turn"

    def __init__(self, address: Address, settings: DatabaseSettings) -> None:
        self.where = address.where
        self._address = address
        self._settings = settings
        self._password = password_of(settings)

    def engine(self) -> AsyncEngine:
        # The driver tells what the server merely notes, such as that a table to be made if missing is there.
        logging.getLogger("asyncmy").setLevel(logging.ERROR)
        address = self._address
        options: dict[str, Any] = {"async_creator_fn": self._connect}
        if self._settings.ca_file:
            options["ssl"] = _checked_tls(self._settings.ca_file)
        engine = create_async_engine(
            # charset also for what the driver sends: its default is the server's.
            URL.create(
                "mariadb+asyncmy", address.user, self._password, database=address.name, query={"charset": "utf8mb4"}
            ),
            pool_size=self._settings.connections,
            max_overflow=0,
            pool_timeout=self._settings.busy_seconds,
            connect_args=options,
        )
        own_transactions(engine, self)
        return engine

    def begin_read(self) -> Sequence[str]:
        return ("START TRANSACTION READ ONLY",)

    def begin_write(self, seconds: float) -> Sequence[str]:
        return (f"SET STATEMENT innodb_lock_wait_timeout={max(1, math.ceil(seconds))} FOR {TAKE_TURN}",)

    def judge(self, error: BaseException | None) -> Verdict | None:
        return BY_NUMBER.get(_code(error))

    def said(self, error: BaseException | None) -> str:
        return str(error.args[-1]) if error is not None and error.args else str(error)

    def no_such_table(self, error: BaseException | None) -> bool:
        return _code(error) == NO_SUCH_TABLE

    def cut(self, connection: Any) -> None:
        if connection._transport is not None:
            connection._transport.abort()

    @contextlib.asynccontextmanager
    async def upgrading(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Every change of a table commits here, so a lock beside the transactions is needed.

        In a Galera cluster it holds on one node only; portals that are given the same order of hosts use the same one.
        """
        async with engine.connect() as connection:
            await connection.execution_options(**{BEGIN: ()})
            lock = {"name": f"madang:{self._address.name}"[:64], "seconds": self._settings.upgrade_seconds}
            try:
                if not await connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), lock):
                    raise DatabaseBusy("Another portal is changing the tables.", hint="Try again in a moment.")
                await _prepare(connection)
                yield connection
                await connection.commit()
                await connection.execute(text("DO RELEASE_LOCK(:name)"), lock)
            except BaseException:
                await connection.invalidate()  # the lock goes with the connection
                raise

    async def _connect(self, **options: Any) -> Any:
        """The first host that answers and takes orders."""
        import asyncmy

        places: list[dict[str, Any]] = [{"host": host, "port": port} for host, port in self._address.hosts]
        failed: BaseException | None = None
        for place in places or [{"unix_socket": self._address.socket}]:
            try:
                async with asyncio.timeout(self._settings.answer_seconds):
                    connection = await asyncmy.connect(**options | place)
                    await self._prepare_session(connection)
                    return connection
            except TimeoutError:
                named = ":".join(str(part) for part in place.values())
                said = f"no answer from {named} within {self._settings.answer_seconds:g} s"
                failed = asyncmy.errors.OperationalError(NOT_REACHED, said)
            except asyncmy.errors.OperationalError as error:
                failed = error
        assert failed is not None
        raise failed

    async def _prepare_session(self, connection: Any) -> None:
        import asyncmy

        settings = {
            "innodb_lock_wait_timeout": max(1, math.ceil(self._settings.busy_seconds)),
            "idle_transaction_timeout": max(1, math.ceil(self._settings.answer_seconds)),
            # What does not fit is refused, never cut; SET a = b, b = 1 takes b as it was, as everywhere else.
            "sql_mode": "'TRADITIONAL,SIMULTANEOUS_ASSIGNMENT'",
        }
        async with connection.cursor() as cursor:
            await cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await cursor.execute(f"SET SESSION {', '.join(f'{name}={value}' for name, value in settings.items())}")
            await cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
            if (await cursor.fetchone() or ("", "OFF"))[1] == "ON":
                await cursor.execute("SHOW STATUS LIKE 'wsrep_ready'")
                if (await cursor.fetchone())[1] != "ON":
                    connection.close()
                    raise asyncmy.errors.OperationalError(NOT_REACHED, "the node is not part of its cluster now")
                # What was committed on another node before is seen, so that an event never comes before its record.
                await cursor.execute("SET SESSION wsrep_sync_wait=1")


async def _prepare(connection: AsyncConnection) -> None:
    """What the database itself needs, before there are tables."""
    found = await connection.scalar(text("SELECT @@collation_database"))
    if found != COLLATION:
        await connection.execute(text(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {COLLATION}"))
    await connection.execute(text(TURN_TABLE))
    await connection.execute(text(TURN_ROW))


def _checked_tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingError(f"database.ca_file {ca_file} cannot be used: {error}.") from error


def _code(error: BaseException | None) -> int:
    number = error.args[0] if error is not None and error.args else 0
    return number if isinstance(number, int) else 0
