"""The history of the database's tables, one step a file in versions/, applied at the start of the portal."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

from madang.kernel.database import known_error
from madang.kernel.errors import SiteError

# The newest step; a test holds it against versions/. Known here so that a start that has nothing to change need not
# load Alembic.
HEAD = "0002"


async def upgrade(file: Path) -> None:
    """Bring the database to HEAD. Two processes that start at once take turns."""
    await asyncio.to_thread(_upgrade, file)


def _upgrade(file: Path) -> None:
    if _revision(file) == HEAD:
        return
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        revision = _revision(file)
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise SiteError(
                f"{file} was written by a newer Madang (step {revision}, this one knows {HEAD}).",
                code="database_newer",
                hint="Start the newer version, or restore a backup of before its upgrade.",
            )
        _run_steps(file)
    file.chmod(0o600)


def _run_steps(file: Path) -> None:
    from alembic import command
    from sqlalchemy.exc import DBAPIError

    try:
        command.upgrade(configuration(file), "head")
    except DBAPIError as error:
        if known := known_error(file, error.orig):
            raise known from error
        raise


def configuration(file: Path):  # type: ignore[no-untyped-def]  # Alembic is loaded only when it has work
    """Alembic's configuration for this database."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["file"] = file
    return config


def _revision(file: Path) -> str | None:
    if not file.exists():
        return None
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None  # there are no tables yet; anything else will show itself at the first step
        except sqlite3.DatabaseError as error:
            raise known_error(file, error) or error from None
    return str(row[0]) if row else None
