"""The agents that are connected to this process, and when each was heard last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

import msgspec

from madang.compute.order import Instruction, Report
from madang.desktops.pulses import Heard, Pulses
from madang.kernel.errors import MadangError
from madang.kernel.log import logger
from madang.kernel.sockets import Closed, WebSocket

log = logger("desktops")
# Far above what a report needs, so that nobody fills the database with one.
LONGEST_REPORT = 65_536
# More at once than an agent that starts has to say, and then as many as one with a lot of news; the others wait.
REPORTS_AT_ONCE = 30
REPORT_SECONDS = 0.2
TRY_AGAIN = 1013
MARK = ""  # no session is called so: while this is there, live state has lost nothing


class Link:
    """The connection of one agent."""

    def __init__(self, web_socket: WebSocket) -> None:
        self._web_socket = web_socket

    async def tell(self, instruction: Instruction) -> bool:
        """False when the agent is gone."""
        try:
            await self._web_socket.send_text(msgspec.json.encode(instruction).decode())
        except Closed:
            return False
        return True

    async def replace(self) -> None:
        """The agent connected anew: this connection is an old one."""
        await self._web_socket.close(1000, "another connection of this agent took over")


class _Pace:
    """Keeps an agent, which may say whatever its person likes, from having the portal hear nobody else."""

    def __init__(self) -> None:
        self._due = 0.0

    async def wait(self) -> None:
        """Before the next report is taken."""
        now = time.monotonic()
        self._due = max(self._due + REPORT_SECONDS, now)
        early = self._due - now - REPORTS_AT_ONCE * REPORT_SECONDS
        if early > 0:
            await asyncio.sleep(early)


class Links:
    """Who is connected, here and to other portals.

    An agent that reports is seen, whatever the rest of its connection does.

    Portals tell each other through `pulses` whom they hear. Their clocks may differ, so what counts is when *this*
    process noticed something new. Silence is only counted while it could have been heard: after a start, a stop of
    this process, or a loss of live state, it counts from then.
    """

    def __init__(
        self,
        pulses: Pulses | None = None,
        *,
        fresh_seconds: float = 0.0,
        keep_seconds: float = 0.0,
        look_seconds: float = 0.0,
    ) -> None:
        """`refresh` is called every `look_seconds`.

        An agent is taken for connected to another portal while something new of it came within `fresh_seconds` (two
        heartbeats). What this process hears is kept for the others for `keep_seconds`, which is longer.
        """
        self._pulses = pulses if pulses is not None and pulses.shared else None
        self._fresh_seconds = fresh_seconds
        self._keep_seconds = keep_seconds
        self._look_seconds = look_seconds
        self._links: dict[str, Link] = {}
        self._seen: dict[str, float] = {}
        self._elsewhere: dict[str, tuple[Heard, float]] = {}  # with when we noticed it
        self._since = time.time()  # nobody could be heard before
        self._others_since = self._since  # no other portal's agents could
        self._refreshed = 0.0

    async def refresh(self, running: Collection[str] | None = None) -> None:
        """Hear from the other portals; once a cycle. What is not among the `running` sessions is forgotten.

        Costs one question to live state; alone nothing.
        """
        now = time.time()
        if self._look_seconds and now - self._refreshed > self._look_seconds + self._keep_seconds:
            self._since = self._others_since = now  # the first time, or this process was stopped: all are heard anew
        self._refreshed = now
        if self._pulses is None:
            return
        found = await self._pulses.everything()
        if found is None or MARK not in found:
            self._others_since = now  # they may say what they want: it is not kept, or just was lost
        if found is not None:
            self._notice(found, now)
            await self._pulses.mark(MARK, self._keep_seconds)
        if running is not None:
            kept = {*running, *self._links}  # an agent may have connected since they were read
            self._seen = {session: at for session, at in self._seen.items() if session in kept}
            self._elsewhere = {session: heard for session, heard in self._elsewhere.items() if session in kept}

    def _notice(self, found: dict[str, Heard], now: float) -> None:
        for session, heard in found.items():
            before = self._elsewhere.get(session)
            if before is None or before[0].at != heard.at:
                self._elsewhere[session] = (heard, now)
            elif before[0] != heard:
                self._elsewhere[session] = (heard, before[1])

    def seen_at(self, session: str) -> float:
        """When its agent was heard last by any portal, as far as this one could know."""
        own = max(self._seen.get(session, 0.0), self._since)
        if self._pulses is None or session in self._links:
            return own
        if self._blind:
            return time.time()
        _heard, noticed = self._elsewhere.get(session, (None, 0.0))
        return max(own, noticed, self._others_since)

    def linked(self, session: str) -> bool:
        """Whether its agent is connected, here or to another portal."""
        if session in self._links or self._pulses is None or self._blind:
            return session in self._links
        heard, noticed = self._elsewhere.get(session, (None, 0.0))
        return heard is not None and heard.linked and time.time() - noticed < self._fresh_seconds

    @property
    def _blind(self) -> bool:
        """This process does not look at other portals' agents now: another one runs the loop."""
        return time.time() - self._refreshed > self._look_seconds + self._fresh_seconds

    def saw(self, session: str) -> None:
        self._seen[session] = time.time()
        if self._pulses is not None:
            self._pulses.heard(session, self._keep_seconds)

    def forget(self, session: str) -> None:
        self._seen.pop(session, None)
        self._elsewhere.pop(session, None)

    async def tell(self, session: str, instruction: Instruction) -> bool:
        """False when the agent is not connected to this process."""
        link = self._links.get(session)
        return link is not None and await link.tell(instruction)

    async def serve(
        self, session: str, web_socket: WebSocket, take: Callable[[str, Report], Awaitable[Instruction | None]]
    ) -> None:
        """Hear an agent's reports until it is gone."""
        link, pace = Link(web_socket), _Pace()
        old, self._links[session] = self._links.get(session), link
        try:
            if old:
                await old.replace()
            while True:
                await pace.wait()
                said = await web_socket.receive()
                if len(said) > LONGEST_REPORT:
                    raise msgspec.ValidationError(f"a report of {len(said)} bytes")
                report = msgspec.json.decode(said, type=Report)
                self.saw(session)
                if (answer := await take(session, report)) is not None:
                    await link.tell(answer)
        except Closed:
            return
        except MadangError as error:
            # A busy database, mostly. The agent connects again and says everything again.
            log.warning("a report could not be taken", session=session, code=error.code, detail=error.detail)
            await web_socket.close(TRY_AGAIN, "try again")
        finally:
            if self._links.get(session) is link:
                del self._links[session]
                if self._pulses is not None:
                    self._pulses.unlinked(session, self._keep_seconds)
