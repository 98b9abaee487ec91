"""Real desktops on this machine: as root each runs as a Unix account made for the tests, else as who runs them."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemons.agent.desk import Desk, Site
from tests.daemons.agent.node import NodeDesk, start_on_node
from tests.daemons.agent.portal import Portal
from tests.support.accounts import AS_ROOT, make_account, remove_account


@pytest.fixture(scope="session")
def account_name() -> Iterator[str | None]:
    """The account desktops run as; None: the user who runs the tests."""
    if not AS_ROOT:
        yield None
        return
    name = f"mdg{os.getpid()}t"
    yield make_account(name)
    remove_account(name)


@pytest.fixture(scope="session")
def stranger() -> Iterator[pwd.struct_passwd]:
    """Another user of the machine."""
    if not AS_ROOT:
        pytest.skip("only root can act as another user")
    name = f"mdg{os.getpid()}o"
    yield pwd.getpwnam(make_account(name))
    remove_account(name)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Like tmp_path, but short enough for sockets, and open for all to pass through."""
    folder = Path(tempfile.mkdtemp(prefix="mdg-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def portal() -> AsyncIterator[Portal]:
    portal = Portal()
    await portal.start()
    yield portal
    await portal.stop()


@pytest.fixture
async def open_site(
    short_folder: Path, portal: Portal, account_name: str | None
) -> AsyncIterator[Callable[..., Awaitable[Site]]]:
    """Makes a site; takes the launcher's options."""
    sites = []

    async def open_it(**options: Any) -> Site:
        site = Site(short_folder, portal, account_name, **options)
        sites.append(site)
        await site.launcher.prepare()
        return site

    yield open_it
    for site in sites:
        await site.close()


@pytest.fixture
async def site(open_site: Callable[..., Awaitable[Site]]) -> Site:
    return await open_site()


@pytest.fixture
def start(site: Site) -> Callable[..., Awaitable[Desk]]:
    """Starts a session; returns once its agent runs."""
    return site.start


@pytest.fixture
async def desk(site: Site) -> Desk:
    """A desktop that is ready."""
    desk = await site.start()
    await desk.until("ready")
    return desk


@pytest.fixture
async def node_desk(site: Site) -> NodeDesk:
    """A desktop on another host (its door is TLS) that is ready."""
    desk = start_on_node(site)
    await desk.until("ready")
    return desk
