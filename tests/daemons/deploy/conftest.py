"""Two portals on one state behind a real nginx with TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from tests.daemons.portal.conftest import Accounts, accounts, add_people
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.proxy import Proxy

__all__ = ["accounts"]


class Site(NamedTuple):
    proxy: Proxy
    portals: tuple[PortalProcess, PortalProcess]

    @property
    def one(self) -> PortalProcess:
        return self.portals[0]

    def kim(self) -> Client:
        """By API token, through nginx."""
        return self.proxy.by_token(self.one, "kim")

    def browser(self, address: str = "") -> Client:
        """Somebody who is not signed in yet, with the site's page open; from this address of their own."""
        more = {"transport": httpx.HTTPTransport(verify=self.proxy.trust, local_address=address)} if address else {}
        return self.proxy.client({"origin": self.proxy.url}, **more)


@pytest.fixture(scope="module")
def site(accounts: Accounts) -> Iterator[Site]:
    with Proxy() as proxy:
        # A portal that is busy starting a desktop on a busy machine is not away.
        wishes = {"HTTP_PUBLIC_URL": proxy.url, "VNC_START_SECONDS": "25.0", "VNC_SESSIONS_PER_PERSON": "20"}
        with (
            PortalProcess("up", "--shared", **wishes) as first,
            PortalProcess("up", "--shared", folder=first.folder, **wishes) as second,
        ):
            add_people(first, accounts)
            proxy.start([first, second])
            yield Site(proxy, (first, second))


@pytest.fixture
def whole(site: Site) -> Site:
    """The site with both portals running, also after a test that killed one and failed."""
    for portal in site.portals:
        if portal.process is None or portal.process.poll() is not None:
            portal.start()
    return site
