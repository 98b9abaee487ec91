"""The link to the portal: reports go up, instructions come down. It may be away at any time; the session goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from madang.compute.order import AgentOrder, Instruction, Report
from madang.desktops.agent.clock import Clock
from madang.desktops.agent.log import log

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
# The longer the portal is away, the rarer we knock: after a restart of a few seconds we are back in well under one.
_PAUSE_PER_SECOND_AWAY = 0.05
_OPEN_SECONDS = 5.0
_PING_SECONDS = 20.0


def pause(away_seconds: float) -> float:
    """How long to wait before the next attempt, when the portal has been away for so long."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS + _PAUSE_PER_SECOND_AWAY * away_seconds)


def address(portal: str, session: str) -> str:
    """Where that portal hears this session's agent."""
    return f"ws{portal.removeprefix('http').rstrip('/')}/api/vnc/agents/{session}"


class Link:
    """Keeps trying for as long as run() runs; always sends the newest report, never a queue of old ones.

    A site may have several portals: their addresses are tried in turn, and one that answers is kept.
    """

    def __init__(self, order: AgentOrder, clock: Clock, obey: Callable[[Instruction], None]) -> None:
        self._session = order.session
        self._headers = {"Authorization": f"Bearer {order.agent_secret}"}
        self._clock = clock
        self._obey = obey
        self._portals: tuple[str, ...] = ()
        self._certificates = ""
        self._context: ssl.SSLContext | None = None
        self._at = 0
        self._report = b""
        self._news = asyncio.Event()
        self._moved = asyncio.Event()
        self._said = ""
        self.connected = False
        self.dismissed = asyncio.Event()  # the portal said bye, or does not know us
        self._use((order.portal, *order.portals), order.portal_certificates)

    def send(self, report: Report) -> None:
        """Has this report sent as soon as can be."""
        self._report = msgspec.json.encode(report)
        self._news.set()

    def take(self, instruction: Instruction) -> None:
        """What the portal says, over the link or through the door."""
        if instruction.do == "bye":
            self.dismissed.set()
        elif instruction.do == "portals":
            self._use(instruction.portals, instruction.portal_certificates)
            log(f"link: the portal is at {', '.join(self._portals)}")
        else:
            if instruction.now is not None:
                self._clock.learn(instruction.now)
            self._obey(instruction)

    async def run(self) -> None:
        away_since = time.monotonic()
        failed = 0
        while not self.dismissed.is_set():
            if await self._visit():
                away_since = time.monotonic()
                failed = 0
            else:
                self._at += 1
                failed += 1
                if failed % len(self._portals):
                    continue
            if self.dismissed.is_set():
                return
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                seconds = pause(time.monotonic() - away_since) * random.uniform(0.8, 1.2)
                await asyncio.wait_for(self._moved.wait(), seconds)

    def _use(self, portals: tuple[str, ...], certificates: str) -> None:
        wanted = tuple(dict.fromkeys(url.rstrip("/") for url in portals if url.startswith(("http://", "https://"))))
        if wanted and wanted != self._portals:
            self._portals, self._at = wanted, 0
            self._moved.set()
        if certificates:
            self._certificates, self._context = certificates, None

    async def _visit(self) -> bool:
        """Talks to the portal whose turn it is, until it hangs up; False when it did not even answer."""
        portal = self._portals[self._at % len(self._portals)]
        answered = False
        try:
            async with connect(
                address(portal, self._session),
                additional_headers=self._headers,
                ssl=self._tls() if portal.startswith("https") else None,
                compression=None,
                proxy=None,
                open_timeout=_OPEN_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                close_timeout=1,
                max_size=64 * 1024,
                user_agent_header=None,
            ) as connection:
                answered = self.connected = True
                self._say("the portal answers")
                if connection.response is not None:
                    self._clock.learn_date(connection.response.headers.get("Date", ""))
                try:
                    await self._talk(connection)
                finally:
                    self.connected = False
            self._say("the portal hung up")
        except InvalidStatus as error:
            if not self._is_unwanted(error):
                self._say(f"the portal answers {error.response.status_code}")
        except ssl.SSLError as error:
            self._say(f"the portal's certificate or TLS is not accepted ({error.reason or error})")
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            self._say(f"the portal is away ({type(error).__name__})")
        return answered

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cadata=self._certificates or None)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context

    def _say(self, now: str) -> None:
        if now != self._said:
            log(f"link: {now}")
            self._said = now

    def _is_unwanted(self, error: InvalidStatus) -> bool:
        """Only the portal itself can send us away; a stranger on its port, while it is down, cannot."""
        response = error.response
        kind = response.headers.get("Content-Type", "")
        if response.status_code not in (401, 404) or not kind.startswith("application/problem+json"):
            return False
        log(f"link: the portal does not know this session ({response.status_code})")
        self.dismissed.set()
        self._obey(Instruction("end", "unknown_session"))
        return True

    async def _talk(self, connection: ClientConnection) -> None:
        self._news.set()
        sending = asyncio.create_task(self._send(connection))
        try:
            async for text in connection:
                self._hear(text)
                if self.dismissed.is_set():
                    return
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketException, OSError):
                await sending

    async def _send(self, connection: ClientConnection) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._report:
                await connection.send(self._report, text=True)

    def _hear(self, text: str | bytes) -> None:
        try:
            instruction = msgspec.json.decode(text, type=Instruction)
        except msgspec.MsgspecError as error:
            log(f"link: not understood: {error}")
            return
        self.take(instruction)
