"""Usage within a range of days, on real rows."""

from datetime import date

import pytest

from madang.compute.order import Resources
from madang.desktops.model import State, Terms
from madang.desktops.store import POOL, Sessions
from madang.desktops.usage import Range, Share, Usage, as_csv, days
from madang.kernel.errors import InvalidInput
from madang.kernel.ground import Ground
from tests.unit.desktops.house import session

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def store(ground: Ground) -> Sessions:
    return Sessions(ground.database, "vnc")


@pytest.fixture
def usage(ground: Ground, store: Sessions) -> Usage:
    return Usage(ground.database, "vnc", store, 30)


async def used(store: Sessions, number: int, begin: float, end: float, **values: object) -> None:
    terms = Terms(Resources(time_limit_seconds=60, cpus=4, gpus="a100:2"))
    base = {"created_at": begin, "launched_at": begin, "terms": terms, "preset_name": "Big", "launcher": "local"}
    one = await store.add(session(number, **(base | values)), most=99)
    await store.change(one, state=State.ENDED, ended_at=end, end_reason="asked")


async def test_hours_are_counted_within_the_range(store: Sessions, usage: Usage):
    await used(store, 1, 0.0, 4 * HOUR)
    await used(store, 2, 10 * HOUR, 12 * HOUR)
    await used(store, 3, 30 * HOUR, 40 * HOUR)  # after it
    [share] = await usage.shares(Range(2 * HOUR, 11 * HOUR))
    assert share == Share("kim", "", "Big", "local", 2, 3.0, 12.0, 6.0)


async def test_each_person_and_preset_has_a_line(store: Sessions, usage: Usage):
    await used(store, 1, 0.0, HOUR)
    await used(store, 2, 0.0, HOUR, preset_name="Small", terms=None)
    await used(store, 3, 0.0, HOUR, person_id="p2", person_name="lee", account="lee1")
    found = await usage.shares(Range(0.0, DAY))
    assert [(s.person, s.account, s.preset, s.sessions, s.cpu_hours) for s in found] == [
        ("kim", "", "Big", 1, 4.0),
        ("kim", "", "Small", 1, 1.0),
        ("lee", "lee1", "Big", 1, 4.0),
    ]


async def test_what_runs_counts_up_to_now(store: Sessions, usage: Usage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("madang.desktops.usage.clock.now", lambda: 5 * HOUR)
    await store.add(session(1, created_at=2 * HOUR, launched_at=2 * HOUR, preset_name="Big"), most=9)
    await store.add(session(2, created_at=2 * HOUR), most=9)  # not begun yet
    [share] = await usage.shares(Range(0.0, DAY))
    assert (share.sessions, share.hours, share.cpu_hours) == (1, 3.0, 3.0)


async def test_the_wait_in_the_pool_is_nobodys(store: Sessions, usage: Usage):
    await used(store, 1, 0.0, HOUR, pooled_until=9.0)
    ready = await store.add(session(2, launched_at=0.0, created_at=0.0, pooled_until=9e9), most=9)
    taken = await store.take_from_pool(ready, most=9, created_at=2 * HOUR)
    await store.change(taken, state=State.ENDED, ended_at=3 * HOUR)
    found = {share.person: share.hours for share in await usage.shares(Range(0.0, DAY))}
    assert found == {POOL: 1.0, "kim": 1.0}


async def test_a_job_that_never_began_is_not_there(store: Sessions, usage: Usage):
    await used(store, 1, 0.0, HOUR, launcher="slurm")
    assert await usage.shares(Range(0.0, DAY)) == []


async def test_usage_is_forgotten_after_its_time(store: Sessions, usage: Usage, monkeypatch: pytest.MonkeyPatch):
    await used(store, 1, 0.0, HOUR)
    monkeypatch.setattr("madang.desktops.usage.clock.now", lambda: 29 * DAY)
    assert await usage.forget() == ""
    monkeypatch.setattr("madang.desktops.usage.clock.now", lambda: 31 * DAY)
    assert await usage.forget() == "1 records of usage were out of date"
    assert await usage.shares(Range(0.0, DAY)) == []


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta", 'a,"b"\n'])
def test_no_cell_is_a_formula(name: str):
    import csv
    import io

    [_, row] = csv.reader(io.StringIO(as_csv([Share(name, "", "p", "local", 1, 1.0, 2.0, 0.0)])))
    assert row[0] == (name if name.startswith("a") else f"'{name}")
    assert row[4:] == ["1", "1.000", "2.000", "0.000"]


def test_a_range_of_days_includes_its_last():
    today = date(2026, 11, 20)
    assert days(date(2026, 11, 20), date(2026, 11, 20), today).end - days(today, today, today).begin == DAY
    assert days(None, None, today).end == days(today, today, today).end
    assert days(None, None, today).end - days(None, None, today).begin == 30 * DAY
    for first, last in ((date(2026, 11, 21), today), (None, date.max), (None, date.min)):
        with pytest.raises(InvalidInput):
            days(first, last, today)
