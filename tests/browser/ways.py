"""The same site in other ways: its desktops as jobs of a Slurm cluster, and two portals behind nginx."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.browser.site import Site
from tests.support.databases import MariaDBServer
from tests.support.portal import PortalProcess
from tests.support.proxy import Proxy
from tests.support.redis import redis_server


class SiteOfTwo(Site):
    """Two portals behind nginx on one database and one Redis; this one, and the `other`."""

    def __init__(self, proxy: Proxy, **settings: str) -> None:
        self._proxy = proxy
        super().__init__(HTTP_PUBLIC_URL=proxy.url, **settings)
        self.other = PortalProcess(
            **settings,
            HTTP_PUBLIC_URL=proxy.url,
            VNC_FOLDER=str(self.sessions),
            VNC_FIRST_DISPLAY=str(self.first_display),
            VNC_LAST_DISPLAY=str(self.last_display),
        )

    @property
    def public_url(self) -> str:
        """Where browsers find it."""
        return self._proxy.url

    @property
    def first_link(self) -> str:
        return self.other.first_link  # it started later: its link replaced ours

    @property
    def portals(self) -> tuple[PortalProcess, PortalProcess]:
        return self, self.other

    def start(self, *, wait: bool = True) -> None:
        super().start(wait=wait)
        if self.other.process is None:
            self.other.start(wait=wait)
            self._proxy.start(self.portals)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.other.close()


def settings_of(cluster: Any) -> dict[str, str]:
    """Of portals whose desktops are jobs of this cluster."""
    return {
        "VNC_LAUNCHER": "slurm",
        "SLURM_CONF": str(cluster.conf),
        "SLURM_AGENT_FOLDER": str(cluster.folder / "agent"),
        "SLURM_FOLDER": str(cluster.folder / "nodes"),
    }


@contextlib.contextmanager
def site_of_two(**settings: str) -> Iterator[SiteOfTwo]:
    with MariaDBServer() as database, redis_server() as redis, Proxy() as proxy:
        shared = {
            key.removeprefix("MADANG_"): value for key, value in database.environment(database.new_database()).items()
        }
        shared |= {"LIVE_URL": redis.url, "SLURM_PORTAL_CA": str(proxy.certificate)}
        with SiteOfTwo(proxy, **shared, **settings) as site:
            yield site
