"""A primary that dies: the sentinels name another one, and live state goes on there with what it had."""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from madang.kernel.live import LiveSettings, LiveStateUnavailable
from madang.kernel.live_redis import RedisLive, redis_live
from tests.support.redis import Watched, watched_redis

TAKEOVER_SECONDS = 20.0  # measured 4 s; the sentinels wait for one another, and the cores are busy


@pytest.fixture
def watched() -> Iterator[Watched]:
    with watched_redis() as found:
        yield found


def kill(watched: Watched) -> None:
    watched.primary.kill()


def stop(watched: Watched) -> None:
    """The primary and the sentinel that is asked first hang."""
    watched.primary.signal(signal.SIGSTOP)
    watched.sentinels[0].signal(signal.SIGSTOP)


async def first_count(live: RedisLive) -> float:
    """Seconds until it counts again; no call takes longer than it may."""
    begin = time.monotonic()
    while True:
        asked = time.monotonic()
        try:
            await live.count("after", 600)
            return time.monotonic() - begin
        except LiveStateUnavailable:
            assert time.monotonic() - asked < 2.5
        assert time.monotonic() - begin < TAKEOVER_SECONDS
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("harm", [kill, stop])
async def test_another_primary_takes_over(watched: Watched, harm):
    one, other = (redis_live(LiveSettings(url=watched.url)) for _ in range(2))
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    other.on_message(heard.put)
    await one.start()
    await other.start()
    await one.put("key", "value", 600)
    await asyncio.sleep(0.2)  # the replica has it, too
    harm(watched)
    await first_count(one)
    assert await one.get("key") == "value"
    assert watched.replica.ask("GET", "madang:key").endswith('"value"\r\n')
    async with asyncio.timeout(TAKEOVER_SECONDS):
        while heard.empty():
            await one.publish(b"message")
            await asyncio.sleep(0.1)
    assert await other.get("key") == "value"
    await one.stop()
    await other.stop()


async def test_a_primary_that_comes_back_is_not_taken_for_the_new_one(watched: Watched):
    live = redis_live(LiveSettings(url=watched.url))
    await live.start()
    stop(watched)
    await first_count(live)
    watched.primary.signal(signal.SIGCONT)
    watched.sentinels[0].signal(signal.SIGCONT)
    counted = []
    for _ in range(20):
        counted.append(await live.count("on", 600))
        await asyncio.sleep(0.1)
    assert counted == list(range(1, 21))
    await live.stop()
