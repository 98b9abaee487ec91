"""Redis killed, stopped, emptied, full: nobody waits long for it, and it is used again by itself."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from madang.kernel.events import Events
from madang.kernel.live import LiveSettings, LiveStateUnavailable
from madang.kernel.live_redis import RedisLive, redis_live
from tests.support.redis import RedisServer, redis_server

SECONDS, RETRY_SECONDS = 0.5, 0.1
SLACK_SECONDS = 0.5  # two busy cores


@pytest.fixture(scope="module")
def own() -> Iterator[RedisServer]:
    """A Redis that these tests harm."""
    with redis_server() as server:
        yield server


@pytest.fixture
def server(own: RedisServer) -> Iterator[RedisServer]:
    own.flush()
    yield own
    own.kill()
    own.start()


def settings(server: RedisServer) -> LiveSettings:
    return LiveSettings(
        url=server.url, seconds=SECONDS, retry_seconds=RETRY_SECONDS, tell_seconds=0.3, lease_seconds=1.0
    )


@pytest.fixture
async def live(server: RedisServer) -> AsyncIterator[RedisLive]:
    state = redis_live(settings(server))
    await state.start()
    yield state
    await state.stop()


async def until(look: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.02)


async def use(live: RedisLive) -> float:
    """Every call, of which those that guard something are refused; the seconds of the slowest."""
    slowest = 0.0

    async def timed(call: Awaitable[object], expected: object) -> None:
        nonlocal slowest
        begin = time.monotonic()
        try:
            assert await call == expected
        except LiveStateUnavailable:
            assert expected is LiveStateUnavailable
        slowest = max(slowest, time.monotonic() - begin)

    for call, expected in (
        (live.put("key", 1, 60), None),
        (live.put_many({"one": 1, "two": 2}, 60), None),
        (live.get("key"), None),
        (live.get_many("k"), {}),
        (live.delete("key"), None),
        (live.publish(b"message"), None),
        (live.release(["lease"], "me"), None),
        (live.add("mark", 60), LiveStateUnavailable),
        (live.count("tries", 60), LiveStateUnavailable),
        (live.hold(["lease"], "me", 60), LiveStateUnavailable),
    ):
        await timed(call, expected)
    assert not live.reachable
    return slowest


async def usable(live: RedisLive) -> bool:
    await live.put("probe", 1, 60)
    return await live.get("probe") == 1


async def test_a_killed_redis_is_as_good_as_an_empty_one_and_used_again(server: RedisServer, live: RedisLive, capsys):
    await live.put("key", 1, 60)
    server.kill()
    assert await use(live) < SECONDS
    await use(live)
    server.start()
    await until(lambda: usable(live))
    assert await live.count("tries", 60) == 1
    said = capsys.readouterr()
    assert f"{said.out}{said.err}".count("live state cannot be used") == 1


async def test_a_stopped_redis_is_waited_for_once(server: RedisServer, live: RedisLive):
    server.signal(signal.SIGSTOP)
    begin = time.monotonic()
    await asyncio.gather(*(live.get(f"key {number}") for number in range(50)))  # more than there are connections
    assert time.monotonic() - begin < SECONDS + SLACK_SECONDS
    assert await use(live) < SLACK_SECONDS
    server.signal(signal.SIGCONT)
    await until(lambda: usable(live))


async def test_a_portal_starts_without_redis_and_finds_it_later(server: RedisServer):
    server.kill()
    live = redis_live(settings(server))
    begin = time.monotonic()
    await live.start()
    assert time.monotonic() - begin < SECONDS + SLACK_SECONDS
    await use(live)
    server.start()
    await until(lambda: usable(live))
    await live.stop()


async def test_what_was_flushed_is_gone_and_nothing_else_happens(server: RedisServer, live: RedisLive):
    await live.put("key", 1, 60)
    await live.count("tries", 60)
    server.flush()
    assert (await live.get("key"), await live.get_many(""), live.reachable) == (None, {}, True)
    assert await live.count("tries", 60) == 1


async def test_a_full_redis_is_one_that_cannot_be_used(server: RedisServer, live: RedisLive):
    server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(LiveStateUnavailable):
        await live.add("mark", 60)
    await use(live)
    server.ask("CONFIG", "SET", "maxmemory", "0")
    await until(lambda: usable(live))


@pytest.mark.parametrize("harm", ["kill", "stop"])
async def test_messages_are_heard_again_and_who_missed_some_is_told(server: RedisServer, live: RedisLive, harm: str):
    other = redis_live(settings(server))
    heard: list[bytes] = []
    gaps: list[float] = []

    async def hear(body: bytes) -> None:
        heard.append(body)

    other.on_message(hear)
    other.on_gap(lambda: gaps.append(time.monotonic()))
    await other.start()
    await live.publish(b"before")
    await until(lambda: _said(heard, b"before"))
    if harm == "kill":
        server.kill()
    else:
        server.signal(signal.SIGSTOP)
    await live.publish(b"lost")
    await asyncio.sleep(SECONDS)
    if harm == "kill":
        server.start()
    else:
        server.signal(signal.SIGCONT)
    await until(lambda: usable(live))
    await until(lambda: _said(gaps, gaps[0] if gaps else -1))

    async def said_again() -> bool:
        await live.publish(b"after")
        await asyncio.sleep(0.05)
        return b"after" in heard

    await until(said_again)
    await other.stop()


async def _said(found: list, wanted: object) -> bool:
    return wanted in found


async def test_pages_read_everything_anew_after_a_loss(server: RedisServer, live: RedisLive):
    events = Events(live, settings(server))
    async with events.listen(lambda _event: True, "kim") as page:
        server.kill()
        server.start()
        async with asyncio.timeout(10):
            assert await page.next() is None
    await events.stop()
