"""Hashing and checking passwords with argon2id, beside the event loop and only a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from madang.identity.model import normal_password
from madang.identity.settings import IdentitySettings
from madang.kernel.errors import TooManyAttempts

CROWD_SECONDS = 2.0
Result = TypeVar("Result")


class Passwords:
    """Hashes cost memory and time on purpose, so whoever wants one takes a `turn()` first."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.hash_rounds, memory_cost=settings.hash_memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.hash_at_once, thread_name_prefix="passwords")
        self._turns = asyncio.Semaphore(settings.hash_at_once)
        self._waiting = 0
        self._most_waiting = settings.hash_waiting
        self._dummy: str | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the few places. Raises TooManyAttempts when too many wait for one already."""
        if self._waiting >= self._most_waiting:
            raise TooManyAttempts(
                "Too many people sign in at this moment.", hint="Try again in a moment.", retry_after=CROWD_SECONDS
            )
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def hash(self, password: str) -> str:
        """What to store."""
        return await self._in_thread(self._hash, password)

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. Takes as long when there is none to compare with."""
        return await self._in_thread(self._check, stored, password)

    def outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than those in force."""
        try:
            return self._hasher.check_needs_rehash(stored)
        except InvalidHashError:
            return True

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[..., Result], *arguments: str | None) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_bytes(password))

    def _check(self, stored: str | None, password: str) -> bool:
        # Made whether or not it is needed, so that the first unknown name takes no longer than a known one.
        if self._dummy is None:
            self._dummy = self._hasher.hash(secrets.token_bytes(16))
        try:
            return self._hasher.verify(stored or self._dummy, _bytes(password)) and stored is not None
        except (Argon2Error, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    return normal_password(password).encode("utf-8", "surrogatepass")
