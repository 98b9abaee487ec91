"""What a portal asks agents, through whichever door: short questions, pictures and logs, files both ways, the engine.

Every function raises a DoorError (`doors/handover.py`); a DoorRefused carries what the agent says in words for people.
The verbs and their arguments are in docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from madang.doors import handover, tickets
from madang.doors.handover import DoorUnreachable
from madang.doors.places import TICKET_SECONDS, Answer, DoorPlace, asked, go_through, read_answer, unreachable
from madang.doors.strangers import StrangersWire
from madang.doors.wires import Wire

__all__ = ["DoorPlace", "Download", "Upload", "call", "engine", "fetch", "stream_get", "stream_put"]

PART_BYTES = 256 * 1024
SHORT_SECONDS = 10.0
# A side that neither takes nor gives a byte for this long is gone.
STALL_SECONDS = 60.0


async def call(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any] | None = None,
    timeout_seconds: float = SHORT_SECONDS,
) -> Answer:
    """Asks for something whose answer is one line: files.list, repair, native, instruct."""
    async with asked(place, key, session, verb, arguments, timeout_seconds=timeout_seconds) as (_, answer):
        return answer


async def fetch(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any] | None = None,
    *,
    most_bytes: int,
    timeout_seconds: float = SHORT_SECONDS,
) -> tuple[Answer, bytes]:
    """Asks for something that is held in memory: picture, log. Gives the answer's line and the bytes after it."""
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            stream_get(place, key, session, verb, arguments, timeout_seconds=timeout_seconds) as download,
        ):
            if download.size > most_bytes:
                raise DoorUnreachable(f"{download.size} bytes are more than {most_bytes}")
            return download.answer, b"".join([bytes(part) async for part in download])
    except TimeoutError as error:
        raise DoorUnreachable(f"no answer in {timeout_seconds:g} s") from error


async def engine(place: DoorPlace, key: str, session: str, *, timeout_seconds: float = 5.0) -> Wire:
    """A connection to the session's engine for the caller to pump and close.

    Unix: the engine's own socket (no byte passes through the agent); TLS: the agent carries the bytes.
    """
    if place.path is None:
        wire, _ = await go_through(place, key, session, "desktop", timeout_seconds=timeout_seconds)
        return wire
    ticket = tickets.issue(key, session, valid_seconds=TICKET_SECONDS)
    return StrangersWire(await handover.take(place.path, ticket, place.uid, timeout_seconds=timeout_seconds))


class Download:
    """What an agent sends after its answer: iterate over it, once.

    A part is only good until the next one: they share one buffer. Raises DoorUnreachable when the agent sends less than
    it said, or nothing for `stall_seconds`.
    """

    def __init__(self, wire: Wire, answer: Answer, stall_seconds: float) -> None:
        self.answer = answer
        # JSON can hold half a character, which no header can.
        self.name = str(answer.get("name", "")).encode("utf-8", "replace").decode()
        self.size = _size(answer)
        self._wire = wire
        self._stall_seconds = stall_seconds

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        room = memoryview(bytearray(min(PART_BYTES, self.size)))
        left = self.size
        while left:
            try:
                async with asyncio.timeout(self._stall_seconds):
                    count = await self._wire.receive_into(room[: min(left, len(room))])
            except TimeoutError as error:
                raise DoorUnreachable(f"nothing came for {self._stall_seconds:g} s") from error
            except OSError as error:
                raise unreachable(error) from error
            if not count:
                raise DoorUnreachable(f"the agent sent {self.size - left} of {self.size} bytes")
            left -= count
            yield room[:count]


@contextlib.asynccontextmanager
async def stream_get(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any] | None = None,
    *,
    timeout_seconds: float = SHORT_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> AsyncIterator[Download]:
    """files.get and everything else that sends `size` bytes; the agent sends no faster than they are taken."""
    async with asked(place, key, session, verb, arguments, timeout_seconds=timeout_seconds) as (wire, answer):
        yield Download(wire, answer, stall_seconds)


class Upload:
    """What an agent is sent: `send` each part, then `finish`. Left unfinished, the agent keeps nothing of it."""

    def __init__(self, wire: Wire, stall_seconds: float) -> None:
        self._wire = wire
        self._stall_seconds = stall_seconds
        # An agent that gives up on the way (its disk is full) says so at once.
        self._answer = asyncio.create_task(read_answer(wire))

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Returns once the way has taken it. Raises a DoorError, also the refusal of an agent that gave up."""
        sending = asyncio.create_task(self._wire.send_all(data))
        try:
            async with asyncio.timeout(self._stall_seconds):
                await asyncio.wait((sending, self._answer), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise DoorUnreachable(f"nothing was taken for {self._stall_seconds:g} s") from error
        finally:
            if not sending.done():
                await _cancelled(sending)
        failed = None if sending.cancelled() else sending.exception()
        if self._answer.done():
            self._give_up()
        if failed is not None:
            # The refusal may be on its way still.
            await self._settled()
            raise unreachable(failed) if isinstance(failed, OSError) else failed

    async def finish(self) -> Answer:
        """The agent's last word, once everything was sent: {"path", "name", "size"}."""
        try:
            async with asyncio.timeout(self._stall_seconds):
                return await self._answer
        except TimeoutError as error:
            raise DoorUnreachable(f"no answer in {self._stall_seconds:g} s") from error
        except OSError as error:
            raise unreachable(error) from error

    async def close(self) -> None:
        await _cancelled(self._answer)

    async def _settled(self) -> None:
        with contextlib.suppress(TimeoutError, OSError, handover.DoorUnreachable):
            async with asyncio.timeout(1):
                await self._answer

    def _give_up(self) -> None:
        if (error := self._answer.exception()) is not None:
            raise unreachable(error) if isinstance(error, OSError) else error
        raise DoorUnreachable("the agent said yes before it had everything")


@contextlib.asynccontextmanager
async def stream_put(
    place: DoorPlace,
    key: str,
    session: str,
    verb: str,
    arguments: dict[str, Any],
    *,
    timeout_seconds: float = SHORT_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> AsyncIterator[Upload]:
    """files.put {"folder", "name", "size"}: exactly `size` bytes are to be sent."""
    async with asked(place, key, session, verb, arguments, timeout_seconds=timeout_seconds) as (wire, _):
        upload = Upload(wire, stall_seconds)
        try:
            yield upload
        finally:
            await upload.close()


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Ends a task, whatever becomes of it."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


def _size(answer: Answer) -> int:
    size = answer.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise DoorUnreachable("the agent does not say how much it sends")
    return size
