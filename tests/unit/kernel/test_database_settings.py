"""The address of the database in the settings."""

from pathlib import Path

import pytest

from madang.kernel.database import Database, DatabaseSettings
from madang.kernel.database.settings import Address, address_of
from madang.kernel.errors import SettingError
from madang.kernel.settings import load

KINDS = {"database": DatabaseSettings}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mariadb://m@db/site", Address("mariadb", "m", (("db", 3306),), "site", "")),
        ("postgresql://m@db:5433/site", Address("postgresql", "m", (("db", 5433),), "site", "")),
        (
            "mariadb://m@a,b:3307,[fd00::1]:3308,[fd00::2]/site",
            Address("mariadb", "m", (("a", 3306), ("b", 3307), ("fd00::1", 3308), ("fd00::2", 3306)), "site", ""),
        ),
        ("mariadb://m@/site?socket=/run/my.sock", Address("mariadb", "m", (), "site", "/run/my.sock")),
        ("mariadb://m%40home@db/my%20site", Address("mariadb", "m@home", (("db", 3306),), "my site", "")),
    ],
)
def test_an_address_is_taken_apart(url: str, address: Address):
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "mysql://m@db/site",
        "db",
        "mariadb://db/site",
        "mariadb://m@db",
        "mariadb://m@db/",
        "mariadb://m@db/a/b",
        "mariadb://m@db:x/site",
        "mariadb://m@/site",
        "mariadb://m@a,,b/site",
        "mariadb://m@db/site?socket=/a",
        "mariadb://m@db/site?charset=utf8",
    ],
)
def test_what_is_no_address_is_refused_and_said(url: str):
    with pytest.raises(SettingError, match="url"):
        load(KINDS, {"MADANG_DATABASE_URL": url, "HOME": "/", "XDG_CONFIG_HOME": "/nowhere"})


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(SettingError) as caught:
        load(KINDS, {"MADANG_DATABASE_URL": "mariadb://m:s3cret@db/x", "HOME": "/", "XDG_CONFIG_HOME": "/nowhere"})
    assert "password_file" in f"{caught.value.detail}{caught.value.hint}"
    assert "s3cret" not in f"{caught.value!r} {caught.value.problem()}"


@pytest.mark.parametrize("scheme", ["mariadb", "postgresql"])
def test_a_password_is_nowhere_to_be_seen(tmp_path: Path, scheme: str):
    (tmp_path / "password").write_text("s3cret\n")
    settings = DatabaseSettings(url=f"{scheme}://m@db/x", password_file=str(tmp_path / "password"))
    database = Database(tmp_path / "unused", settings)
    assert "s3cret" not in f"{settings} {database.dialect.where} {database.engine.url} {database.engine!r}"
    assert database.engine.url.password == "s3cret"


def test_a_password_file_that_is_missing_is_named(tmp_path: Path):
    settings = DatabaseSettings(url="mariadb://m@db/x", password_file=str(tmp_path / "password"))
    with pytest.raises(SettingError, match="password_file"):
        Database(tmp_path / "unused", settings)
