"""Threads for calls that may hang. Python waits at its end for those of its own executors; for these nobody waits."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_Work = tuple[Future[Any], Callable[[], Any]]


class Threads(Executor):
    """At most so many, made when they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._made = 0
        self._over = False

    def submit(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Raises RuntimeError after `shutdown`."""
        future: Future[R] = Future()
        with self._lock:
            if self._over:
                raise RuntimeError(f"{self._name}: no more work is taken")
            self._work.put((future, partial(work, *args, **kwargs)))
            if not self._idle.acquire(blocking=False) and self._made < self._most:
                self._made += 1
                name = f"{self._name} {self._made}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """Work that has begun is not waited for, whatever `wait` says."""
        with self._lock:
            self._over = True
            if cancel_futures:
                with contextlib.suppress(queue.Empty):
                    while (left := self._work.get_nowait()) is not None:
                        left[0].cancel()
            for _thread in range(self._made):
                self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del work, future, call  # neither what was asked for nor its answer is kept until the next
            self._idle.release()
