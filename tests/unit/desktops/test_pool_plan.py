"""What is done about pools, on whatever could be there."""

from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.desktops.model import Session
from madang.desktops.pool_plan import Guest, in_schedule, make_plan
from madang.desktops.preset import Preset
from tests.unit.desktops.house import session

NOW = 1_000_000.0


def preset(key: str = "a", size: int = 2, **values: object) -> Preset:
    return Preset(id=key, name=key, pool_size=size, **values)


def one(number: int, person: str = "p1", key: str = "a", **values: object) -> Session:
    given_values = {"pooled_until": NOW + 100, "person_id": person, "preset": key} | values
    return session(number, **given_values)


def guests(*people: str, key: str = "a", full: tuple[str, ...] = ()) -> dict[str, list[Guest]]:
    drafts = [(name, one(100 + number, name, key)) for number, name in enumerate(people)]
    return {key: [Guest(draft, (number,), name in full) for number, (name, draft) in enumerate(drafts)]}


def made(plan) -> list[str]:
    return [draft.person_id for draft in plan.make]


def test_the_most_recent_get_one_each():
    plan = make_plan({"a": preset()}, [], guests("kim", "lee", "park"), set(), NOW)
    assert made(plan) == ["kim", "lee"] and plan.end == ()


def test_those_who_have_one_count_and_keep_it():
    plan = make_plan({"a": preset()}, [one(1, "park")], guests("kim", "lee", "park"), set(), NOW)
    assert made(plan) == ["kim"] and plan.end == ()


def test_nobody_gets_one_that_they_could_not_take():
    plan = make_plan({"a": preset()}, [], guests("kim", "lee", full=("kim",)), set(), NOW)
    assert made(plan) == ["lee"]


def test_of_a_closed_pool_nothing_new_is_made_and_what_is_there_stays():
    plan = make_plan({"a": preset()}, [one(1, "kim")], guests("kim", "lee"), {"a"}, NOW)
    assert made(plan) == [] and plan.end == ()


@pytest.mark.parametrize(
    ("presets", "there", "who", "why"),
    [
        ({}, one(1, "kim"), guests("kim"), "its preset or its schedule is over"),
        ({"a": preset()}, one(1, "kim", pooled_until=NOW - 1), guests("kim"), "nobody asked for it in time"),
        ({"a": preset()}, one(1, "kim"), guests("lee"), "its person may not have it any more"),
        (
            {"a": preset()},
            one(1, "kim", width=1),
            guests("kim"),
            "its preset, or what its person chooses, is another now",
        ),
    ],
)
def test_what_is_of_no_use_is_ended(presets, there, who, why):
    assert make_plan(presets, [there], who, {"a"}, NOW).end == ((there, why),)


def test_a_smaller_pool_keeps_the_newest():
    there = [one(number, f"p{number}") for number in (1, 2, 3)]
    plan = make_plan({"a": preset(size=1)}, there, guests("p1", "p2", "p3"), set(), NOW)
    assert sorted(session.id for session, _ in plan.end) == ["s1", "s2"] and not plan.make


def test_people_come_before_the_pool():
    there = [one(1, "p1"), one(2, "p2")]
    plan = make_plan({"a": preset(size=3)}, there, guests("p1", "p2", "p3"), set(), NOW, 1)
    assert plan.end == ((there[0], "people need its place"),) and not plan.make


people = st.lists(st.sampled_from(["p1", "p2", "p3", "p4"]), unique=True)


@given(st.integers(0, 4), st.lists(st.sampled_from(["p1", "p2", "p3", "p9"]), max_size=5), people, people)
def test_after_a_plan_the_pool_is_as_it_should_be(size, there, who, full):
    pooled = [one(number, person) for number, person in enumerate(there)]
    presets = {"a": preset(size=size)} if size else {}
    plan = make_plan(presets, pooled, guests(*who, full=tuple(full)), set(), NOW)
    ended = {session.id for session, _ in plan.end}
    after = [session for session in pooled if session.id not in ended] + list(plan.make)
    persons = [session.person_id for session in after]
    assert len(persons) == len(set(persons)) <= size
    assert set(persons) <= set(who)
    again = [msgspec.structs.replace(draft, id=f"new-{draft.person_id}") for draft in plan.make]
    settled = [session for session in pooled if session.id not in ended] + again
    assert make_plan(presets, settled, guests(*who, full=tuple(full)), set(), NOW).end == ()
    assert make_plan(presets, settled, guests(*who, full=tuple(full)), set(), NOW).make == ()


FRIDAY = datetime(2026, 11, 20)


@pytest.mark.parametrize(
    ("schedule", "hour", "inside"),
    [
        ({}, 3, True),
        ({"pool_from": "08:00", "pool_to": "18:00"}, 7, False),
        ({"pool_from": "08:00", "pool_to": "18:00"}, 8, True),
        ({"pool_from": "08:00", "pool_to": "18:00"}, 18, False),
        ({"pool_from": "22:00", "pool_to": "06:00"}, 23, True),
        ({"pool_from": "22:00", "pool_to": "06:00"}, 5, True),
        ({"pool_from": "22:00", "pool_to": "06:00"}, 6, False),
        ({"pool_days": (4,)}, 12, True),
        ({"pool_days": (0, 1)}, 12, False),
        ({"pool_from": "22:00", "pool_to": "06:00", "pool_days": (3,)}, 5, True),  # since Thursday evening
        ({"pool_from": "22:00", "pool_to": "06:00", "pool_days": (3,)}, 23, False),
        ({"enabled": False}, 12, False),
    ],
)
def test_a_pool_has_its_times(schedule, hour, inside):
    assert in_schedule(preset(**schedule), FRIDAY.replace(hour=hour)) is inside


def test_a_preset_without_a_pool_has_none():
    assert not in_schedule(preset(size=0), FRIDAY)
