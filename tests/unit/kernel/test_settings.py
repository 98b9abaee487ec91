"""madang.toml and the environment: what is wrong is named with its place and what is allowed."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from madang.kernel.errors import SettingError
from madang.kernel.settings import HttpSettings, Settings, SiteSettings, load


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something with every kind of value."""

    seats: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
    pace: Annotated[float, msgspec.Meta(gt=0)] = 1.5
    title: Annotated[str, msgspec.Meta(max_length=20)] = "engine"
    on: bool = True
    names: tuple[str, ...] = ()


KINDS = {"site": SiteSettings, "http": HttpSettings, "engine": Engine, "engine_two": Engine}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(tmp_path: Path, text: str | None = None, **environ: str) -> Settings:
    given = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")} | environ
    if text is not None:
        (tmp_path / "given.toml").write_text(text)
        given["MADANG_CONFIG"] = str(tmp_path / "given.toml")
    return load(KINDS, given)


def test_an_empty_file_is_a_working_site(tmp_path: Path):
    assert read(tmp_path, "")[Engine] == Engine()
    assert read(tmp_path).file is None


def test_a_file_sets_and_a_variable_overrides(tmp_path: Path):
    found = read(tmp_path, "[http]\nport = 9000\nhost = '::1'\n", MADANG_HTTP_PORT="9001")
    assert (found[HttpSettings].port, found[HttpSettings].host) == (9001, "::1")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("SEATS", "5", 5),
        ("PACE", "2", 2.0),
        ("TITLE", "5", "5"),
        ("TITLE", "true", "true"),
        ("ON", "false", False),
        ("NAMES", '["a", "b"]', ("a", "b")),
    ],
)
def test_a_variable_is_read_as_its_settings_kind(tmp_path: Path, variable: str, text: str, value: object):
    found = read(tmp_path, None, **{f"MADANG_ENGINE_{variable}": text})
    assert getattr(found.sections["engine"], variable.lower()) == value
    assert getattr(found.sections["engine_two"], variable.lower()) == getattr(Engine(), variable.lower())


def test_a_section_whose_name_begins_like_anothers_is_told_apart(tmp_path: Path):
    found = read(tmp_path, None, MADANG_ENGINE_TWO_SEATS="7")
    assert (found.sections["engine"].seats, found.sections["engine_two"].seats) == (3, 7)


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("[engine]\nseats = 99\n", {}, ["given.toml: [engine] seats is 99", "at least 1", "at most 9"]),
        ("[engine]\nseats = 'many'\n", {}, ["given.toml: [engine] seats is 'many'", "a whole number"]),
        ("[engine]\nseats = true\n", {}, ["seats is True"]),
        ("[engine]\non = 1\n", {}, ["on is 1", "true or false"]),
        ("[engine]\nseat = 1\n", {}, ["[engine]", "'seat'", "Did you mean 'seats'"]),
        ("[engin]\nseats = 1\n", {}, ["'engin'", "Did you mean 'engine"]),
        ("engine = 1\n", {}, ["[engine] must be a table"]),
        ("[engine\n", {}, ["given.toml", "valid TOML"]),
        ("", {"MADANG_ENGINE_SEATS": "99"}, ["environment: MADANG_ENGINE_SEATS is 99", "at most 9"]),
        ("", {"MADANG_ENGINE_SEAT": "1"}, ["MADANG_ENGINE_SEAT names no setting", "MADANG_ENGINE_SEATS"]),
        ("[http]\npublic_url = 'example.org'\n", {}, ["[http] public_url is 'example.org'"]),
        ("[site]\nname = ''\n", {}, ["[site] name is ''", "at least 1 long"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_is_allowed(tmp_path: Path, text, environ, said):
    with pytest.raises(SettingError) as caught:
        read(tmp_path, text, **environ)
    shown = f"{caught.value.detail} {caught.value.hint}"
    for part in said:
        assert part in shown


def test_a_named_file_that_is_not_there_is_said_and_not_passed_over(tmp_path: Path):
    with pytest.raises(SettingError, match="is not a file"):
        load(KINDS, {"MADANG_CONFIG": str(tmp_path / "none.toml"), "HOME": str(tmp_path)})


def test_the_nearest_file_is_read(tmp_path: Path):
    (tmp_path / "config/madang").mkdir(parents=True)
    (tmp_path / "config/madang/madang.toml").write_text("[http]\nport = 9001\n")
    assert read(tmp_path)[HttpSettings].port == 9001
    (tmp_path / "madang.toml").write_text("[http]\nport = 9002\n")
    assert read(tmp_path)[HttpSettings].port == 9002


def test_variables_of_the_command_line_and_of_sessions_are_no_settings(tmp_path: Path):
    read(tmp_path, None, MADANG_TOKEN="mdg_x", MADANG_URL="http://x", MADANG_PERSON="kim", MADANG_SESSION="s1")


def test_the_address_people_use_is_the_public_one_or_where_it_listens(tmp_path: Path):
    assert read(tmp_path, "[http]\nhost = '0.0.0.0'\n").public_url == "http://127.0.0.1:8080"
    assert read(tmp_path, "[http]\npublic_url = 'https://m.example'\n").public_url == "https://m.example"
