"""The connections that are open now, so that they are closed when their session ends or their person is signed out."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import msgspec

from madang.kernel.events import Event, Events
from madang.kernel.sockets import WebSocket

Mode = Literal["view", "control"]
Via = Literal["owner", "link", "operator"]


class OpenDoor:
    """One connection: who looks at what, and whether they `still` may.

    `person` is None for a guest; `via` says by what right: its owner's, a share link's (whose id is `share`), or an
    operator's. `closing` is why it was closed from our side, if it was.
    """

    def __init__(
        self,
        web_socket: WebSocket,
        session: str,
        person: str | None,
        sign_in: str | None,
        still: Callable[[], Awaitable[bool]],
        *,
        name: str = "",
        mode: Mode = "control",
        via: Via = "owner",
        share: str | None = None,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.since = time.time()
        self.name = name
        self.mode: Mode = mode
        self.via: Via = via
        self.share = share
        self.web_socket = web_socket
        self.session = session
        self.person = person
        self.sign_in = sign_in
        self.still = still
        self.closing: tuple[int, str] | None = None
        self.task = asyncio.current_task()

    def close(self, code: int, reason: str) -> None:
        """Cut the connection; whoever pumps it is cancelled and closes the WebSocket with this code."""
        if self.closing is None and self.task is not None:
            self.closing = (code, reason)
            self.task.cancel()


class OpenDoors:
    """The open connections of this process."""

    def __init__(self) -> None:
        self._doors: set[OpenDoor] = set()
        # Called with a door that has just been opened (True) or closed.
        self.changed: list[Callable[[OpenDoor, bool], None]] = []

    @contextlib.contextmanager
    def register(self, door: OpenDoor) -> Iterator[None]:
        self._doors.add(door)
        self._say(door, True)
        try:
            yield
        finally:
            self._doors.discard(door)
            self._say(door, False)

    def _say(self, door: OpenDoor, opened: bool) -> None:
        for changed in self.changed:
            changed(door, opened)

    def all(self) -> tuple[OpenDoor, ...]:
        return tuple(self._doors)

    def __contains__(self, door: OpenDoor) -> bool:
        return door in self._doors

    def viewers(self, session: str) -> int:
        return sum(door.session == session for door in self._doors)

    def close_where(self, chosen: Callable[[OpenDoor], bool], code: int, reason: str) -> None:
        for door in tuple(self._doors):
            if chosen(door):
                door.close(code, reason)

    def close_for_who_leaves(self, events: Events, code: int) -> None:
        """From now on, doors of people who sign out or are disabled are closed at once."""

        async def left(event: Event) -> None:
            said = msgspec.json.decode(event.data)
            person, sign_in = said["person"], said.get("sign_in")
            self.close_where(
                lambda door: door.person == person and sign_in in (None, door.sign_in), code, "you are signed out"
            )

        events.on("person.signed_out", left)
        events.on("person.disabled", left)

    async def check(self, code: int, reason: str) -> None:
        """Close the doors of those who would not be let in any more."""
        for door in tuple(self._doors):
            if door.closing is None and not await door.still():
                door.close(code, reason)
