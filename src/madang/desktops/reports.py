"""Agents' reports: what they say is stored, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from madang.compute.order import Instruction, Pulse, Report
from madang.desktops.model import Session
from madang.desktops.rules import reported
from madang.desktops.service import TRIES, Desktops
from madang.desktops.store import Stale
from madang.kernel import clock
from madang.kernel.clock import epoch
from madang.kernel.log import logger

log = logger("desktops")


class Known(msgspec.Struct, frozen=True):
    """What is remembered of a session between two reports."""

    report: Report
    person_id: str
    idle_cpu_percent: float


class Reports:
    """Where the reports of one service's agents arrive."""

    def __init__(self, desktops: Desktops, viewers: Callable[[str], int], pulse_seconds: float) -> None:
        """`viewers(session)`: how many look at it now. A pulse is kept `pulse_seconds`."""
        self._desktops = desktops
        self._viewers = viewers
        self._pulse_seconds = pulse_seconds
        # The last report of each agent without its pulse: a heartbeat that says nothing new changes no record.
        self._taken: dict[str, Known] = {}

    def forget(self, session_id: str) -> None:
        """What the agent says next is news again."""
        self._taken.pop(session_id, None)

    async def take(self, session_id: str, report: Report) -> Instruction | None:
        """Store what an agent says; gives what to tell it."""
        known = self._taken.get(session_id)
        if report.pulse is not None:
            viewers = self._viewers(session_id)
            idle_since = await self._idle_since(session_id, report.pulse, known)
            await self._desktops.pulses.put(session_id, report.pulse, viewers, self._pulse_seconds, idle_since)
            await self._desktops.measures.add(session_id, report.pulse)
        plain = msgspec.structs.replace(report, pulse=None)
        if known is not None and plain == known.report:
            if self._desktops.heard(known.person_id) and (session := await self._desktops.store.get(session_id)):
                await self._desktops.tell(session)
            return None
        return await self._take_news(session_id, plain)

    async def _take_news(self, session_id: str, report: Report) -> Instruction | None:
        for _ in range(TRIES):
            session = await self._desktops.store.get(session_id)
            if session is None or session.over:
                over = report.state in ("ended", "failed")
                return Instruction("bye") if over else Instruction("end", "unknown session")
            if report.restarts < session.restarts:
                # Its node was held for lost and came back: the desktop has begun anew elsewhere.
                return Instruction("bye") if report.state in ("ended", "failed") else Instruction("end", "begun_anew")
            try:
                if report.log_tail:
                    await self._keep_log(session, report.log_tail)
                if changes := reported(session, report, clock.now()):
                    session = await self._desktops.change(session, **changes)
            except Stale:
                continue
            if session.over:
                return Instruction("bye")
            if session.door_port is not None and session.host is None:
                self._desktops.wake(session_id)  # its scheduler has to say where that door is
            if not session.wanted and report.state != "ending":
                return Instruction("end", session.end_reason or "asked")
            percent = session.terms.idle_cpu_percent if session.terms else 100.0
            self._taken[session_id] = Known(report, session.person_id, percent)
            return None
        return None

    async def _keep_log(self, session: Session, text: str) -> None:
        """What an agent on another host has to say in the end: its log goes with its node's folder."""
        if launcher := self._desktops.launchers.get(session.launcher):
            file = launcher.log_file(session.id)
            try:
                await asyncio.to_thread(file.write_text, text, encoding="utf-8", errors="replace")
            except OSError as error:
                log.warning("a session's log cannot be kept", session=session.id, reason=str(error))

    async def _idle_since(self, session_id: str, pulse: Pulse, known: Known | None) -> float | None:
        """Since when there has been neither input nor work; from now on, when what came before is not known."""
        if pulse.idle_seconds is None:
            return None
        before = await self._desktops.pulses.get(session_id)
        since = epoch(before.idle_since) if before and before.idle_since else pulse.at
        if known is None or pulse.cpu_percent > known.idle_cpu_percent:
            since = pulse.at
        return max(since, pulse.at - pulse.idle_seconds)
