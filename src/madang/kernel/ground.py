"""What every slice is handed when it is assembled: settings, database, live state, events, the site's secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from madang.kernel.claims import Claim
from madang.kernel.database import Database, DatabaseSettings
from madang.kernel.errors import SiteError
from madang.kernel.events import Events
from madang.kernel.leases import Leases
from madang.kernel.live import Live, LiveSettings, make_live
from madang.kernel.loops import Loop
from madang.kernel.settings import Settings
from madang.kernel.site_secret import shared_secret, site_secret
from madang.kernel.sockets import WebSocket


class Ground:
    """The things a process has one of."""

    def __init__(self, settings: Settings, *, shared: bool = False) -> None:
        """`shared`: other processes of this host serve people on the same state folder."""
        self.settings = settings
        self.state_folder = prepare_state_folder(settings.state_folder)
        self.secret = site_secret(self.state_folder / "secret.key")
        self.database = Database(self.state_folder / "madang.sqlite3", settings[DatabaseSettings])
        self.live: Live = make_live(settings[LiveSettings], self.state_folder / "live.sqlite3", shared=shared)
        self.events = Events(self.live, settings[LiveSettings])
        self.leases = Leases(self.live, settings[LiveSettings].lease_seconds)
        self.services: Sequence[str] = ()  # names of those that this site runs; portal.py says them
        self.leaving = False  # told to stop, and still serving until proxies have noticed

    async def start(self) -> None:
        if self.settings[DatabaseSettings].url:
            self.secret = await shared_secret(self.database, self.secret)
        await self.live.start()

    async def stop(self) -> None:
        await self.leases.stop()
        await self.events.stop()
        await self.live.stop()
        await self.database.close()


@dataclass(frozen=True)
class Missing:
    """Something an engine needs that is not on this machine, and the one command that brings it."""

    what: str
    command: str


async def _nothing() -> None:
    """The default of `start` and `stop`."""


async def _always_ready() -> Sequence[str]:
    return ()


SocketHandler = Callable[[WebSocket, str], Awaitable[None]]


@dataclass
class Parts:
    """What a slice brings to a process."""

    routes: Sequence[Any] = ()
    # By the beginning of the path; the handler gets the WebSocket, not accepted yet, and what follows.
    sockets: Mapping[str, SocketHandler] = field(default_factory=dict)
    loops: Sequence[Loop] = ()
    start: Callable[[], Awaitable[None]] = _nothing
    stop: Callable[[], Awaitable[None]] = _nothing
    reasons_not_ready: Callable[[], Awaitable[Sequence[str]]] = _always_ready


@dataclass(frozen=True)
class Service:
    """A part of Madang that runs alone (`madang serve NAME`) or with the others (`madang up`)."""

    name: str
    summary: str
    assemble: Callable[[Ground], Parts]
    settings: dict[str, type[Any]] = field(default_factory=dict)
    claims: Callable[[Settings], Sequence[Claim]] = lambda _settings: ()
    missing: Callable[[Settings], Sequence[Missing]] = lambda _settings: ()


def prepare_state_folder(folder: Path) -> Path:
    """Make the folder, for its owner only. Raises SiteError when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise SiteError(
            f"The state folder {folder} cannot be used: {error.strerror}.",
            hint="Set site.state_folder (or MADANG_SITE_STATE_FOLDER) to a folder that this user can write.",
        ) from error
    return folder
