"""When machines are backed up by themselves. Pure: what is stored and what the site says in, the next time out."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Literal, get_args

import msgspec

from madang.machines.model import BackupPlan, Machine, Schedule, State, Weekday

WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
Rule = Literal["choose", "force", "forbid"]


class SiteSchedule(msgspec.Struct, frozen=True):
    """What the site says: whether owners may `choose`, and the schedule of those who do not. `zone` None: this
    machine's."""

    rule: Rule
    usual: Schedule
    zone: tzinfo | None = None


def in_force(plan: BackupPlan, site: SiteSchedule) -> Schedule:
    if site.rule == "forbid":
        return msgspec.structs.replace(site.usual, every="off")
    if site.rule == "force" or plan.own is None:
        return site.usual
    return plan.own


def next_time(schedule: Schedule, after: float, zone: tzinfo | None) -> float | None:
    """The first moment of the schedule later than `after`; None: it never comes."""
    if schedule.every == "off":
        return None
    moment = datetime.fromtimestamp(after, zone).replace(hour=schedule.hour, minute=0, second=0, microsecond=0)
    step = timedelta(days=1)
    if schedule.every == "weekly":
        step = timedelta(days=7)
        moment += timedelta(days=(WEEKDAYS.index(schedule.weekday) - moment.weekday()) % 7)
    # By the clock on the wall: the hour stays when summer time begins or ends.
    while moment.timestamp() <= after:
        moment += step
    return moment.timestamp()


def timed(plan: BackupPlan, site: SiteSchedule, now: float) -> BackupPlan:
    """The plan with the next time of what is in force; one that was missed stays missed, and is caught up once."""
    schedule = in_force(plan, site)
    if plan.timed == schedule:
        return plan
    return msgspec.structs.replace(plan, timed=schedule, next_at=next_time(schedule, now, site.zone))


def begun(plan: BackupPlan, site: SiteSchedule, now: float) -> BackupPlan:
    """The plan once a backup is on its way: the next one is due at its next time, however many were missed."""
    return msgspec.structs.replace(plan, next_at=next_time(in_force(plan, site), now, site.zone))


def is_due(machine: Machine, now: float) -> bool:
    """Templates do not change, and what cannot be seen waits until it is."""
    if machine.template or machine.unknown_since is not None or machine.state in (State.CREATING, State.FAILED):
        return False
    return machine.plan.next_at is not None and machine.plan.next_at <= now
