"""Two processes, one loop: the one that runs it is killed, stopped and woken, or loses live state."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from os import kill
from pathlib import Path

import pytest

from tests.support.redis import RedisServer

# Writes down the time of each cycle of a loop that runs in one of several processes.
WORKER = """
import asyncio, sys, time
from pathlib import Path
from madang.kernel import log
from madang.kernel.leases import Leases
from madang.kernel.live import LiveSettings, make_live
from madang.kernel.loops import Loop

async def main():
    log.configure("error", "text")
    settings = LiveSettings(url=sys.argv[2], seconds=1.0, retry_seconds=0.2)
    live = make_live(settings, Path(sys.argv[1]) / "live.sqlite3", shared=True)
    leases = Leases(live, settings.lease_seconds)
    record = (Path(sys.argv[1]) / sys.argv[3]).open("a", buffering=1)

    async def cycle():
        record.write(f"{time.time()}\\n")
        return ""

    await live.start()
    loop = Loop("work", cycle, 0.05, lease=True)
    loop.start(leases)
    print("started", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await loop.stop()
    await leases.stop()
    await live.stop()
    print("stopped", flush=True)

asyncio.run(main())
"""
TAKEOVER_SECONDS = 5.0
SLACK_SECONDS = 1.5  # two busy cores


class Worker:
    def __init__(self, folder: Path, name: str, process) -> None:
        self.file = folder / name
        self.process = process

    @property
    def cycles(self) -> list[float]:
        with suppress(FileNotFoundError):
            return [float(line) for line in self.file.read_text().splitlines()]
        return []

    def works(self, since: float) -> bool:
        return bool(self.cycles) and self.cycles[-1] > since

    def signal(self, number: signal.Signals) -> None:
        kill(self.process.pid, number)


@pytest.fixture(params=["redis", "embedded"])
async def pair(request, run, tmp_path: Path) -> AsyncIterator[list[Worker]]:
    """Two workers; the first one works."""
    url = ""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        server.flush()
        url = server.url
    workers = []
    for name in ("one", "two"):
        process = await run(WORKER, tmp_path, url, name)
        assert await process.line() == "started"
        workers.append(Worker(tmp_path, name, process))
        await until(lambda: any(worker.cycles for worker in workers))
    yield workers
    for worker in workers:
        with suppress(ProcessLookupError):
            worker.signal(signal.SIGCONT)


async def until(look, seconds: float = 10) -> float:
    begin = time.monotonic()
    async with asyncio.timeout(seconds):
        while not look():
            await asyncio.sleep(0.02)
    return time.monotonic() - begin


async def test_a_killed_process_is_replaced_within_five_seconds(pair: list[Worker]):
    one, two = pair
    await asyncio.sleep(1)
    assert not two.cycles
    one.signal(signal.SIGKILL)
    assert await until(lambda: two.cycles) < TAKEOVER_SECONDS + SLACK_SECONDS


async def test_a_process_that_ends_in_good_order_is_replaced_within_a_look(pair: list[Worker]):
    one, two = pair
    assert await one.process.ask("end") == "stopped"
    assert await until(lambda: two.cycles) < 1.0 + SLACK_SECONDS


async def test_a_process_that_was_stopped_notices_that_it_was_replaced_before_it_acts(pair: list[Worker]):
    one, two = pair
    one.signal(signal.SIGSTOP)
    await until(lambda: two.cycles, TAKEOVER_SECONDS + SLACK_SECONDS)
    before = len(one.cycles)
    one.signal(signal.SIGCONT)
    await asyncio.sleep(2)
    assert len(one.cycles) == before
    assert two.works(time.time() - 1)


async def test_of_two_processes_always_one_works_while_redis_is_flushed_and_killed(
    run, redis: RedisServer, tmp_path: Path
):
    redis.flush()
    workers = []
    for name in ("one", "two"):
        process = await run(WORKER, tmp_path, redis.url, name)
        assert await process.line() == "started"
        workers.append(Worker(tmp_path, name, process))
    await until(lambda: any(worker.cycles for worker in workers))
    redis.flush()
    await asyncio.sleep(1.5)
    redis.kill()
    # Nobody can say who holds it: both work.
    await until(lambda: all(worker.works(time.time() - 0.5) for worker in workers), 10)
    redis.start()
    await asyncio.sleep(3)
    cycles = sorted(at for worker in workers for at in worker.cycles)
    assert max(b - a for a, b in itertools.pairwise(cycles)) < 1.0 + SLACK_SECONDS
    assert sum(worker.works(time.time() - 0.5) for worker in workers) == 1
