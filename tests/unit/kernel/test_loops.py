"""Loops go on, whatever a cycle does."""

import asyncio

import pytest

from madang.kernel.errors import Unavailable
from madang.kernel.loops import Loop

SECONDS = 5.0


class Cycles:
    def __init__(self) -> None:
        self.count = 0
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: BaseException | None = None

    async def __call__(self) -> str:
        self.count += 1
        self.begun.release()
        await self.go_on.wait()
        if self.error:
            raise self.error
        return ""

    async def next(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.begun.acquire()


async def test_a_loop_looks_at_once_and_again_after_its_time():
    cycles = Cycles()
    loop = Loop("test", cycles, 0.01)
    loop.start()
    for _ in range(3):
        await cycles.next()
    await loop.stop()
    stopped = cycles.count
    await asyncio.sleep(0.05)
    assert cycles.count == stopped


async def test_a_loop_that_is_woken_looks_now():
    cycles = Cycles()
    loop = Loop("test", cycles, 3600)
    loop.start()
    await cycles.next()
    loop.wake()
    await cycles.next()
    await loop.stop()


async def test_a_wake_in_the_middle_of_a_cycle_is_not_lost():
    cycles = Cycles()
    cycles.go_on.clear()
    loop = Loop("test", cycles, 3600)
    loop.start()
    await cycles.next()
    loop.wake()
    cycles.go_on.set()
    await cycles.next()
    await loop.stop()


@pytest.mark.parametrize("error", [Unavailable("busy"), RuntimeError("a bug"), TimeoutError()])
async def test_a_cycle_that_fails_is_tried_again(error: Exception):
    cycles = Cycles()
    cycles.error = error
    loop = Loop("test", cycles, 0.01)
    loop.start()
    await cycles.next()
    await cycles.next()
    assert loop.last_success is None
    cycles.error = None
    await cycles.next()
    await cycles.next()
    assert loop.last_success is not None
    await loop.stop()


async def test_a_loop_that_is_woken_and_stopped_at_the_same_moment_stops():
    cycles = Cycles()
    loop = Loop("test", cycles, 3600)
    loop.start()
    await cycles.next()
    await asyncio.sleep(0.01)
    loop.wake()
    async with asyncio.timeout(SECONDS):
        await loop.stop()


async def test_a_loop_stops_in_the_middle_of_a_cycle_and_without_a_start():
    cycles = Cycles()
    cycles.go_on.clear()
    loop = Loop("test", cycles, 0.01)
    await loop.stop()
    loop.start()
    await cycles.next()
    async with asyncio.timeout(SECONDS):
        await loop.stop()
