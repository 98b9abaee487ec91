"""Runs a write again that met another one."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from madang.kernel import metrics
from madang.kernel.database.errors import DatabaseConflict

Given = ParamSpec("Given")
Result = TypeVar("Result")
DOUBLED_AT_MOST = 4


def retried(method: Callable[Given, Coroutine[Any, Any, Result]]) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """For every method that opens `Database.write()`: it is run again, whole, when its transaction met another one.

    So the method holds the transaction and what leads to it, and has no effect elsewhere before the commit. What
    follows from the change (events, files, accounts) is its caller's. How often is `database.retries`.
    """

    @functools.wraps(method)
    async def again(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        tries = 0
        while True:
            try:
                return await method(*args, **kwargs)
            except DatabaseConflict as error:
                if tries >= error.retries:
                    error.retries = 0  # a method around this one shall not begin anew
                    raise
                pause = error.pause_seconds * 2 ** min(tries, DOUBLED_AT_MOST)
            tries += 1
            metrics.database_retries.inc()
            await asyncio.sleep(random.uniform(0, pause))

    return again
