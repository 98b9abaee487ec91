"""Who used how much: hours of desktops, CPUs and GPUs within a range of days (UTC)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
from sqlalchemy import case, delete, func, select

from madang.desktops.model import Session
from madang.desktops.store import Sessions, gpus_of
from madang.desktops.tables import usage
from madang.kernel import clock
from madang.kernel.database import Database, retried
from madang.kernel.errors import InvalidInput

DAY_SECONDS = 86_400.0
# A cell that begins so is a formula to a spreadsheet (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class Share(msgspec.Struct, frozen=True):
    """What one person used of one preset; an account is that of Unix, or empty."""

    person: str
    account: str
    preset: str
    launcher: str
    sessions: int
    hours: float
    cpu_hours: float
    gpu_hours: float


class Range(msgspec.Struct, frozen=True):
    """From the first moment on, before the last (epoch s)."""

    begin: float
    end: float


def days(first: date | None, last: date | None, today: date) -> Range:
    """From the first day to the last, both included; of what is not said, the 30 days before. Raises InvalidInput."""
    last = last or (first + timedelta(days=29) if first and first > today else today)
    try:
        first = first or last - timedelta(days=29)
        begin, end = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, last + timedelta(days=1)))
    except (OverflowError, ValueError) as error:
        raise _wrong("to", "is out of range") from error
    if begin >= end:
        raise _wrong("to", "is before `from`")
    return Range(begin.timestamp(), end.timestamp())


class Usage:
    """The usage of one service."""

    def __init__(self, database: Database, service: str, store: Sessions, keep_days: int) -> None:
        self._database = database
        self._service = service
        self._store = store
        self._keep_days = keep_days

    async def shares(self, span: Range) -> Sequence[Share]:
        """What was used within the range, running desktops up to now; by person, then preset."""
        rows = [*await self._ended(span), *_running(await self._store.running(), span, clock.now())]
        return sorted(_added(rows), key=lambda share: (share.person, share.preset, share.launcher, share.account))

    @retried
    async def forget(self) -> str:
        """Remove what is older than it is kept."""
        before = clock.now() - self._keep_days * DAY_SECONDS
        old = usage.c.service == self._service, usage.c.ended_at < before
        async with self._database.write() as connection:
            count = (await connection.execute(delete(usage).where(*old))).rowcount
        return f"{count} records of usage were out of date" if count else ""

    async def _ended(self, span: Range) -> Sequence[Share]:
        # One that was ready in the pool counts from the moment on at which its person asked for it.
        begun = case((usage.c.created_at > usage.c.started_at, usage.c.created_at), else_=usage.c.started_at)
        begin = case((begun < span.begin, span.begin), else_=begun)
        end = case((usage.c.ended_at > span.end, span.end), else_=usage.c.ended_at)
        hours = (end - begin) / 3600.0
        keys = (usage.c.person_name, usage.c.account, usage.c.preset_name, usage.c.launcher)
        sums = (func.count(), func.sum(hours), func.sum(hours * usage.c.cpus), func.sum(hours * usage.c.gpus))
        within = usage.c.service == self._service, usage.c.ended_at > span.begin, begun < span.end
        ran = usage.c.started_at.is_not(None), usage.c.ended_at >= begun
        async with self._database.read() as connection:
            rows = await connection.execute(select(*keys, *sums).where(*within, *ran).group_by(*keys))
            return [Share(r[0], r[1] or "", r[2] or "", r[3], int(r[4]), *map(float, r[5:8])) for r in rows]


def _running(sessions: Iterable[Session], span: Range, now: float) -> Iterable[Share]:
    for session in sessions:
        started = session.started_at or (session.launched_at if session.launcher == "local" else None)
        if started is None or session.pooled_until is not None:
            continue
        begin, end = max(started, session.created_at, span.begin), min(now, span.end)
        if begin >= end:
            continue
        hours = (end - begin) / 3600
        asked = session.terms.resources if session.terms else None
        cpus, gpus = (asked.cpus or 1, gpus_of(asked.gpus)) if asked else (1, 0)
        names = (session.person_name, session.account or "", session.preset_name or "", session.launcher)
        yield Share(*names, 1, hours, hours * cpus, hours * gpus)


def _added(shares: Iterable[Share]) -> Iterable[Share]:
    """One of each person, account, preset and launcher."""
    sums: dict[tuple[str, str, str, str], Share] = {}
    for one in shares:
        key = (one.person, one.account, one.preset, one.launcher)
        have = sums.get(key, Share(*key, 0, 0.0, 0.0, 0.0))
        sums[key] = Share(
            *key,
            have.sessions + one.sessions,
            have.hours + one.hours,
            have.cpu_hours + one.cpu_hours,
            have.gpu_hours + one.gpu_hours,
        )
    return sums.values()


def as_csv(shares: Sequence[Share]) -> str:
    """RFC 4180, with the names of the fields in the first line; hours to the thousandth."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(Share.__struct_fields__)
    for share in shares:
        writer.writerow([_cell(value) for value in msgspec.structs.astuple(share)])
    return out.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}.", fields=[{"field": field, "message": message}])
