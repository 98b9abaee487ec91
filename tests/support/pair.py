"""Two portals on one MariaDB and one Redis, each with a state folder of its own: one site."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tests.support.databases import MariaDBServer
from tests.support.portal import PortalProcess
from tests.support.redis import RedisServer, redis_server


class Pair:
    """The portals `a` and `b`, and what they share."""

    def __init__(self, database: MariaDBServer, redis: RedisServer, settings: Mapping[str, str]) -> None:
        self.database = database
        self.redis = redis
        name = database.new_database()
        common = {key.removeprefix("MADANG_"): value for key, value in database.environment(name).items()}
        common |= {"LIVE_URL": redis.url} | dict(settings)
        self.a = PortalProcess(**common)
        # Desktops of the local launcher belong to the host: both know where they are, and their displays.
        same = {
            "VNC_FOLDER": str(self.a.sessions),
            "VNC_FIRST_DISPLAY": str(self.a.first_display),
            "VNC_LAST_DISPLAY": str(self.a.last_display),
        }
        self.b = PortalProcess(**common, **same)

    @property
    def portals(self) -> tuple[PortalProcess, PortalProcess]:
        return self.a, self.b

    def start(self) -> None:
        """Those that do not run."""
        for portal in self.portals:
            if portal.process is None or portal.process.poll() is not None:
                portal.start()

    def close(self) -> None:
        for portal in self.portals:
            portal.close()


@contextlib.contextmanager
def pair_of_portals(**settings: str) -> Iterator[Pair]:
    with MariaDBServer() as database, redis_server() as redis:
        pair = Pair(database, redis, settings)
        try:
            pair.start()
            yield pair
        finally:
            pair.close()
