"""The last heartbeat of each session, in live state as `<service>:session:<id>`. Lost, the next one brings it back.

Heartbeats are gathered for a moment and written together: with many sessions they would be most of what an idle portal
does. This process knows them at once, others that moment later.
"""

from __future__ import annotations

import asyncio

import msgspec

from madang.compute.order import Pulse
from madang.desktops.views import PulseView
from madang.kernel.clock import iso, iso_or_none
from madang.kernel.live import Live

GATHER_SECONDS = 1.0


class Pulses:
    """Heartbeats of one service's sessions."""

    def __init__(self, live: Live, service: str) -> None:
        self._live = live
        self._prefix = f"{service}:session:"
        self._gathered: dict[str, PulseView] = {}
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()  # what is deleted must not be written after that

    async def put(
        self, session: str, pulse: Pulse, viewers: int, seconds: float, idle_since: float | None = None
    ) -> None:
        shown = PulseView(
            at=iso(pulse.at),
            idle_seconds=pulse.idle_seconds,
            cpu_percent=round(pulse.cpu_percent, 1),
            memory_bytes=pulse.memory_bytes,
            width=pulse.width,
            height=pulse.height,
            viewers=viewers,
            idle_since=iso_or_none(idle_since),
        )
        self._gathered[self._prefix + session] = shown
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(seconds))

    async def _write(self, seconds: float) -> None:
        while self._gathered:
            await asyncio.sleep(GATHER_SECONDS)
            async with self._lock:
                written = dict(self._gathered)
                await self._live.put_many(written, seconds)
            for key, pulse in written.items():
                if self._gathered.get(key) is pulse:  # nothing newer came meanwhile
                    del self._gathered[key]
        self._writing = None

    async def stop(self) -> None:
        """Write nothing more; what was gathered comes again with the next heartbeats."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def get(self, session: str) -> PulseView | None:
        if (fresh := self._gathered.get(self._prefix + session)) is not None:
            return fresh
        found = await self._live.get(self._prefix + session)
        return None if found is None else msgspec.convert(found, PulseView)

    async def encoded(self) -> dict[str, bytes]:
        """Every session's pulse as JSON."""
        found = await self._live.get_many(self._prefix) | self._gathered
        return {key.removeprefix(self._prefix): msgspec.json.encode(value) for key, value in found.items()}

    async def delete(self, session: str) -> None:
        self._gathered.pop(self._prefix + session, None)
        async with self._lock:
            await self._live.delete(self._prefix + session)
