"""Live state and events that several processes share, of each kind."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.kernel.events import Event, Events
from madang.kernel.live import LiveSettings, LiveStateUnavailable, make_live
from madang.kernel.live_embedded import EmbeddedLive
from tests.support.redis import RedisServer

# Publishes what it is told, prints what it hears.
OTHER = """
import asyncio, sys
from pathlib import Path
from madang.kernel.events import Events
from madang.kernel.live import LiveSettings, make_live

async def main():
    settings = LiveSettings(url=sys.argv[2], tell_seconds=0.5)
    live = make_live(settings, Path(sys.argv[1]), shared=True)
    events = Events(live, settings)

    async def hear(event):
        print(event.name, bytes(event.data).decode(), event.person, flush=True)

    events.on("told", hear)
    await live.start()
    print("started", flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "add":
            print(await live.add("mark", 60), flush=True)
        elif line == "listen":
            page = events.listen(lambda event: True, "kim")
            await page.__aenter__()
        elif line == "leave":
            await page.__aexit__(None, None, None)
        elif line == "call":
            await events.call("said", {"line": "called"})
        else:
            await events.publish("said", {"line": line}, person="p1")

asyncio.run(main())
"""

# Counts as fast as it can, prints the numbers it got.
COUNTER = """
import asyncio, sys
from pathlib import Path
from madang.kernel.live import LiveSettings, make_live

async def main():
    live = make_live(LiveSettings(url=sys.argv[2]), Path(sys.argv[1]), shared=True)
    await live.start()
    print("started", flush=True)
    sys.stdin.readline()
    print(*[await live.count("tries", 600) for _ in range(200)], flush=True)

asyncio.run(main())
"""


TELL_SECONDS = 0.5


class Heard:
    """The hub of the test's process and what it heard from others."""

    def __init__(self, file: Path, url: str) -> None:
        self.file, self.url = file, url
        self.settings = LiveSettings(url=url, tell_seconds=TELL_SECONDS)
        self.live = make_live(self.settings, file, shared=True)
        self.events = Events(self.live, self.settings)
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.events.on("said", self.queue.put)

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return bytes((await self.queue.get()).data).decode()

    async def stop(self) -> None:
        await self.events.stop()
        await self.live.stop()


@pytest.fixture(params=["embedded", "redis"])
async def heard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Heard]:
    url = ""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.flush()
        url = server.url
    found = Heard(tmp_path / "live.sqlite3", url)
    await found.live.start()
    yield found
    await found.stop()


only_embedded = pytest.mark.parametrize("heard", ["embedded"], indirect=True)


@pytest.fixture
async def other(run, heard: Heard):
    process = await run(OTHER, heard.file, heard.url)
    assert await process.line() == "started"
    return process


async def test_two_processes_hear_each_other_once_and_in_order(heard: Heard, other):
    for number in range(20):
        await other.say(f"line {number}")
    assert [await heard.next() for _ in range(20)] == [f'{{"line":"line {number}"}}' for number in range(20)]
    await heard.events.publish("told", {"text": "안녕"}, person="p2")
    assert await other.line() == 'told {"text":"안녕"} p2'
    await asyncio.sleep(3 * EmbeddedLive.POLL_SECONDS)
    assert heard.queue.empty()


async def test_ones_own_events_are_heard_once(heard: Heard):
    await heard.events.publish("said", {"line": "mine"})
    assert await heard.next() == '{"line":"mine"}'
    await asyncio.sleep(3 * EmbeddedLive.POLL_SECONDS)
    assert heard.queue.empty()


async def test_a_process_that_starts_later_does_not_hear_what_was_before(heard: Heard, other):
    await other.say("before")
    assert await heard.next() == '{"line":"before"}'
    late = Heard(heard.file, heard.url)
    await late.live.start()
    await other.say("after")
    assert await late.next() == '{"line":"after"}'
    await late.stop()


async def test_a_message_that_cannot_be_handled_does_not_make_deaf(heard: Heard, other):
    async def fail(event: Event) -> None:
        raise RuntimeError("a bug")

    heard.events.on("said", fail)
    sender = make_live(heard.settings, heard.file, shared=True)
    await sender.publish(b"not an event at all")
    await sender.stop()
    await other.say("still here")
    assert await heard.next() == '{"line":"still here"}'
    await other.say("and again")
    assert await heard.next() == '{"line":"and again"}'


@only_embedded
async def test_events_are_heard_again_after_live_state_was_deleted_under_both(heard: Heard, other):
    await other.say("one")
    assert await heard.next() == '{"line":"one"}'
    for path in heard.file.parent.glob("live.sqlite3*"):
        path.unlink()
    await heard.live.put("key", 1, 60)
    await other.say("two")
    assert await heard.next() == '{"line":"two"}'
    await heard.events.publish("told", {})
    assert await other.line() == "told {} None"


async def test_no_page_hears_what_portals_say_to_each_other(heard: Heard, other):
    async with heard.events.listen(lambda _event: True, "lee") as page:
        await other.say("call")
        assert await heard.next() == '{"line":"called"}'
        await other.say("an event")
        assert (await page.next()).name == "said"
        assert page._queue.empty()


async def test_a_portal_knows_whose_pages_another_one_has(heard: Heard, other):
    """Until everybody had the time to answer, anybody may be listening."""

    async def until(expected: bool, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while heard.events.heard("said", "kim") is not expected:
                await asyncio.sleep(0.02)

    assert heard.events.heard("said", "kim")
    await until(False)
    await other.say("listen")
    await until(True)
    assert not heard.events.heard("said", "lee")
    await other.say("leave")
    await until(False)
    await other.say("listen")
    await until(True)
    await other.end()  # as kill -9
    await until(False, 3 * TELL_SECONDS + 5)


async def test_a_portal_that_starts_later_asks_whose_pages_there_are(heard: Heard, other):
    await other.say("listen")
    late = Heard(heard.file, heard.url)
    await late.live.start()
    assert late.events.heard("said", "lee")
    async with asyncio.timeout(10):
        while late.events.heard("said", "lee"):
            await asyncio.sleep(0.02)
    assert late.events.heard("said", "kim")
    await late.stop()


@pytest.mark.parametrize("heard", ["redis"], indirect=True)
async def test_through_redis_an_event_takes_milliseconds(heard: Heard, run):
    times = []
    other = Heard(heard.file, heard.url)
    await other.live.start()
    for _ in range(50):
        begin = time.perf_counter()
        await other.events.publish("said", {"session": {"name": "x" * 1000}})
        await heard.next()
        times.append(time.perf_counter() - begin)
    await other.stop()
    assert sorted(times)[len(times) // 2] < 0.010


async def test_of_two_processes_one_sets_a_mark_first(heard: Heard, other):
    assert await heard.live.add("mark", 60)
    assert await other.ask("add") == "False"


async def test_two_processes_that_count_at_once_count_every_one(run, heard: Heard):
    counters = [await run(COUNTER, heard.file, heard.url) for _ in range(2)]
    for counter in counters:
        assert await counter.line() == "started"
    for counter in counters:
        await counter.say("go")
    numbers = [int(number) for counter in counters for number in (await counter.line()).split()]
    assert sorted(numbers) == list(range(1, 401))


async def test_on_a_full_disk_nothing_is_forgotten_and_counters_are_refused(small_disk):
    live = EmbeddedLive(small_disk.folder / "live.sqlite3", shared=False)
    await live.start()
    for _ in range(5):
        await live.count("tries", 600)
    small_disk.fill()
    refused = 0
    for number in range(400):  # the log of changes may still have room for some
        try:
            await live.count(f"other tries {number}", 600)
        except LiveStateUnavailable:
            refused += 1
        await live.put("pulse", "x" * 10_000, 600)
    assert refused
    assert await live.get("tries") == 5
    small_disk.free()
    assert await live.count("tries", 600) == 6
    await live.stop()
