"""Waiting that ends early when something happens."""

from __future__ import annotations

import asyncio
import contextlib


async def pause(seconds: float | None, event: asyncio.Event) -> None:
    """Wait so long (None: for ever), or until the event is set.

    Not `asyncio.wait_for`: in Python 3.11 that forgets to be cancelled when the event is set at the same moment, and
    whoever stops the task waits for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
