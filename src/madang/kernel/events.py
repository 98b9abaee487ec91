"""Events: what changed, told to the pages that may see it and to the other slices.

`publish` reaches handlers and pages of this process at once and those of other processes through live state. Pages
get the event's data as it is; who may see it is decided here, never in the page. `call` reaches handlers alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from madang.kernel.audience import MESSAGE as AUDIENCE
from madang.kernel.audience import Audience
from madang.kernel.live import Live, LiveSettings
from madang.kernel.log import logger

log = logger("events")


class Event(msgspec.Struct, frozen=True):
    """Something changed. `person`: the id of whom it concerns (None: everybody). `data` is a JSON object."""

    name: str
    data: msgspec.Raw
    person: str | None = None
    internal: bool = False  # between portals: no page ever sees it


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

    def give_up(self) -> None:
        """Events were missed: the page has to read everything anew."""
        self.overflowed = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)  # whoever waits for the next one wakes up

    async def next(self) -> Event | None:
        """The next event; None when some were missed."""
        if self.overflowed:
            return None
        return await self._queue.get()


EventHandler = Callable[[Event], Awaitable[None]]


class Events:
    """The hub of one process."""

    def __init__(self, live: Live, settings: LiveSettings | None = None) -> None:
        """Portals tell each other every `tell_seconds` of the settings whose pages are open."""
        self._live = live
        self._listeners: set[Listener] = set()
        self._handlers: dict[str, list[EventHandler]] = {}
        self._audience = Audience(self._call_others, (settings or LiveSettings()).tell_seconds)
        live.on_message(self._hear)
        live.on_gap(self._gap)

    async def stop(self) -> None:
        await self._audience.stop()

    def on(self, name: str, handler: EventHandler) -> None:
        """Call `handler` for each event of this name, from whichever process. This is how slices meet."""
        self._handlers.setdefault(name, []).append(handler)

    async def publish(self, name: str, data: Any, *, person: str | None = None) -> None:
        event = Event(name, msgspec.Raw(msgspec.json.encode(data)), person)
        await self._deliver(event)
        await self._live.publish(msgspec.json.encode(event))

    async def call(self, name: str, data: Any) -> None:
        """Have the handlers of this name called in every process, this one too; no page hears of it."""
        event = Event(name, msgspec.Raw(msgspec.json.encode(data)), internal=True)
        await self._deliver(event)
        await self._live.publish(msgspec.json.encode(event))

    def heard(self, name: str, person: str) -> bool:
        """Whether a page, here or at another portal, may be listening to such an event."""
        event = Event(name, msgspec.Raw(b"{}"), person)
        if any(listener.sees(event) for listener in self._listeners):
            return True
        return self._live.shared and self._audience.elsewhere(person)

    @contextlib.asynccontextmanager
    async def listen(self, sees: Callable[[Event], bool], person: str | None = None) -> AsyncIterator[Listener]:
        """A page listens. `person`: whose it is; None: it hears of everybody, which other portals are told."""
        listener = Listener(sees)
        self._listeners.add(listener)
        try:
            with self._audience.page(person) if self._live.shared else contextlib.nullcontext():
                yield listener
        finally:
            self._listeners.discard(listener)

    async def _call_others(self, name: str, data: Any) -> None:
        event = Event(name, msgspec.Raw(msgspec.json.encode(data)), internal=True)
        await self._live.publish(msgspec.json.encode(event))

    def _gap(self) -> None:
        """Events of other portals were missed: pages come again and read everything anew."""
        self._audience.gap()
        for listener in tuple(self._listeners):
            listener.give_up()

    async def _hear(self, body: bytes) -> None:
        event = msgspec.json.decode(body, type=Event)
        if event.internal and event.name == AUDIENCE:
            self._audience.hear(msgspec.json.decode(event.data))
        else:
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        if not event.internal:
            for listener in tuple(self._listeners):
                listener.offer(event)
        for handler in self._handlers.get(event.name, ()):
            try:
                await handler(event)
            except Exception:
                log.exception("a handler failed", name=event.name)
