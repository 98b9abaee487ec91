"""Who hears what, in one process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from madang.kernel.events import Event, Events, Listener
from madang.kernel.live_embedded import EmbeddedLive


@pytest.fixture
async def events(tmp_path: Path) -> AsyncIterator[Events]:
    live = EmbeddedLive(tmp_path / "live.sqlite3", shared=False)
    await live.start()
    yield Events(live)
    await live.stop()


async def test_a_page_hears_what_it_may_see_in_order(events: Events):
    async with events.listen(lambda event: event.person in (None, "kim")) as page:
        for number, person in enumerate(("kim", "lee", None, "kim")):
            await events.publish("changed", {"number": number}, person=person)
        heard = [msgspec.json.decode((await page.next()).data)["number"] for _ in range(3)]
    assert heard == [0, 2, 3]


async def test_a_page_that_left_is_not_told_any_more(events: Events):
    async with events.listen(lambda _event: True) as page:
        pass
    await events.publish("changed", {})
    assert page._queue.empty()


async def test_a_handler_hears_its_own_kind_only(events: Events):
    heard: list[str] = []

    async def hear(event: Event) -> None:
        heard.append(event.name)

    events.on("one", hear)
    await events.publish("one", {})
    await events.publish("two", {})
    assert heard == ["one"]


async def test_a_handler_that_fails_hinders_neither_the_others_nor_who_publishes(events: Events):
    heard: list[str] = []

    async def fail(_event: Event) -> None:
        raise RuntimeError("a bug")

    async def hear(event: Event) -> None:
        heard.append(event.name)

    events.on("one", fail)
    events.on("one", hear)
    async with events.listen(lambda _event: True) as page:
        await events.publish("one", {})
        assert (await page.next()).name == "one"
    assert heard == ["one"]


async def test_a_page_that_does_not_keep_up_is_told_to_come_again_and_holds_no_memory(events: Events):
    async with events.listen(lambda _event: True) as slow, events.listen(lambda _event: True) as quick:
        for number in range(Listener.LARGEST_QUEUE + 50):
            await events.publish("changed", {"number": number})
            assert await quick.next() is not None
        assert await slow.next() is None
        assert slow._queue.qsize() <= Listener.LARGEST_QUEUE


async def test_live_state_that_cannot_be_used_does_not_keep_an_event_from_this_process(tmp_path: Path):
    (tmp_path / "live.sqlite3").mkdir()
    live = EmbeddedLive(tmp_path / "live.sqlite3", shared=True)
    await live.start()
    events = Events(live)
    async with events.listen(lambda _event: True) as page:
        await events.publish("changed", {})
        assert (await asyncio.wait_for(page.next(), 5)).name == "changed"
    await live.stop()
