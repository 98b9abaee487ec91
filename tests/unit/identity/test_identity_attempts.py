"""Locks after wrong passwords."""

from pathlib import Path

import pytest

from madang.identity.attempts import Attempts
from madang.identity.settings import IdentitySettings
from madang.kernel.errors import TooManyAttempts
from madang.kernel.live_embedded import EmbeddedLive

SETTINGS = IdentitySettings(attempts_per_name=3, attempts_per_address=6, lock_minutes=1, lock_minutes_most=3)


@pytest.fixture
async def live(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = EmbeddedLive(tmp_path / "live.sqlite3", shared=False)
    await made.start()
    yield made
    await made.stop()


async def wait_of(attempts: Attempts, name: str, address: str) -> float:
    try:
        await attempts.refuse_locked(name, address)
    except TooManyAttempts as error:
        assert error.retry_after is not None
        return error.retry_after
    return 0.0


async def lock(attempts: Attempts, name: str, address: str) -> None:
    while not await attempts.failed(name, address):
        pass


async def test_a_name_is_locked_after_so_many_and_says_how_long(live: EmbeddedLive) -> None:
    attempts = Attempts(live, SETTINGS)
    assert [await attempts.failed("kim", f"192.0.2.{n}") for n in range(3)] == [False, False, True]
    assert 55 < await wait_of(attempts, "kim", "198.51.100.1") <= 60
    assert await wait_of(attempts, "lee", "192.0.2.1") == 0


async def test_another_process_sees_the_lock(live: EmbeddedLive) -> None:
    other = EmbeddedLive(live.file, shared=True)
    await other.start()
    await lock(Attempts(live, SETTINGS), "kim", "192.0.2.1")
    assert await wait_of(Attempts(other, SETTINGS), "kim", "192.0.2.9") > 0
    await other.stop()


async def test_locks_grow_up_to_a_limit(live: EmbeddedLive, clock) -> None:  # type: ignore[no-untyped-def]
    attempts = Attempts(live, SETTINGS)
    waits = []
    for number in range(4):
        await lock(attempts, "kim", f"192.0.2.{number}")
        waits.append(round(await wait_of(attempts, "kim", "")))
        clock.forward(minutes=4)
        assert await wait_of(attempts, "kim", "") == 0
    assert waits == [60, 120, 180, 180]


async def test_success_forgets_the_name_but_not_the_address(live: EmbeddedLive) -> None:
    attempts = Attempts(live, SETTINGS)
    for name in ("kim", "kim", "lee", "lee", "choi"):
        assert not await attempts.failed(name, "192.0.2.1")
    await attempts.succeeded("kim")
    assert await attempts.failed("kim", "192.0.2.1"), "the sixth from this address"
    assert await wait_of(attempts, "park", "192.0.2.1") > 0
    assert await wait_of(attempts, "kim", "192.0.2.2") == 0


async def test_an_ipv6_network_counts_as_one_address(live: EmbeddedLive) -> None:
    attempts = Attempts(live, SETTINGS)
    for number in range(6):
        await attempts.failed(f"name{number}", f"2001:db8:1:2::{number:x}")
    assert await wait_of(attempts, "kim", "2001:db8:1:2:ffff::1") > 0
    assert await wait_of(attempts, "kim", "2001:db8:1:3::1") == 0


async def test_names_do_not_stand_in_live_state(live: EmbeddedLive) -> None:
    await Attempts(live, SETTINGS).failed("my secret in the wrong field \ud800\0", "not an address")
    assert not [key for key in await live.get_many("") if "secret" in key]


async def test_without_live_state_each_portal_counts_for_itself(live: EmbeddedLive) -> None:
    live._close()
    live._remove()
    live.file.mkdir()  # cannot be used
    attempts = Attempts(live, SETTINGS)
    assert [await attempts.failed("kim", "192.0.2.1") for _ in range(3)] == [False, False, True]
    assert await wait_of(attempts, "kim", "192.0.2.2") > 50
    assert await wait_of(attempts, "lee", "192.0.2.1") == 0
    live.file.rmdir()
    assert await wait_of(attempts, "kim", "192.0.2.2") > 50  # also when it is back
    await attempts.succeeded("kim")
    assert await wait_of(attempts, "kim", "192.0.2.2") == 0
