"""Sessions in a real SQLite file."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madang.compute.order import Stage
from madang.desktops.model import Session, State
from madang.desktops.store import Sessions, Stale
from madang.kernel.errors import Failure, LimitReached
from madang.kernel.ground import Ground
from tests.unit.desktops.house import session


@pytest.fixture
def store(ground: Ground) -> Sessions:
    return Sessions(ground.database, "vnc")


async def listed(store: Sessions, **given: object) -> list[str]:
    wanted = {"person_id": None, "ended_since": 0.0, "limit": 1000, "offset": 0} | given
    return [key for key, _ in await store.versions(**wanted)]


async def test_a_session_is_read_as_it_was_stored(store: Sessions):
    whole = session(
        name="바탕 화면 'x'; --",
        state=State.FAILED,
        account="kim",
        wanted=False,
        unknown_since=1.5,
        node="here",
        display=3,
        pid=1,
        pid_started=25_000_000_000,  # a machine that has been up for years
        folder="/run/s1",
        launched_at=2.5,
        ready_at=3.5,
        ends_at=4.5,
        ending_at=5.5,
        ended_at=6.123456,
        stages=(Stage("request", 1.25, 0.5), Stage("agent", 1.75)),
        failure=Failure("disk_full", "The disk is full", "detail", "hint"),
        end_reason="failed",
        agent_secret_hash="hash",
        door_key="key",
    )
    await store.add(whole, most=1)
    assert await store.get("s1") == whole
    assert await store.many(["s1"]) == [whole]


texts = st.text(st.characters(codec="utf-8"), max_size=80)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(name=texts, detail=texts, seconds=st.none() | st.floats(0, 1e9), at=st.floats(0, 4e9))
def test_no_text_and_no_number_is_lost_on_the_way(tmp_path_factory, name, detail, seconds, at):
    from madang.desktops.store import _row, _session

    whole = session(name=name, created_at=at, stages=(Stage("x", at, seconds),), failure=Failure("c", "t", detail))
    assert _session(_row(whole)) == whole


async def test_what_is_not_there_is_none(store: Sessions):
    assert await store.get("nobody's") is None


async def test_a_change_counts_the_version_and_leaves_the_rest(store: Sessions):
    first = session(name="first")
    await store.add(first, most=1)
    changed = await store.change(first, display=4, stages=(Stage("agent", 1.0),))
    assert (changed.version, changed.display, changed.name) == (2, 4, "first")
    assert await store.get("s1") == changed


async def test_a_change_of_what_is_not_the_newest_is_refused_and_changes_nothing(store: Sessions):
    first = session()
    await store.add(first, most=1)
    newest = await store.change(first, name="of somebody else")
    with pytest.raises(Stale):
        await store.change(first, name="late", state=State.ENDED)
    assert await store.get("s1") == newest


async def test_of_many_who_change_at_once_one_wins(store: Sessions):
    first = session()
    await store.add(first, most=1)
    outcomes = await asyncio.gather(*(store.change(first, name=str(n)) for n in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 9
    found = await store.get("s1")
    assert found is not None and found.version == 2


async def test_the_limit_counts_a_persons_running_sessions_only(store: Sessions):
    await store.add(session(1), most=2)
    await store.add(session(2, state=State.ENDED, ended_at=1.0), most=2)
    await store.add(session(3, person_id="p2"), most=2)
    await store.add(session(4), most=2)
    with pytest.raises(LimitReached) as caught:
        await store.add(session(5), most=2)
    assert caught.value.extras == {"limit": 2}
    assert await store.get("s5") is None


async def test_nobody_gets_past_the_limit_by_asking_many_times_at_once(store: Sessions):
    asked = [store.add(session(number), most=3) for number in range(12)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, Session)] == [LimitReached] * 9
    assert len(await store.running()) == 3


async def test_a_desktop_without_a_name_gets_the_first_free_number(store: Sessions):
    for number, name in enumerate(["", "Desktop 2", "", "mine", ""]):
        await store.add(session(number, name=name), most=9)
    running = sorted(await store.running(), key=lambda each: each.id)
    assert [each.name for each in running] == ["Desktop 1", "Desktop 2", "Desktop 3", "mine", "Desktop 4"]


async def test_another_services_sessions_are_neither_seen_nor_counted_nor_forgotten(store: Sessions, ground: Ground):
    other = Sessions(ground.database, "moonlight")
    await other.add(session(1, service="moonlight", state=State.ENDED, ended_at=1.0), most=1)
    await other.add(session(2, service="moonlight"), most=1)
    await store.add(session(3), most=1)
    assert await store.get("s1") is None
    assert [found.id for found in await store.running()] == ["s3"]
    assert await listed(store) == ["s3"]
    assert await store.many(["s1", "s3"]) == [await store.get("s3")]
    assert await store.forget(ids=["s1"], ended_before=9e9) == []
    assert await other.get("s1") is not None


async def test_lists_are_newest_first_and_come_in_pages(store: Sessions):
    for number in range(6):
        await store.add(session(number, person_id=f"p{number % 2}"), most=9)
    assert await listed(store) == ["s5", "s4", "s3", "s2", "s1", "s0"]
    assert await listed(store, limit=2, offset=2) == ["s3", "s2"]
    assert await listed(store, person_id="p1") == ["s5", "s3", "s1"]


async def test_what_ended_is_listed_for_its_time_and_what_runs_always(store: Sessions):
    await store.add(session(1, state=State.ENDED, ended_at=100.0), most=9)
    await store.add(session(2, state=State.ENDED, ended_at=200.0), most=9)
    await store.add(session(3), most=9)
    assert await listed(store, ended_since=150.0) == ["s3", "s2"]
    assert await listed(store, ended_since=float("inf")) == ["s3"]


async def test_only_what_is_over_can_be_forgotten(store: Sessions):
    await store.add(session(1, state=State.ENDED, ended_at=100.0), most=9)
    await store.add(session(2, state=State.FAILED, ended_at=300.0), most=9)
    await store.add(session(3), most=9)
    assert await store.forget(ids=["s3"]) == []
    assert await store.forget(ended_before=200.0) == [("s1", "p1")]
    assert await store.forget(ids=["s2", "s3", "s9"]) == [("s2", "p1")]
    assert await listed(store) == ["s3"]


async def test_more_sessions_than_a_statement_holds_values_are_read_and_forgotten(store: Sessions, ground: Ground):
    from sqlalchemy import insert

    from madang.desktops.store import _row
    from madang.desktops.tables import sessions as table

    many = [session(number, state=State.ENDED, ended_at=1.0) for number in range(33_000)]
    async with ground.database.write() as connection:
        await connection.execute(insert(table), [_row(each) for each in many])
    assert len(await store.many([each.id for each in many[:1200]])) == 1200
    assert len(await store.forget(ended_before=2.0)) == 33_000
    assert await listed(store) == []
