"""When machines are backed up by themselves."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.machines.model import BackupPlan, Schedule, State
from madang.machines.schedule import SiteSchedule, begun, in_force, is_due, next_time, timed
from tests.unit.machines.made import machine

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
OFF = Schedule("off", 2, "sunday")
DAILY, WEEKLY = Schedule("daily", 2, "sunday"), Schedule("weekly", 23, "wednesday")


def at(text: str, zone: ZoneInfo = SEOUL) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("schedule", "after", "then"),
    [
        (DAILY, "2026-11-28 01:59:59", "2026-11-28 02:00"),
        (DAILY, "2026-11-28 02:00:00", "2026-11-29 02:00"),
        (WEEKLY, "2026-11-25 22:59:59", "2026-11-25 23:00"),  # a Wednesday
        (WEEKLY, "2026-11-25 23:00:00", "2026-12-02 23:00"),
        (WEEKLY, "2026-12-31 12:00:00", "2027-01-06 23:00"),
    ],
)
def test_the_next_time_is_by_the_clock_of_the_site(schedule: Schedule, after: str, then: str):
    assert next_time(schedule, at(after), SEOUL) == at(then)


def test_the_hour_stays_when_summer_time_ends():
    before = at("2026-10-24 02:00", BERLIN)
    again = next_time(DAILY, before, BERLIN)
    assert again == at("2026-10-25 02:00", BERLIN)
    after = next_time(DAILY, again, BERLIN)
    assert after is not None and datetime.fromtimestamp(after, BERLIN).hour == 2
    assert after - before == 49 * 3600


def test_off_never_comes():
    assert next_time(OFF, 0.0, SEOUL) is None


@given(
    st.sampled_from([DAILY, WEEKLY]),
    st.floats(min_value=0, max_value=4e9),
    st.sampled_from([None, SEOUL, BERLIN, ZoneInfo("America/Santiago")]),
)
def test_it_comes_soon_and_never_at_once(schedule: Schedule, after: float, zone: ZoneInfo | None):
    then = next_time(schedule, after, zone)
    assert then is not None
    days = 1 if schedule.every == "daily" else 7
    assert 0 < then - after <= days * 86400 + 7200


@pytest.mark.parametrize(
    ("rule", "own", "found"),
    [
        ("choose", None, DAILY),
        ("choose", WEEKLY, WEEKLY),
        ("choose", OFF, OFF),
        ("force", OFF, DAILY),
        ("forbid", WEEKLY, OFF),
    ],
)
def test_the_site_may_force_or_forbid(rule: str, own: Schedule | None, found: Schedule):
    site = SiteSchedule(rule, DAILY, SEOUL)  # type: ignore[arg-type]
    assert in_force(BackupPlan(own=own), site) == found


def test_what_was_missed_stays_due_and_is_caught_up_once():
    site = SiteSchedule("choose", DAILY, SEOUL)
    plan = timed(BackupPlan(), site, at("2026-11-20 12:00"))
    assert plan.next_at == at("2026-11-21 02:00")
    later = at("2026-11-28 12:00")
    assert timed(plan, site, later) == plan
    assert is_due(machine(backup_plan=plan), later)
    plan = begun(plan, site, later)
    assert plan.next_at == at("2026-11-29 02:00") and not is_due(machine(backup_plan=plan), later)


def test_another_schedule_begins_at_its_own_next_time():
    site = SiteSchedule("choose", DAILY, SEOUL)
    plan = timed(BackupPlan(), site, at("2026-11-20 12:00"))
    other = timed(BackupPlan(own=WEEKLY, timed=plan.timed, next_at=plan.next_at), site, at("2026-11-28 12:00"))
    assert other.next_at == at("2026-12-02 23:00")
    assert timed(plan, SiteSchedule("forbid", DAILY, SEOUL), at("2026-11-28 12:00")).next_at is None


def test_what_cannot_be_backed_up_waits():
    plan = BackupPlan(next_at=1.0)
    assert is_due(machine(backup_plan=plan), 2.0)
    for other in ({"template": True}, {"state": State.CREATING}, {"state": State.FAILED}, {"unknown_since": 1.0}):
        assert not is_due(machine(backup_plan=plan, **other), 2.0)
