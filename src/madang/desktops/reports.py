"""Agents' reports: what they say is stored, and answered."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from madang.compute.order import Instruction, Report
from madang.desktops.model import reported
from madang.desktops.service import TRIES, Desktops
from madang.desktops.store import Stale
from madang.kernel import clock


class Reports:
    """Where the reports of one service's agents arrive."""

    def __init__(self, desktops: Desktops, viewers: Callable[[str], int], pulse_seconds: float) -> None:
        """`viewers(session)`: how many look at it now. A pulse is kept `pulse_seconds`."""
        self._desktops = desktops
        self._viewers = viewers
        self._pulse_seconds = pulse_seconds
        # The last report of each agent without its pulse: a heartbeat that says nothing new changes no record.
        self._taken: dict[str, tuple[Report, str]] = {}

    def forget(self, session_id: str) -> None:
        """What the agent says next is news again."""
        self._taken.pop(session_id, None)

    async def take(self, session_id: str, report: Report) -> Instruction | None:
        """Store what an agent says; gives what to tell it."""
        if report.pulse is not None:
            viewers = self._viewers(session_id)
            await self._desktops.pulses.put(session_id, report.pulse, viewers, self._pulse_seconds)
        plain = msgspec.structs.replace(report, pulse=None)
        known, person = self._taken.get(session_id, (None, ""))
        if plain == known:
            if self._desktops.heard(person) and (session := await self._desktops.store.get(session_id)):
                await self._desktops.tell(session)
            return None
        return await self._take_news(session_id, plain)

    async def _take_news(self, session_id: str, report: Report) -> Instruction | None:
        for _ in range(TRIES):
            session = await self._desktops.store.get(session_id)
            if session is None or session.over:
                over = report.state in ("ended", "failed")
                return Instruction("bye") if over else Instruction("end", "unknown session")
            try:
                if changes := reported(session, report, clock.now()):
                    session = await self._desktops.change(session, **changes)
            except Stale:
                continue
            if session.over:
                return Instruction("bye")
            if not session.wanted and report.state != "ending":
                return Instruction("end", session.end_reason or "asked")
            self._taken[session_id] = (report, session.person_id)
            return None
        return None
