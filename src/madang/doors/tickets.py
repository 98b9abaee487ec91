"""Tickets: short-lived signed permissions to open one door once.

A ticket is text: `session.expiry.once.signature`. expiry is in whole seconds since the epoch, once a random id, and
the signature HMAC-SHA256 over what stands before it, with the door's own key. No ticket is secret for longer than its
expiry, and none opens a second door.

    TicketError
    ├── TicketInvalid    not a ticket, or not signed by the one who holds this door's key
    ├── TicketForeign    for another session's door
    ├── TicketExpired
    └── TicketReplayed   used before
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time

_SHAPE = re.compile(r"^([A-Za-z0-9_-]{1,64})\.(\d{1,12})\.([A-Za-z0-9_-]{16,32})\.([A-Za-z0-9_-]{43})$")


class TicketError(Exception):
    """A ticket does not open this door."""

    code = "ticket_invalid"


class TicketInvalid(TicketError):
    code = "ticket_invalid"


class TicketForeign(TicketError):
    code = "ticket_foreign"


class TicketExpired(TicketError):
    code = "ticket_expired"


class TicketReplayed(TicketError):
    code = "ticket_replayed"


class Memory:
    """The ids of used tickets, each kept until its ticket expires: one for each door."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._used)

    def use(self, once: str, expiry: int, now: float) -> bool:
        """Remembers the id; False when it was used before."""
        self._used = {known: until for known, until in self._used.items() if until >= now}
        if once in self._used:
            return False
        self._used[once] = expiry
        return True


def new_key() -> str:
    """A fresh key for one door, as text."""
    return secrets.token_urlsafe(32)


def issue(key: str, session: str, *, valid_seconds: float = 30.0, now: float | None = None) -> str:
    """A ticket for the door of this session."""
    expiry = int((time.time() if now is None else now) + valid_seconds)
    claim = f"{session}.{expiry}.{secrets.token_urlsafe(16)}"
    return f"{claim}.{_signature(key, claim)}"


def check(key: str, session: str, ticket: str, memory: Memory, *, now: float | None = None) -> None:
    """Returns when the ticket opens the door of this session, now, for the first time; else raises a TicketError."""
    now = time.time() if now is None else now
    match = _SHAPE.fullmatch(ticket) if ticket.isascii() else None
    if match is None:
        raise TicketInvalid("not a ticket")
    if match[1] != session:
        raise TicketForeign("a ticket for another session")
    claim = ticket.rpartition(".")[0]
    if not hmac.compare_digest(_signature(key, claim), match[4]):
        raise TicketInvalid("signed with another key")
    expiry = int(match[2])
    if expiry < now:
        raise TicketExpired(f"expired {now - expiry:.0f} s ago")
    if not memory.use(match[3], expiry, now):
        raise TicketReplayed("used before")


def _signature(key: str, claim: str) -> str:
    digest = hmac.new(key.encode(), claim.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
