"""When each agent was heard, with its last heartbeat, in live state as `<service>:session:<id>`, for all portals.

Lost, the next heartbeat brings it back. Heartbeats are gathered for a moment and written together: with many sessions
they would be most of what an idle portal does. This process knows them at once, others that moment later.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from madang.compute.order import Pulse
from madang.desktops.views import PulseView
from madang.kernel import clock
from madang.kernel.clock import iso, iso_or_none
from madang.kernel.live import Live

GATHER_SECONDS = 1.0


class Heard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What portals tell each other of a session: when its agent was heard (by that portal's clock, so only its change
    means something to others), whether it is connected, and its pulse."""

    at: float
    linked: bool = True
    pulse: PulseView | None = None


class Pulses:
    """Heartbeats of one service's sessions."""

    def __init__(self, live: Live, service: str) -> None:
        self._live = live
        self._prefix = f"{service}:session:"
        self._own: dict[str, tuple[Heard, float]] = {}  # of agents that report here, and until when it counts
        self._gathered: dict[str, Heard] = {}
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()  # what is deleted must not be written after that

    @property
    def shared(self) -> bool:
        """Whether other portals' agents are among them."""
        return self._live.shared

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
        self._keep(session, Heard(clock.now(), pulse=shown), seconds)

    def heard(self, session: str, seconds: float) -> None:
        """Its agent said something, to this process."""
        if self.shared:
            own = self._own.get(session)
            self._keep(session, Heard(clock.now(), pulse=own[0].pulse if own else None), seconds)

    def unlinked(self, session: str, seconds: float) -> None:
        """Its agent is not connected to this process any more."""
        own = self._own.get(session)
        if own and self.shared:
            self._keep(session, msgspec.structs.replace(own[0], linked=False), seconds)
        self._own.pop(session, None)

    def _keep(self, session: str, heard: Heard, seconds: float) -> None:
        self._own[session] = (heard, time.monotonic() + seconds)
        self._gathered[session] = heard
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(seconds))

    async def _write(self, seconds: float) -> None:
        while self._gathered:
            await asyncio.sleep(GATHER_SECONDS)
            async with self._lock:
                written = dict(self._gathered)
                records = {self._prefix + session: heard for session, heard in written.items()}
                await self._live.put_many(records, seconds)
            for session, heard in written.items():
                if self._gathered.get(session) is heard:  # nothing newer came meanwhile
                    del self._gathered[session]
        self._writing = None

    async def stop(self) -> None:
        """Write nothing more; what was gathered comes again with the next heartbeats."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def get(self, session: str) -> PulseView | None:
        own = self._own.get(session)
        if own and time.monotonic() < own[1]:
            return own[0].pulse
        found = await self._live.get(self._prefix + session)
        return None if found is None else msgspec.convert(found, Heard).pulse

    async def everything(self) -> dict[str, Heard] | None:
        """What all portals heard last, by session, at the cost of one question; None when it cannot be told now."""
        found = await self._live.get_many(self._prefix)
        if not self._live.reachable:
            return None
        known = {key.removeprefix(self._prefix): msgspec.convert(value, Heard) for key, value in found.items()}
        return known | self._gathered

    async def mark(self, name: str, seconds: float) -> None:
        """Leave something that shows, as long as it is there, that nothing was lost."""
        await self._live.put(self._prefix + name, Heard(clock.now()), seconds)

    async def encoded(self) -> dict[str, bytes]:
        """Every session's pulse as JSON."""
        found = await self._live.get_many(self._prefix)
        known = {key.removeprefix(self._prefix): value.get("pulse") for key, value in found.items()}
        known |= {session: heard.pulse for session, heard in self._gathered.items()}
        return {session: msgspec.json.encode(pulse) for session, pulse in known.items() if pulse is not None}

    async def delete(self, session: str) -> None:
        self._own.pop(session, None)
        self._gathered.pop(session, None)
        async with self._lock:
            await self._live.delete(self._prefix + session)
