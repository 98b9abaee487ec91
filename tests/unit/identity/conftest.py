"""A ground of one's own for each test: fresh database and live state, cheap hashing, a clock that can be moved."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from madang.identity.background import background_of
from madang.identity.entrance import Entrance
from madang.identity.passwords import Passwords
from madang.identity.service import People
from madang.identity.settings import IdentitySettings
from madang.identity.sign_on import SignOn
from madang.kernel.events import Event
from madang.kernel.ground import Ground
from tests.unit.identity.identity_house import Clock, House, make_ground


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("madang.kernel.clock.now", made.now)
    return made


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account is looked for or created, also when the tests run as root."""
    for module in ("accounts", "people", "routes"):
        monkeypatch.setattr(f"madang.identity.{module}.as_root", lambda: False)


@pytest.fixture
async def ground(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    """Further settings by `@pytest.mark.parametrize("ground", [{"MADANG_...": ...}], indirect=True)`."""
    given = getattr(request, "param", {})
    made = await make_ground(tmp_path, given)
    await made.start()
    yield made
    await background_of(made).settled()
    await made.stop()


@pytest.fixture
def house(ground: Ground) -> House:
    passwords = Passwords(ground.settings[IdentitySettings])
    made = House(ground, Entrance(ground, passwords), People(ground), SignOn(ground))

    async def keep(event: Event) -> None:
        made.events.append((event.name, msgspec.json.decode(event.data)))

    for name in ("person.signed_out", "person.changed", "person.disabled"):
        ground.events.on(name, keep)
    return made


@pytest.fixture
def hold_database(ground: Ground) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Another process writes and does not end."""

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        other = sqlite3.connect(ground.database.file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    return held
