"""Events: what changed, told to the pages that may see it and to the other slices.

`publish` reaches handlers and pages of this process at once and those of other processes through live state. Pages
get the event's data as it is; who may see it is decided here, never in the page.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from madang.kernel.live import Live
from madang.kernel.log import logger

log = logger("events")


class Event(msgspec.Struct, frozen=True):
    """Something changed. `person`: the id of whom it concerns (None: everybody). `data` is a JSON object."""

    name: str
    data: msgspec.Raw
    person: str | None = None


class Listener:
    """One page's queue. When the page is too slow it is closed: the page reconnects and reads everything anew."""

    LARGEST_QUEUE = 512

    def __init__(self, sees: Callable[[Event], bool]) -> None:
        self.sees = sees
        self.overflowed = False
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(self.LARGEST_QUEUE)

    def offer(self, event: Event) -> None:
        if self.overflowed or not self.sees(event):
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.overflowed = True

    async def next(self) -> Event | None:
        """The next event; None when too many were missed."""
        if self.overflowed:
            return None
        return await self._queue.get()


EventHandler = Callable[[Event], Awaitable[None]]


class Events:
    """The hub of one process."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._listeners: set[Listener] = set()
        self._handlers: dict[str, list[EventHandler]] = {}
        live.on_message(self._hear)

    def on(self, name: str, handler: EventHandler) -> None:
        """Call `handler` for each event of this name, from whichever process. This is how slices meet."""
        self._handlers.setdefault(name, []).append(handler)

    async def publish(self, name: str, data: Any, *, person: str | None = None) -> None:
        event = Event(name, msgspec.Raw(msgspec.json.encode(data)), person)
        await self._deliver(event)
        await self._live.publish(msgspec.json.encode(event))

    def heard(self, name: str, person: str) -> bool:
        """Whether a page may be listening to such an event; other processes are not asked, so they count as pages."""
        event = Event(name, msgspec.Raw(b"{}"), person)
        return self._live.shared or any(listener.sees(event) for listener in self._listeners)

    @contextlib.asynccontextmanager
    async def listen(self, sees: Callable[[Event], bool]) -> AsyncIterator[Listener]:
        listener = Listener(sees)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def _hear(self, body: bytes) -> None:
        await self._deliver(msgspec.json.decode(body, type=Event))

    async def _deliver(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener.offer(event)
        for handler in self._handlers.get(event.name, ()):
            try:
                await handler(event)
            except Exception:
                log.exception("a handler failed", name=event.name)
