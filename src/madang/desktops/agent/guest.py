"""One connection through the door, after its ticket was good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from madang.compute.order import Failure
from madang.doors.wires import Wire

Request = dict[str, Any]


class Refusal(Exception):
    """The agent's no to what a guest asks."""

    def __init__(self, code: str, title: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.failure = Failure(code, title, detail, hint)


class Guest:
    def __init__(self, wire: Wire, request: Request, *, remote: bool) -> None:
        self.wire = wire
        self.request = request
        self.remote = remote  # came over TLS: an engine's socket cannot be handed over

    def text(self, name: str, default: str | None = None) -> str:
        value = self.request.get(name, default)
        if not isinstance(value, str):
            raise Refusal("request_invalid", "This request cannot be understood.", f"{name} has to be a text.")
        return value

    def number(self, name: str, first: int, last: int, default: int | None = None) -> int:
        value = self.request.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not first <= value <= last:
            detail = f"{name} has to be a number from {first} to {last}."
            raise Refusal("request_invalid", "This request cannot be understood.", detail)
        return value

    async def say(self, **answer: Any) -> None:
        await self.wire.send_all(msgspec.json.encode({"ok": True} | answer) + b"\n")

    async def refuse(self, refusal: Refusal) -> None:
        await self.wire.send_all(msgspec.json.encode({"ok": False} | msgspec.structs.asdict(refusal.failure)) + b"\n")


# Answers one kind of request; returns when the connection may be closed. May raise Refusal and OSError.
Verb = Callable[[Guest], Awaitable[None]]
