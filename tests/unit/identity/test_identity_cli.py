"""`madang people`, as somebody types it."""

import asyncio
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from madang.cli.ground import open_ground
from madang.cli.people import app
from madang.identity.audit import Audit
from madang.identity.service import People
from tests.unit.identity.identity_house import CHEAP


@pytest.fixture
def madang_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    environ = {"MADANG_SITE_STATE_FOLDER": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path), **CHEAP}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # The runner's standard error is closed after each call; a log set up for it would fail in later tests.
    monkeypatch.setattr("madang.kernel.log.configure", lambda *_: None)

    def call(*arguments: str, status: int = 0) -> Result:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
        assert result.exit_code == status, result.output
        return result

    return call


def test_a_person_from_beginning_to_end(madang_people) -> None:  # type: ignore[no-untyped-def]
    said = madang_people("add", "kim", "--display-name", "[bold]김", "--role", "teacher", "--role", "member").output
    assert re.search(r"kim signs in with this link, once:\n\S+/welcome#[\w-]{43}\n", said)
    listed = madang_people("list").output
    assert "[bold]김" in listed and "teacher, member" in listed and "never" in listed
    first, second = (madang_people("link", "kim").output, madang_people("reset-password", "kim").output)
    assert "/welcome#" in first and "/welcome#" in second and first != second
    assert "kim is disabled" in madang_people("disable", "kim").output
    assert "disabled" in madang_people("list").output
    madang_people("link", "kim", status=1)
    assert "kim is enabled" in madang_people("enable", "kim").output

    async def trail() -> list[tuple[str, str]]:
        async with open_ground() as ground:
            assert [person.name for person in await People(ground).all()] == ["kim"]
            return [(entry.action, entry.person_name) for entry in await Audit(ground).newest(10)]

    entries = asyncio.run(trail())
    assert [action for action, _ in entries] == [
        "person.enabled", "person.disabled", "password.reset", "link.made", "person.added",
    ]  # fmt: skip
    assert all(name.startswith("command line (") for _, name in entries)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("link", "nobody"), "nobody called 'nobody'"),
        (("disable", "\udcff"), "nobody called"),
        (("add", "Kim"), "A name is"),
        (("add", "kim", "--role", "king"), "no role 'king'"),
        (("add", "kim", "--display-name", "a\tb"), "cannot be shown"),
        (("add", "kim", "--display-name", "\udcff"), "cannot be shown"),
    ],
)
def test_mistakes_are_said_in_a_sentence(madang_people, arguments: tuple[str, ...], words: str) -> None:  # type: ignore[no-untyped-def]
    assert words in madang_people(*arguments, status=1).output
