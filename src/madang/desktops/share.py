"""A share: that somebody else may look at a session, or use it. Pure values, and the cookie of those who came by link.

via link      active -> revoked                       whoever has the link, or only people of this site
via operator  asked -> active -> revoked | refused    the operator who asked to look, view-only
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec

from madang.doors.open_doors import Mode

Via = Literal["link", "operator"]
State = Literal["asked", "active", "refused", "revoked"]
LONGEST_NAME = 80


class Share(msgspec.Struct, frozen=True):
    """As it is stored, without the token. `person` is the operator."""

    id: str
    service: str
    session_id: str
    via: Via
    state: State
    mode: Mode
    label: str
    guests: bool
    person_id: str | None
    person_name: str | None
    created_at: float
    expires_at: float

    def holds(self, now: float) -> bool:
        return self.state == "active" and now < self.expires_at

    def waits(self, now: float) -> bool:
        return self.state == "asked" and now < self.expires_at


class Pass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cookie of somebody who came by link says; `person` is None for a guest."""

    share: str
    session: str
    name: str
    expires_at: float
    person: str | None = None


def cookie_name(session_id: str) -> str:
    return f"madang_share_{session_id}"


def signed(key: bytes, one: Pass) -> str:
    """The cookie's value: what it says, and the site's signature."""
    body = _text(msgspec.json.encode(one))
    return f"{body}.{_mac(key, body)}"


def opened(key: bytes, value: str, session_id: str, now: float) -> Pass | None:
    """What a cookie says, when we signed it for this session and it is not out of date."""
    body, dot, mac = value.partition(".")
    if not dot or not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(key, body).encode()):
        return None
    try:
        one = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Pass)
    except (msgspec.DecodeError, binascii.Error):
        return None
    return one if one.session == session_id and now < one.expires_at else None


def find_cookie(headers: Mapping[str, str], session_id: str) -> str | None:
    """The value of the share cookie of this session."""
    wanted = cookie_name(session_id)
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value.strip('"')
    return None


def set_cookie(session_id: str, value: str, seconds: float, *, secure: bool) -> str:
    """The Set-Cookie header. Only the door of this session gets it."""
    attributes = [
        f"{cookie_name(session_id)}={value}",
        f"Path=/vncproxy/{session_id}",
        f"Max-Age={max(0, int(seconds))}",
        "HttpOnly",
        "SameSite=Lax",
    ]
    return "; ".join([*attributes, "Secure"] if secure else attributes)


def _mac(key: bytes, body: str) -> str:
    return _text(hmac.digest(key, f"desktops:share:{body}".encode("utf-8", "replace"), "sha256"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
