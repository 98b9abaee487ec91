"""WebSockets of desktops: the door for browsers and the link of agents."""

from __future__ import annotations

import asyncio
import contextlib
import hmac

import msgspec

from madang.compute.order import Instruction
from madang.desktops.links import Links
from madang.desktops.model import Session, State
from madang.desktops.reach import NotReady, place_of
from madang.desktops.reports import Reports
from madang.desktops.rights import Rights
from madang.desktops.service import Desktops
from madang.doors import calls
from madang.doors.calls import DoorPlace
from madang.doors.counters import Counters
from madang.doors.handover import DoorError, DoorUnreachable
from madang.doors.open_doors import OpenDoor, OpenDoors
from madang.doors.pump import End, pump
from madang.doors.view_only import ViewOnly
from madang.doors.wires import Wire
from madang.identity.cookies import digest
from madang.kernel import clock
from madang.kernel.errors import MadangError, NotFound, NotSignedIn, Unavailable
from madang.kernel.ground import SocketHandler
from madang.kernel.log import logger
from madang.kernel.sockets import NO_LONGER_ALLOWED, Closed, WebSocket

log = logger("desktops")
DOOR_POLL_SECONDS = 0.02
# What a door says no with; an agent may say anything, and every code is a counter of its own.
_CODES = frozenset(
    {"door_unreachable", "door_foreign", "door_busy", "engine_lost", "engine_busy", "verb_unknown"}
    | {f"ticket_{why}" for why in ("invalid", "foreign", "expired", "replayed")}
)

# Close codes of the door; the page tells by them whether to come back (docs/architecture.md).
SESSION_ENDED = 4001
MISBEHAVED = 1008
ENGINE_LOST = 1011


class Doors:
    """Lets those who have a right to a session through to its engine."""

    def __init__(self, desktops: Desktops, rights: Rights, open_doors: OpenDoors, door_seconds: float) -> None:
        self.open = open_doors
        self._desktops = desktops
        self._rights = rights
        self._door_seconds = door_seconds
        self._counters = Counters(desktops.service)

    async def serve(self, web_socket: WebSocket, session_id: str) -> None:
        try:
            right = await self._rights.of(web_socket.headers, session_id)
            engine = await self._engine(right.session)
        except MadangError as error:
            self._counters.refused(error.code)
            await web_socket.refuse(error)
            return
        door = OpenDoor(
            web_socket, session_id, right.person, right.sign_in, right.still,
            name=right.name, mode=right.mode, via=right.via, share=right.share,
        )  # fmt: skip
        code, reason = ENGINE_LOST, "the desktop does not answer"
        try:
            code, reason = await self._let_through(door, engine, right.until)
        except asyncio.CancelledError:
            if door.closing is None:
                raise
            code, reason = door.closing
        finally:
            engine.close()
        await web_socket.close(code, reason)

    async def _let_through(self, door: OpenDoor, engine: Wire, until: float | None) -> tuple[int, str]:
        """Carry bytes until it ends; gives why, as code and reason. Who may only look is heard through a filter."""
        offered = door.web_socket.scope.get("subprotocols", ())
        await door.web_socket.accept("binary" if "binary" in offered else None)
        timer = self._close_at(door, until)
        try:
            with self.open.register(door), self._counters.connections.track_inprogress():
                self._counters.opened.inc()
                if not await door.still():  # shut out while the door opened
                    return NO_LONGER_ALLOWED, "you are not let in any more"
                allowed = None if door.mode == "control" else ViewOnly()
                match await pump(door.web_socket, engine, self._counters, allowed):
                    case End.ENGINE:
                        return await self._why(door.session)
                    case End.FILTER:
                        return MISBEHAVED, "only looking is allowed"
                    case _:
                        return ENGINE_LOST, "the desktop does not answer"
        finally:
            if timer is not None:
                timer.cancel()

    def _close_at(self, door: OpenDoor, until: float | None) -> asyncio.TimerHandle | None:
        """A right that ends by time ends at its moment, not at the next check."""
        if until is None:
            return None
        seconds = max(0.0, until - clock.now())
        return asyncio.get_running_loop().call_later(seconds, door.close, NO_LONGER_ALLOWED, "its time is over")

    async def check(self) -> str:
        """Whoever would not be let in any more (a sign-in that ran out, a revoked token or link) does not stay."""
        await self.open.check(NO_LONGER_ALLOWED, "you are not let in any more")
        return ""

    async def _engine(self, session: Session) -> Wire:
        if not session.has_door:
            raise NotReady("It is still starting.", hint="Try again in a moment.", state=session.state.value)
        place, key = place_of(session)
        try:
            return await self._go_through(session, place, key)
        except DoorError as error:
            code = error.code if error.code in _CODES else "door_refused"
            log.warning("door did not open", session=session.id, code=code, reason=str(error))
            raise Unavailable(
                "Its agent does not open the door.", code=code, hint="It is tried again by itself.", retry_after=1
            ) from error

    async def _go_through(self, session: Session, place: DoorPlace, key: str) -> Wire:
        """While the desktop starts, its door opens a moment after its display: whoever comes first waits for it."""
        last_try = clock.now() + self._door_seconds
        while True:
            try:
                return await calls.engine(place, key, session.id, timeout_seconds=self._door_seconds)
            except DoorUnreachable:
                if session.state is not State.STARTING or clock.now() > last_try:
                    raise
                await asyncio.sleep(DOOR_POLL_SECONDS)

    async def _why(self, session_id: str) -> tuple[int, str]:
        """Why the engine closed: mostly the session is ending, which its agent says a moment later."""
        with contextlib.suppress(MadangError):  # it cannot be told now: whoever comes back hears it
            for _ in range(10):
                session = await self._desktops.store.get(session_id)
                if session is None or session.over or not session.wanted:
                    return SESSION_ENDED, "the desktop is over"
                await asyncio.sleep(0.1)
        return ENGINE_LOST, "the desktop does not answer"


def agent_socket(desktops: Desktops, links: Links, reports: Reports) -> SocketHandler:
    """The WebSocket on which agents report; each proves itself by the secret of its session."""

    async def serve(web_socket: WebSocket, session_id: str) -> None:
        try:
            session = await desktops.store.get(session_id)
        except MadangError as error:  # the database is away: the agent comes again
            await web_socket.refuse(error)
            return
        if session is None:
            await web_socket.refuse(NotFound("There is no such session.", code="session_not_found"))
            return
        secret = web_socket.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(digest(secret), session.agent_secret_hash or ""):
            await web_socket.refuse(NotSignedIn("This is not the session's agent.", code="agent_unknown"))
            return
        await web_socket.accept()
        try:
            await _greet(web_socket, session)
            await links.serve(session.id, web_socket, reports.take)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            log.warning("an agent sent nonsense", session=session.id, reason=str(error))
            await web_socket.close(1008, "not a report")
        finally:
            desktops.wake(session.id)

    return serve


async def _greet(web_socket: WebSocket, session: Session) -> None:
    """What an agent has to know from the start: our clock, and an end that may have moved while it was away."""
    said = [Instruction("hello", now=clock.now())]
    if session.ends_at is not None and session.wanted:
        said.append(Instruction("time", ends_at=session.ends_at))
    with contextlib.suppress(Closed):  # which `serve` notices
        for instruction in said:
            await web_socket.send_text(msgspec.json.encode(instruction).decode())
