"""The last heartbeat of each session, in live state as `<service>:session:<id>`. Lost, the next one brings it back."""

from __future__ import annotations

import msgspec

from madang.compute.order import Pulse
from madang.desktops.views import PulseView
from madang.kernel.clock import iso
from madang.kernel.live import Live


class Pulses:
    """Heartbeats of one service's sessions."""

    def __init__(self, live: Live, service: str) -> None:
        self._live = live
        self._prefix = f"{service}:session:"

    async def put(self, session: str, pulse: Pulse, viewers: int, seconds: float) -> None:
        shown = PulseView(
            at=iso(pulse.at),
            idle_seconds=pulse.idle_seconds,
            cpu_percent=round(pulse.cpu_percent, 1),
            memory_bytes=pulse.memory_bytes,
            width=pulse.width,
            height=pulse.height,
            viewers=viewers,
        )
        await self._live.put(self._prefix + session, shown, seconds)

    async def get(self, session: str) -> PulseView | None:
        found = await self._live.get(self._prefix + session)
        return None if found is None else msgspec.convert(found, PulseView)

    async def encoded(self) -> dict[str, bytes]:
        """Every session's pulse as JSON."""
        found = await self._live.get_many(self._prefix)
        return {key.removeprefix(self._prefix): msgspec.json.encode(value) for key, value in found.items()}

    async def delete(self, session: str) -> None:
        await self._live.delete(self._prefix + session)
