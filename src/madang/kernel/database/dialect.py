"""What each kind of database has to say for itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from madang.kernel.database.errors import Verdict

BEGIN = "madang_begin"  # the option of a connection that holds the statements by which its transactions begin


class Dialect(Protocol):
    """One kind of database, at its address."""

    where: str  # for people, without password
    hint: str  # what helps when it is away
    remote: bool  # a server, which may restart or fall silent while we are connected
    probe: str  # reads something of it

    def engine(self) -> AsyncEngine: ...

    def begin_read(self) -> Sequence[str]:
        """The statements by which a transaction begins that sees one moment."""

    def begin_write(self, seconds: float) -> Sequence[str]:
        """Those of a transaction that writes; they wait `seconds` for the turn."""

    def judge(self, error: BaseException | None) -> Verdict | None:
        """What a driver's error means; None: a bug of ours. By number: texts name our columns."""

    def said(self, error: BaseException | None) -> str:
        """The error's text, for people."""

    def no_such_table(self, error: BaseException | None) -> bool: ...

    def cut(self, connection: Any) -> None:
        """Break the driver's connection to a silent server, so that whoever waits on it gets an error."""

    def upgrading(self, engine: AsyncEngine) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to change tables with, for one process of the site at a time; committed at the end."""


def own_transactions(engine: AsyncEngine, dialect: Dialect) -> None:
    """Let SQLAlchemy say when a transaction begins, and us how; everything in it is one, changes of tables too."""

    def begin(connection: Connection) -> None:
        for statement in connection.get_execution_options().get(BEGIN, read):
            connection.exec_driver_sql(statement)

    def judge(context: ExceptionContext) -> None:
        if dialect.judge(context.original_exception) is Verdict.LOST:
            context.is_disconnect = True

    read = dialect.begin_read()
    event.listen(engine.sync_engine, "begin", begin)
    event.listen(engine.sync_engine, "handle_error", judge)
