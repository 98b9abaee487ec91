"""The agents that are connected to this process, and when each was heard last."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec

from madang.compute.order import Instruction, Report
from madang.kernel.errors import MadangError
from madang.kernel.log import logger
from madang.kernel.sockets import Closed, WebSocket

log = logger("desktops")
# Far above what a report needs, so that nobody fills the database with one.
LONGEST_REPORT = 65_536
TRY_AGAIN = 1013


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


class Links:
    """Who is connected. An agent that reports is seen, whatever the rest of its connection does."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._seen: dict[str, float] = {}
        # Right after a restart nobody was heard yet: the time of silence counts from here.
        self._since = time.time()

    def seen_at(self, session: str) -> float:
        return self._seen.get(session, self._since)

    async def refresh(self) -> None:
        """Look once at what other portals heard, before a round of questions."""

    def linked(self, session: str) -> bool:
        return session in self._links

    def saw(self, session: str) -> None:
        self._seen[session] = time.time()

    def forget(self, session: str) -> None:
        self._seen.pop(session, None)

    async def tell(self, session: str, instruction: Instruction) -> bool:
        """False when the agent is not connected to this process."""
        link = self._links.get(session)
        return link is not None and await link.tell(instruction)

    async def serve(
        self, session: str, web_socket: WebSocket, take: Callable[[str, Report], Awaitable[Instruction | None]]
    ) -> None:
        """Hear an agent's reports until it is gone."""
        link = Link(web_socket)
        old, self._links[session] = self._links.get(session), link
        try:
            if old:
                await old.replace()
            while True:
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
