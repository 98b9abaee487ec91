"""Time as the portal stores and sends it: UTC, to the millisecond."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def iso(seconds: float) -> str:
    """`2026-11-20T15:04:05.123Z`; this format also sorts as text."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def iso_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def epoch(text: str) -> float:
    """Seconds since the epoch of what `iso` wrote."""
    return datetime.fromisoformat(text).timestamp()
