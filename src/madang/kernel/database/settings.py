"""The settings of the database, and the address in them taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, unquote

import msgspec

from madang.kernel.errors import SettingError

SCHEMES = {"mariadb": 3306, "postgresql": 5432}


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where records are kept. Empty: an SQLite file in the state folder, for portals of one host."""

    url: Annotated[
        str,
        msgspec.Meta(
            description="Empty: SQLite. `mariadb://user@host:3306/name` or `postgresql://user@host:5432/name`; several "
            "hosts of one cluster with commas, the first that answers is used (give every portal the same order). "
            "`?socket=/run/mysqld/mysqld.sock` (`/run/postgresql/.s.PGSQL.5432`) in place of a host. A password never "
            "stands here."
        ),
    ] = ""
    password_file: Annotated[str, msgspec.Meta(description="File whose first line is the database's password.")] = ""
    ca_file: Annotated[
        str,
        msgspec.Meta(
            description="Certificates (PEM) that the server's own is checked with, its name too; empty: no TLS is "
            "asked for."
        ),
    ] = ""
    busy_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, le=120, description="A write waits this long for another writer before it is refused."),
    ] = 15.0
    connections: Annotated[
        int,
        msgspec.Meta(
            ge=2, le=64, description="Open connections at most; one of them writes, more requests wait their turn."
        ),
    ] = 5
    answer_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=120,
            description="A server that takes longer for a connection or for a transaction (a write: beyond its wait "
            "for others) is given up; the server ends a transaction whose portal is silent for as long. Below "
            "`busy_seconds`, so that others get through after a portal's host is lost.",
        ),
    ] = 10.0
    retries: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=100,
            description="A write that met another one (a deadlock, a Galera conflict) is run again so often.",
        ),
    ] = 10
    retry_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=10,
            description="Pause before the first of these at most, by chance; it doubles up to 16 times that.",
        ),
    ] = 0.02
    upgrade_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=3600, description="A start waits this long for another portal that is changing the tables."
        ),
    ] = 300.0

    def __post_init__(self) -> None:
        """Raises ValueError that does not repeat the address: a password in it would end in a log."""
        if self.url:
            address_of(self.url)


class Address(msgspec.Struct, frozen=True):
    """`database.url` taken apart; hosts with their ports, in the order they are tried."""

    scheme: str
    user: str
    hosts: tuple[tuple[str, int], ...]
    name: str
    socket: str

    @property
    def where(self) -> str:
        """For people: which database, on which hosts."""
        places = self.socket or ", ".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{'MariaDB' if self.scheme == 'mariadb' else 'PostgreSQL'} {self.name} on {places}"


def address_of(url: str) -> Address:
    """Raises ValueError, whose text repeats nothing that may be secret."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"url begins with none of {', '.join(f'{known}://' for known in SCHEMES)}")
    rest, _, query = rest.partition("?")
    place, _, name = rest.partition("/")
    user, _, hosts = place.rpartition("@")
    if ":" in user:
        raise ValueError("url holds a password: write it into a file and name that as password_file")
    if not user or not name or "/" in name:
        raise ValueError(f"url is not of the form {scheme}://user@host/name")
    options = dict(parse_qsl(query))
    socket = options.pop("socket", "")
    if options:
        raise ValueError("url has an option that is not known; there is `socket` alone")
    if bool(hosts) == bool(socket):
        raise ValueError("url needs either hosts or ?socket=")
    split = tuple(_host(each, SCHEMES[scheme]) for each in hosts.split(",")) if hosts else ()
    return Address(scheme, unquote(user), split, unquote(name), socket)


def _host(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):  # no port; an IPv6 address stands in brackets
        host, number = text, str(port)
    if not host or not number.isdecimal():
        raise ValueError("url has a host that is none; hosts are host or host:port, with commas between")
    return host.strip("[]"), int(number)


def password_of(settings: DatabaseSettings) -> str:
    """The password, or an empty string. Raises SettingError."""
    if not settings.password_file:
        return ""
    try:
        lines = Path(settings.password_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"database.password_file {settings.password_file} cannot be read: {error}.",
            hint="It holds the password in its first line, readable by the portal's user alone.",
        ) from error
    return lines[0].strip() if lines else ""
