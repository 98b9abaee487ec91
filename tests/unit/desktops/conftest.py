"""Desktops on a real database and live state in a folder of the test; only what runs agents is a stand-in."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from madang.desktops.rules import Patience
from madang.identity.background import background_of
from madang.kernel.ground import Ground
from madang.kernel.settings import load
from madang.services import sections
from tests.unit.desktops.house import Agents, House


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions run as the portal's user, also when the tests run as root."""
    monkeypatch.setattr("madang.desktops.service.as_root", lambda: False)
    monkeypatch.setattr("madang.desktops.supervisor.as_root", lambda: False)


@pytest.fixture
async def ground(tmp_path: Path, new_database: Path) -> AsyncIterator[Ground]:
    made = Ground(load(sections(), {"MADANG_SITE_STATE_FOLDER": str(tmp_path / "state"), "HOME": str(tmp_path)}))
    shutil.copy(new_database, made.database.file)
    await made.start()
    yield made
    await background_of(made).settled()
    await made.stop()


@pytest.fixture
async def make_house(ground: Ground, tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    made: list[House] = []

    async def make(agents: Agents | None = None, **patience: float) -> House:
        given = {"launch": 3.0, "start": 30.0, "silent": 12.0, "end": 10.0} | patience
        made.append(House(ground, agents or Agents(tmp_path / "sessions"), Patience(**given)))
        await made[-1].supervisor.start()
        return made[-1]

    yield make
    for house in made:
        await house.stop()


@pytest.fixture
async def house(make_house: Callable[..., House]) -> House:
    return await make_house()
