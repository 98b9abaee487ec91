"""Live state in Redis, for portals on several hosts.

A record is one key with its own expiry, by Redis' clock. Beside them one sorted set holds all their names, so that the
records of a prefix are a range of it: finding them costs as much as there are (SCAN would look at every key of the
server), in steps that keep Redis for well under a millisecond each. Names of what expired are removed as they are met,
and by a walk now and then.

Every call returns within `live.seconds`. Once one failed, the others fail at once, so that nobody waits for a Redis
that hangs; meanwhile it is asked every `live.retry_seconds` whether it takes writes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from madang.kernel import live_scripts
from madang.kernel.live import GapHandler, Handler, LiveSettings, LiveStateUnavailable
from madang.kernel.log import logger
from madang.kernel.pauses import pause
from madang.kernel.redis_address import connect

log = logger("live")
Result = TypeVar("Result")
STEP = 500  # records that one script touches at most: Redis serves nobody else meanwhile
NAME_BYTES = 16


def redis_live(settings: LiveSettings) -> RedisLive:
    """Raises SettingError."""
    return RedisLive(settings, connect(settings))


class RedisLive:
    """Implements Live."""

    shared = True
    CLEAN_SECONDS = 60.0  # how often the names of what expired are removed

    def __init__(self, settings: LiveSettings, client: Redis) -> None:
        self._settings = settings
        self._client = client
        self._prefix = settings.prefix
        self._names = f"{settings.prefix}#names"
        self._channel = f"{settings.prefix}#messages"
        self._origin = secrets.token_hex(NAME_BYTES // 2).encode()
        self._scripts = {name: client.register_script(text) for name, text in live_scripts.ALL.items()}
        self._turn = asyncio.Semaphore(settings.connections)
        self._handlers: list[Handler] = []
        self._gap_handlers: list[GapHandler] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._broken = False
        self._unsent = False  # messages were lost that others wait for
        self._cleaned = time.monotonic()

    @property
    def reachable(self) -> bool:
        return not self._broken

    async def start(self) -> None:
        listening = asyncio.Event()
        self._begin(self._listen(listening))
        with contextlib.suppress(LiveStateUnavailable):
            await self._call(self._probe)
            # So that nothing is missed that is said right after the start.
            await pause(self._settings.seconds, listening)

    async def stop(self) -> None:
        self._stopped = True  # a cancellation may get lost in what redis-py does with its connections
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()
            await self._client.connection_pool.disconnect()

    async def put(self, key: str, value: Any, seconds: float) -> None:
        await self.put_many({key: value}, seconds)

    async def put_many(self, records: Mapping[str, Any], seconds: float) -> None:
        pairs = iter(records.items())
        with contextlib.suppress(LiveStateUnavailable):
            while step := list(itertools.islice(pairs, STEP)):
                flat = (part for key, value in step for part in (key, msgspec.json.encode(value)))
                await self._run("put", _milliseconds(seconds), *flat)

    async def get(self, key: str) -> Any | None:
        found: bytes | str | None = None
        with contextlib.suppress(LiveStateUnavailable):
            found = await self._call(lambda: self._client.get(self._prefix + key))
        return None if found is None else msgspec.json.decode(found)

    async def get_many(self, prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            async for pairs in self._walk("get_many", prefix.encode()):
                found |= {pairs[i].decode(): msgspec.json.decode(pairs[i + 1]) for i in range(0, len(pairs), 2)}
        except LiveStateUnavailable:
            return {}  # half of them would look like all
        return found

    async def delete(self, key: str) -> None:
        with contextlib.suppress(LiveStateUnavailable):
            await self._run("delete", key)

    async def add(self, key: str, seconds: float) -> bool:
        return await self.count(key, seconds) == 1

    async def count(self, key: str, seconds: float) -> int:
        return int(await self._run("count", _milliseconds(seconds), key))

    async def hold(self, keys: Sequence[str], holder: str, seconds: float) -> frozenset[str]:
        mine = await self._run("hold", _milliseconds(seconds), msgspec.json.encode(holder), *keys)
        return frozenset(key.decode() for key in mine)

    async def release(self, keys: Sequence[str], holder: str) -> None:
        with contextlib.suppress(LiveStateUnavailable):
            await self._run("release", msgspec.json.encode(holder), *keys)

    async def publish(self, message: bytes) -> None:
        try:
            await self._call(lambda: self._client.publish(self._channel, self._origin + message))
        except LiveStateUnavailable:
            self._unsent = True

    def on_message(self, handler: Handler) -> None:
        self._handlers.append(handler)

    def on_gap(self, handler: GapHandler) -> None:
        self._gap_handlers.append(handler)

    # Calls.

    async def _run(self, script: str, *arguments: str | bytes | int) -> Any:
        given = (self._prefix, *arguments)
        return await self._call(lambda: _answer(self._scripts[script], self._names, given))

    async def _walk(self, script: str, prefix: bytes) -> AsyncIterator[list[bytes]]:
        """What the script gives for the records of a prefix, one step after the other."""
        first = b"[" + prefix
        while True:
            # No byte of a key is 0xff: they are UTF-8.
            number, last, *found = await self._run(script, first, b"(" + prefix + b"\xff", STEP)
            yield found
            if number < STEP:
                return
            first = b"(" + last

    async def _call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if self._broken:
            raise self._unavailable("it did not answer just now")
        try:
            async with asyncio.timeout(self._settings.seconds), self._turn:
                result = await work()
        except (RedisError, OSError) as error:
            self._lost(_reason(error))
            raise self._unavailable(_reason(error)) from error
        if time.monotonic() - self._cleaned > self.CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            self._begin(self._clean())
        return result

    def _unavailable(self, reason: str) -> LiveStateUnavailable:
        return LiveStateUnavailable(
            f"Redis at {self._settings.url} cannot be used: {reason}.",
            hint="It is tried again by itself; nothing is lost.",
            retry_after=2,
        )

    def _lost(self, reason: str) -> None:
        if not self._broken:  # said once, not for every heartbeat
            log.error("live state cannot be used", url=self._settings.url, reason=reason)
            self._broken = True
            self._begin(self._recover())

    async def _recover(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self._settings.retry_seconds)
            with contextlib.suppress(RedisError, OSError):
                # New connections: by the old ones a master that was replaced would be asked again.
                await self._client.connection_pool.disconnect(inuse_connections=False)
                async with asyncio.timeout(self._settings.seconds):
                    await self._probe()
                return await self._found()

    async def _found(self) -> None:
        self._broken = False
        log.info("live state can be used again", url=self._settings.url)
        if self._unsent:
            self._unsent = False
            await self.publish(b"")  # whoever hears it reads everything anew

    async def _probe(self) -> None:
        """A write: one that only lets itself be read (a replica, a full disk) is of no use."""
        await self._client.set(f"{self._prefix}#alive", "1", px=_milliseconds(self._settings.seconds))

    async def _clean(self) -> None:
        with contextlib.suppress(LiveStateUnavailable):
            if await self.add("#clean", self.CLEAN_SECONDS):  # one portal does it for all
                async for _ in self._walk("clean", b""):
                    pass

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Messages.

    async def _listen(self, listening: asyncio.Event) -> None:
        missed = False
        while not self._stopped:
            with contextlib.suppress(RedisError, OSError):
                async with contextlib.aclosing(self._client.pubsub()) as pubsub:
                    async with asyncio.timeout(self._settings.seconds):
                        await pubsub.subscribe(self._channel)
                        await pubsub.get_message(timeout=self._settings.seconds)
                    listening.set()
                    if missed:
                        self._tell_of_gap()
                    await self._hear(pubsub)
            missed = True
            await asyncio.sleep(self._settings.retry_seconds)

    async def _hear(self, pubsub: PubSub) -> None:
        """Until the connection is lost, also when its other side is gone without a word."""
        quiet = False
        while not self._stopped:
            wait = self._settings.seconds if quiet else self._settings.tell_seconds
            said = await pubsub.get_message(timeout=wait)
            if said is None and quiet:
                return
            quiet = said is None
            if said is None:
                await pubsub.ping()
            elif said["type"] == "message":
                await self._take(said["data"])

    async def _take(self, message: bytes) -> None:
        origin, body = message[:NAME_BYTES], message[NAME_BYTES:]
        if origin == self._origin:
            return
        if not body:
            self._tell_of_gap()
            return
        for handler in self._handlers:
            try:
                await handler(body)
            except Exception:  # of one message; the next ones are to be heard
                log.exception("a message could not be handled")

    def _tell_of_gap(self) -> None:
        for handler in self._gap_handlers:
            handler()


async def _answer(script: AsyncScript, names: str, arguments: Sequence[str | bytes | int]) -> Any:
    return await script(keys=[names], args=arguments)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or "no answer in time"
