"""Waiting for a condition, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
PAUSE_SECONDS = 0.03


def eventually(
    look: Callable[[], Found], seconds: float, otherwise: str | Callable[[], str], pause: float = PAUSE_SECONDS
) -> Found:
    """The first true thing that `look` gives. Raises AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            said = otherwise() if callable(otherwise) else otherwise
            raise AssertionError(f"not within {seconds:g} s: {said}")
        time.sleep(pause)
