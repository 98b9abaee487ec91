"""The cookie of a sign-in: `<id>.<secret>`. The id finds the record, the secret proves it; only its hash is kept.

The next secret follows from the hash of the current one and the site's key. So every request that is answered while a
rotation is due offers the same new cookie, nothing is written to offer it, and an answer that gets lost costs nobody
their sign-in: the new secret takes effect when it is first shown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

NAME = "madang_sign_in"
LONGEST_SECRET = 100
LONGEST_ID = 32


def is_id(text: str) -> bool:
    """Whether it could be the id of a record here."""
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isalnum()


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a secret. Plain SHA-256 is enough, as no secret here is anything but random."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def same(one: str, other: str) -> bool:
    """Comparison that takes as long wherever they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def next_secret(key: bytes, sign_in: str, current_hash: str) -> str:
    return _derived(key, f"rotate:{sign_in}:{current_hash}")


def csrf_token(key: bytes, sign_in: str) -> str:
    """Bound to the sign-in, not to the cookie's secret: it outlives rotations."""
    return _derived(key, f"csrf:{sign_in}")


def _derived(key: bytes, purpose: str) -> str:
    raw = hmac.digest(key, f"identity:{purpose}".encode(), "sha256")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse(header: str | None) -> tuple[str, str] | None:
    """Id and secret out of a Cookie header; None when there is no such cookie or it is none of ours."""
    for part in (header or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == NAME:
            sign_in, dot, secret = value.strip('"').partition(".")
            if dot and is_id(sign_in) and 0 < len(secret) <= LONGEST_SECRET:
                return sign_in, secret
    return None


def set_cookie(value: str, seconds: float, *, secure: bool) -> str:
    """The Set-Cookie header (RFC 6265)."""
    attributes = [f"{NAME}={value}", "Path=/", f"Max-Age={max(0, int(seconds))}", "HttpOnly", "SameSite=Lax"]
    return "; ".join([*attributes, "Secure"] if secure else attributes)


def clear_cookie(*, secure: bool) -> str:
    return set_cookie("", 0, secure=secure)
