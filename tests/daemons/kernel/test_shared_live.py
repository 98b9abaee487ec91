"""Live state and events that several processes share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.kernel.events import Event, Events
from madang.kernel.live import LiveStateUnavailable
from madang.kernel.live_embedded import EmbeddedLive

# Publishes what it is told, prints what it hears.
OTHER = """
import asyncio, sys
from pathlib import Path
from madang.kernel.events import Events
from madang.kernel.live_embedded import EmbeddedLive

async def main():
    live = EmbeddedLive(Path(sys.argv[1]), shared=True)
    events = Events(live)

    async def hear(event):
        print(event.name, bytes(event.data).decode(), event.person, flush=True)

    events.on("told", hear)
    await live.start()
    print("started", flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "add":
            print(await live.add("mark", 60), flush=True)
        else:
            await events.publish("said", {"line": line}, person="p1")

asyncio.run(main())
"""

# Counts as fast as it can, prints the numbers it got.
COUNTER = """
import asyncio, sys
from pathlib import Path
from madang.kernel.live_embedded import EmbeddedLive

async def main():
    live = EmbeddedLive(Path(sys.argv[1]), shared=True)
    await live.start()
    print("started", flush=True)
    sys.stdin.readline()
    print(*[await live.count("tries", 600) for _ in range(200)], flush=True)

asyncio.run(main())
"""


class Heard:
    """The hub of the test's process and what it heard from others."""

    def __init__(self, file: Path) -> None:
        self.live = EmbeddedLive(file, shared=True)
        self.events = Events(self.live)
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.events.on("said", self.queue.put)

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return bytes((await self.queue.get()).data).decode()


@pytest.fixture
async def heard(tmp_path: Path) -> AsyncIterator[Heard]:
    found = Heard(tmp_path / "live.sqlite3")
    await found.live.start()
    yield found
    await found.live.stop()


@pytest.fixture
async def other(run, heard: Heard):
    process = await run(OTHER, heard.live.file)
    assert await process.line() == "started"
    return process


async def test_two_processes_hear_each_other_once_and_in_order(heard: Heard, other):
    for number in range(20):
        await other.say(f"line {number}")
    assert [await heard.next() for _ in range(20)] == [f'{{"line":"line {number}"}}' for number in range(20)]
    await heard.events.publish("told", {"text": "안녕"}, person="p2")
    assert await other.line() == 'told {"text":"안녕"} p2'
    await asyncio.sleep(3 * heard.live.POLL_SECONDS)
    assert heard.queue.empty()


async def test_ones_own_events_are_heard_once(heard: Heard):
    await heard.events.publish("said", {"line": "mine"})
    assert await heard.next() == '{"line":"mine"}'
    await asyncio.sleep(3 * heard.live.POLL_SECONDS)
    assert heard.queue.empty()


async def test_a_process_that_starts_later_does_not_hear_what_was_before(heard: Heard, other):
    await other.say("before")
    assert await heard.next() == '{"line":"before"}'
    late = Heard(heard.live.file)
    await late.live.start()
    await other.say("after")
    assert await late.next() == '{"line":"after"}'
    await late.live.stop()


async def test_a_message_that_cannot_be_handled_does_not_make_deaf(heard: Heard, other):
    async def fail(event: Event) -> None:
        raise RuntimeError("a bug")

    heard.events.on("said", fail)
    sender = EmbeddedLive(heard.live.file, shared=True)
    await sender.publish(b"not an event at all")
    await sender.stop()
    await other.say("still here")
    assert await heard.next() == '{"line":"still here"}'
    await other.say("and again")
    assert await heard.next() == '{"line":"and again"}'


async def test_events_are_heard_again_after_live_state_was_deleted_under_both(heard: Heard, other):
    await other.say("one")
    assert await heard.next() == '{"line":"one"}'
    for path in heard.live.file.parent.glob("live.sqlite3*"):
        path.unlink()
    await heard.live.put("key", 1, 60)
    await other.say("two")
    assert await heard.next() == '{"line":"two"}'
    await heard.events.publish("told", {})
    assert await other.line() == "told {} None"


async def test_of_two_processes_one_sets_a_mark_first(heard: Heard, other):
    assert await heard.live.add("mark", 60)
    assert await other.ask("add") == "False"


async def test_two_processes_that_count_at_once_count_every_one(run, tmp_path: Path):
    file = tmp_path / "live.sqlite3"
    counters = [await run(COUNTER, file) for _ in range(2)]
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
