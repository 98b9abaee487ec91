"""What can be said of a database's errors, whichever database it is."""

from __future__ import annotations

from enum import Enum, auto

from madang.kernel.errors import MadangError, SiteError, Unavailable


class Verdict(Enum):
    """What a driver's error means for us."""

    CONFLICT = auto()  # another transaction won; nothing of this one is left, it may be run again
    BUSY = auto()  # others held it for all the time that may be waited
    LOST = auto()  # the connection broke; the server undoes what was not committed
    AWAY = auto()  # it cannot be reached, or takes no orders now
    FULL = auto()
    REFUSED = auto()  # it does not let us in
    DAMAGED = auto()


class DatabaseBusy(Unavailable):
    code = "database_busy"
    title = "The database is busy"


class DatabaseConflict(DatabaseBusy):
    """Nothing was changed and `retried` may run the method again: `retries` times, after `pause_seconds` at most."""

    retries: int = 0
    pause_seconds: float = 0.0


class DatabaseFull(Unavailable):
    code = "database_full"
    title = "The disk of the database is full"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database cannot be used right now"


class DatabaseDamaged(SiteError):
    code = "database_damaged"
    title = "The database is damaged"


class DatabaseRefused(SiteError):
    code = "database_refused"
    title = "The database does not let the portal in"


def known_error(verdict: Verdict, detail: str, hint: str) -> MadangError:
    """The error to raise, but for BUSY and CONFLICT: of those Database knows more. `hint`: what helps if it is away."""
    match verdict:
        case Verdict.FULL:
            return DatabaseFull(detail, hint=hint, retry_after=5)
        case Verdict.REFUSED:
            return DatabaseRefused(detail, hint="Look at database.url and database.password_file, and at its grants.")
        case Verdict.DAMAGED:
            return DatabaseDamaged(detail, hint="Stop the portal and restore a backup.")
        case _:
            return DatabaseUnavailable(detail, hint=hint, retry_after=5)
