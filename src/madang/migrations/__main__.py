"""Writes the next step: `scripts/migration "what it does"`."""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import Connection

from madang.kernel.database import Database, DatabaseSettings
from madang.migrations import configuration


def write_step(connection: Connection, message: str) -> None:
    """A file in versions/, from the difference between a database of all steps so far and the tables."""
    number = f"{len(list((Path(__file__).parent / 'versions').glob('[0-9]*.py'))) + 1:04d}"
    config = configuration(connection)
    command.upgrade(config, "head")
    command.revision(config, message, autogenerate=True, rev_id=number)
    sys.stdout.write(f"Step {number} is written; set HEAD in migrations/__init__.py to it and read the file once.\n")


async def main(message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "empty.sqlite3", DatabaseSettings())
        async with database.upgrading() as connection:
            await connection.run_sync(write_step, message)
        await database.close()


asyncio.run(main(sys.argv[1]))
