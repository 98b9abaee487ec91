"""The history of the database's tables, one step a file in versions/, applied at the start of the portal.

MariaDB cannot undo a change of tables: there a step that was cut off is run again, and finds done what was done.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from madang.kernel.database import Database, DatabaseBusy
from madang.kernel.errors import SiteError

# The newest step; a test holds it against versions/. Known here so that a start that has nothing to change need not
# load Alembic.
HEAD = "0005"


async def upgrade(database: Database) -> None:
    """Bring the database to HEAD. Processes that start at once, on one host or on several, take turns."""
    with contextlib.suppress(DatabaseBusy):  # somebody may just be making it: that is seen once it is our turn
        if _is_head(database, await _revision(database)):
            return
    async with database.upgrading() as connection:
        await connection.run_sync(lambda plain: _run_steps(database, plain))


def _run_steps(database: Database, connection: Connection) -> None:
    from alembic import command
    from alembic.migration import MigrationContext

    if not _is_head(database, MigrationContext.configure(connection).get_current_revision()):
        command.upgrade(configuration(connection), "head")


def configuration(connection: Connection):  # type: ignore[no-untyped-def]  # Alembic is loaded only when it has work
    """Alembic's configuration for this database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def _is_head(database: Database, revision: str | None) -> bool:
    if revision is not None and revision > HEAD:
        raise SiteError(
            f"{database.dialect.where} was written by a newer Madang (step {revision}, this one knows {HEAD}).",
            code="database_newer",
            hint="Start the newer version, or restore a backup of before its upgrade.",
        )
    return revision == HEAD


async def _revision(database: Database) -> str | None:
    try:
        async with database.read() as connection:
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if database.dialect.no_such_table(error.orig):
            return None
        raise
    return None if found is None else str(found)
