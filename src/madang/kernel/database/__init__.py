"""The database: SQLAlchemy Core over asyncio. What people want and what was last seen is kept here.

SQLite in WAL mode by default; MariaDB (alone or as a Galera cluster) or PostgreSQL for sites of several portals.
`sqlite.py`, `mariadb.py` and `postgresql.py` know all that differs, and nothing else of Madang does.

On each of them **one transaction writes at a time**, and it takes that turn before it reads: SQLite by BEGIN IMMEDIATE,
PostgreSQL by an advisory lock, MariaDB by a row that every writer changes first. So what a writer read cannot have
changed at its commit, without a lock or a check in any slice. SERIALIZABLE would not do: a Galera cluster compares
only what was written, so that two portals on two nodes could both count three desktops and both add the fourth. The
row makes them conflict: the later one is told so at its commit, and `retried` runs it again. Writes are few (heartbeats
live in live state), and readers never wait for writers.
"""

from madang.kernel.database.again import retried
from madang.kernel.database.connections import Database, metadata
from madang.kernel.database.errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseRefused,
    DatabaseUnavailable,
)
from madang.kernel.database.settings import DatabaseSettings

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseConflict",
    "DatabaseDamaged",
    "DatabaseFull",
    "DatabaseRefused",
    "DatabaseSettings",
    "DatabaseUnavailable",
    "metadata",
    "retried",
]
