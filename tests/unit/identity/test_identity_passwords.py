"""Hashing beside the loop, a few at a time."""

import asyncio
import time

import pytest

from madang.identity.passwords import Passwords
from madang.identity.settings import IdentitySettings
from madang.kernel.errors import TooManyAttempts

CHEAP = IdentitySettings(hash_memory_kib=8, hash_rounds=1)


async def test_right_wrong_and_none() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("paper lantern")
    assert stored.startswith("$argon2id$")
    assert await passwords.check(stored, "paper lantern")
    assert not await passwords.check(stored, "paper lanterns")
    assert not await passwords.check(None, "paper lantern")
    assert not await passwords.check("damaged", "paper lantern")
    passwords.close()


async def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    passwords = Passwords(CHEAP)
    assert await passwords.check(
        await passwords.hash("한글 비밀번호 길게"), "한글 비밀번호 길게".replace("한", "\u1112\u1161\u11ab")
    )
    passwords.close()


async def test_what_was_hashed_with_less_is_outdated() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("paper lantern")
    assert not passwords.outdated(stored)
    assert Passwords(IdentitySettings(hash_memory_kib=16, hash_rounds=1)).outdated(stored)
    assert passwords.outdated("damaged")
    passwords.close()


async def test_unknown_takes_as_long_as_known() -> None:
    passwords = Passwords(IdentitySettings(hash_memory_kib=16384, hash_rounds=3))
    stored = await passwords.hash("paper lantern")

    async def seconds(known: str | None) -> float:
        begin = time.perf_counter()
        await passwords.check(known, "wrong")
        return time.perf_counter() - begin

    await passwords.check(None, "first: the dummy is made")
    # Side by side, and the quickest of each: a busy machine makes single ones slow.
    pairs = [(await seconds(stored), await seconds(None)) for _ in range(8)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    assert 0.5 < unknown / known < 2.0
    passwords.close()


async def test_the_loop_goes_on_meanwhile() -> None:
    passwords = Passwords(IdentitySettings(hash_memory_kib=65536, hash_rounds=4))
    working = asyncio.create_task(passwords.hash("paper lantern"))
    turns = 0
    while not working.done():
        await asyncio.sleep(0.002)
        turns += 1
    assert turns > 10
    passwords.close()


async def test_turns_are_limited_and_so_is_the_queue() -> None:
    passwords = Passwords(IdentitySettings(hash_at_once=1, hash_waiting=1))
    inside: list[str] = []
    leave = asyncio.Event()

    async def take(name: str) -> None:
        async with passwords.turn():
            inside.append(name)
            await leave.wait()

    first, second = asyncio.create_task(take("first")), asyncio.create_task(take("second"))
    await asyncio.sleep(0.02)
    assert inside == ["first"]
    with pytest.raises(TooManyAttempts) as caught:
        async with passwords.turn():
            pass
    assert caught.value.retry_after
    leave.set()
    await asyncio.gather(first, second)
    assert inside == ["first", "second"]
    async with passwords.turn():
        pass
    passwords.close()
