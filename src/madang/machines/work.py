"""What rooms of machines' operations are given, and what they give back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from madang.kernel.errors import Failure, MadangError
from madang.machines.hosts.host import Host
from madang.machines.hosts.shapes import Seen
from madang.machines.model import Machine, Operation

Changes = Callable[[Machine, Seen | None], Mapping[str, Any]]


def no_changes(_machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
    return {}


class Outcome(msgspec.Struct, frozen=True):
    """What a room's work made: of the machine (pure, asked with the newest record), and to be read later."""

    changes: Changes = no_changes
    result: dict[str, str | int | float | bool | None] = {}
    gone: bool = False  # there is no machine any more


class Work:
    """An operation at work, as its room has it."""

    def __init__(self, operation: Operation, machine: Machine, host: Host, *, again: bool) -> None:
        self.operation = operation
        self.machine = machine
        self.host = host
        self.again = again  # somebody was at it before, and may have done any part of it
        self.share: float | None = None
        self.stage = ""
        self.changed = asyncio.Event()

    @property
    def given(self) -> Mapping[str, Any]:
        return self.operation.given

    def progress(self, share: float | None, stage: str) -> None:
        """How far it is, from 0 to 1 (None: nobody knows), and what is being done."""
        self.share, self.stage = share, stage
        self.changed.set()


class Ended(NamedTuple):
    """An operation that this process carried out, and what it failed by."""

    operation: Operation
    error: MadangError | None = None


class Room(msgspec.Struct, frozen=True):
    """How one kind of operation is done."""

    run: Callable[[Work], Awaitable[Outcome]]
    can_cancel: bool = False
    repeatable: bool = True  # False: one that was cut off has failed, as nobody knows whether it was done
    edits: bool = False  # it changes what somebody may decide on
    failed: Callable[[Failure], Changes] | None = None  # what the machine's record keeps of a failure
    # Takes away what somebody who is gone had begun, when it is cancelled. False: there is no way back any more.
    undo: Callable[[Work], Awaitable[bool]] | None = None
    alters: frozenset[str] = frozenset()  # what of the record may differ from reality when it fails in the middle
    dropped: Callable[[Operation], Awaitable[None]] | None = None  # one was cancelled before it was begun


INTERRUPTED = Failure(
    code="interrupted",
    title="It was cut off",
    detail="The portal ended while it was at it, and it cannot be told whether it was done.",
    hint="Look at the machine, and ask again if it was not.",
)
CANCELLED = Failure(code="cancelled", title="It was cancelled", hint="Delete it, and make another one.")
BROKEN = Failure(
    code="operation_broken",
    title="The portal met an error that it did not expect",
    detail="It is in the portal's log.",
    hint="Try again; if it stays, tell the site's operator what you did.",
)
