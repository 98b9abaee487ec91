"""What every kind of live state does. Test modules of each kind import these tests and give two fixtures.

`live`: live state that was started and is empty; `elapse(seconds)`: lets that much of its time go by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from madang.kernel.live import Live

Elapse = Callable[[float], Awaitable[None]]
LONG = 600.0


async def test_a_record_is_given_back_as_it_was(live: Live):
    value = {"name": "바탕", "numbers": [1, 2.5, None], "deep": {"true": True}}
    await live.put("vnc:session:a", value, LONG)
    assert await live.get("vnc:session:a") == value
    assert await live.get("vnc:session:b") is None
    assert live.reachable


async def test_the_last_value_of_a_record_counts(live: Live):
    await live.put("key", 1, LONG)
    await live.put("key", 2, LONG)
    assert await live.get("key") == 2


async def test_several_records_are_put_at_once(live: Live):
    records = {f"many:{number:04}": {"number": number} for number in range(1203)}
    await live.put_many(records, LONG)
    await live.put_many({}, LONG)
    assert await live.get_many("many:") == records
    assert list(await live.get_many("many:")) == sorted(records)


async def test_a_record_is_gone_after_its_time(live: Live, elapse: Elapse):
    await live.put("key", "value", 10)
    await elapse(5)
    assert await live.get("key") == "value"
    await elapse(6)
    assert await live.get("key") is None
    assert await live.get_many("k") == {}


async def test_a_record_that_is_put_again_lasts_anew(live: Live, elapse: Elapse):
    await live.put("key", 1, 10)
    await elapse(7)
    await live.put("key", 2, 10)
    await elapse(7)
    assert await live.get_many("k") == {"key": 2}


async def test_records_are_found_by_the_beginning_of_their_key_and_only_by_it(live: Live):
    of_vnc = ("vnc:session:", "vnc:session:a", "vnc:session:가")
    for key in (*of_vnc, "vnc:sessions:x", "vnc:sessio", "moonlight:session:a"):
        await live.put(key, key, LONG)
    assert tuple(await live.get_many("vnc:session:")) == of_vnc
    assert len(await live.get_many("")) == 6


@pytest.mark.parametrize("wild", ["%", "_", "*", "?", "[a]", "(a", "#"])
async def test_no_character_of_a_prefix_is_wild(live: Live, wild: str):
    await live.put("abc", 1, LONG)
    assert await live.get_many(wild) == {}


async def test_a_deleted_record_is_gone_and_deleting_again_is_no_error(live: Live):
    await live.put("key", 1, LONG)
    await live.delete("key")
    await live.delete("key")
    assert await live.get("key") is None
    assert await live.get_many("") == {}


async def test_a_mark_is_new_once_until_its_time_is_over(live: Live, elapse: Elapse):
    assert await live.add("ticket", 10)
    assert not await live.add("ticket", 10)
    await elapse(11)
    assert await live.add("ticket", 10)


async def test_a_count_begins_anew_a_time_after_its_first_and_not_after_its_last(live: Live, elapse: Elapse):
    assert [await live.count("tries", 10) for _ in range(3)] == [1, 2, 3]
    await elapse(6)
    assert await live.count("tries", 10) == 4
    await elapse(5)
    assert await live.count("tries", 10) == 1


async def test_a_count_can_be_read_as_a_record(live: Live):
    for _ in range(12):
        await live.count("tries", LONG)
    assert await live.get("tries") == 12
    assert await live.get_many("tr") == {"tries": 12}


async def test_of_many_who_mark_at_once_one_is_the_first(live: Live):
    assert sum(await asyncio.gather(*(live.add("ticket", LONG) for _ in range(50)))) == 1


async def test_a_lease_is_one_holders_until_it_runs_out(live: Live, elapse: Elapse):
    assert await live.hold(["a", "b"], "one", 10) == {"a", "b"}
    assert await live.hold(["a", "b", "c"], "two", 10) == {"c"}
    await elapse(6)
    assert await live.hold(["a"], "one", 10) == {"a"}
    await elapse(5)
    assert await live.hold(["a", "b"], "two", 10) == {"b"}
    assert await live.hold([], "two", 10) == set()


async def test_only_its_holder_gives_a_lease_back(live: Live):
    await live.hold(["a", "b"], "one", LONG)
    await live.release(["a", "b"], "two")
    assert await live.hold(["a", "b"], "two", LONG) == set()
    await live.release(["a"], "one")
    assert await live.hold(["a", "b"], "two", LONG) == {"a"}


async def test_of_many_who_want_a_lease_at_once_one_has_it(live: Live):
    held = await asyncio.gather(*(live.hold(["a"], f"holder {number}", LONG) for number in range(30)))
    assert sum(map(len, held)) == 1
