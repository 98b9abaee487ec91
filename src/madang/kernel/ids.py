"""Ids that people may have to read out: small letters and digits, without those that are taken for one another."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def short_id(length: int) -> str:
    """A new one of so many characters, five bits each, that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
