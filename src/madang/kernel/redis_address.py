"""From `live.url` to a client of redis-py: one server, a Unix socket, or whoever the sentinels call the master."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from madang.kernel.errors import SettingError
from madang.kernel.live import LiveSettings

REDIS_PORT, SENTINEL_PORT = 6379, 26379
# RedisLive lets only so many calls in; the pool must not be what refuses them.
SPARE_CONNECTIONS = 4


def connect(settings: LiveSettings) -> Redis:
    """A client that has not connected yet. Raises SettingError; no password is in what it says."""
    try:
        parts = urlsplit(settings.url)
        user, _, where = parts.netloc.rpartition("@")
        user = unquote(user)
        if parts.scheme == "unix":
            return _client(settings, user, {"path": parts.path, "connection_class": UnixDomainSocketConnection})
        if parts.scheme in ("sentinel", "sentinels"):
            return _by_sentinels(settings, user, where, parts.path.strip("/"))
        host, port = _host_and_port(where, REDIS_PORT)
        kind = {"connection_class": SSLConnection, **_tls(settings)} if parts.scheme == "rediss" else {}
        database = int(parts.path.strip("/") or 0)
        return _client(settings, user, {"host": host, "port": port, "db": database, "socket_keepalive": True, **kind})
    except ValueError as error:
        raise SettingError(
            "live.url is not an address of Redis.",
            hint="Write it as redis://host:6379/0, unix:///path/redis.sock or sentinel://one:26379,two:26379/name.",
        ) from error


def _client(settings: LiveSettings, user: str, where: dict[str, Any]) -> Redis:
    limits = _limits(settings.seconds)
    most = settings.connections + SPARE_CONNECTIONS
    return Redis.from_pool(ConnectionPool(max_connections=most, **limits, **_credentials(settings, user), **where))


def _by_sentinels(settings: LiveSettings, user: str, where: str, service: str) -> Redis:
    sentinels = [_host_and_port(one, SENTINEL_PORT) for one in where.split(",")]
    if not service:
        raise ValueError("no service name")
    tls = {"ssl": True, **_tls(settings)} if settings.url.startswith("sentinels:") else {}
    # They are asked one after the other: one that hangs must leave the others time within one call.
    asked = _limits(settings.seconds / (len(sentinels) + 1)) | tls
    if password := read_password(settings.sentinel_password_file):
        asked["password"] = password
    finder = Sentinel(sentinels, sentinel_kwargs=asked, **_limits(settings.seconds), **tls)  # type: ignore[no-untyped-call]
    credentials = _credentials(settings, user)
    master: Redis = finder.master_for(
        service, max_connections=settings.connections + SPARE_CONNECTIONS, socket_keepalive=True, **credentials
    )
    return master


def _limits(seconds: float) -> dict[str, Any]:
    # Nothing is tried again in here: RedisLive knows what may be, and for how long.
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }


def _tls(settings: LiveSettings) -> dict[str, Any]:
    return {"ssl_ca_certs": settings.ca_file} if settings.ca_file else {}


def _credentials(settings: LiveSettings, user: str) -> dict[str, Any]:
    password = read_password(settings.password_file)
    return {"username": user or None, "password": password} if password else {}


def read_password(file: str) -> str:
    """The first line of the file; empty when none is named. Raises SettingError."""
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"The password file {file} cannot be read: {error}.") from error


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[::1]:port`. Raises ValueError."""
    parsed = urlsplit(f"//{text.strip()}")
    if not parsed.hostname:
        raise ValueError("no host")
    return parsed.hostname, parsed.port or port
