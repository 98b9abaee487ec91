"""A portal of identity alone, on uvicorn and a free port of the loopback, and browsers that use it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from madang.identity.definition import identity
from madang.identity.model import Actor, Role
from madang.identity.people import first_administrator
from madang.identity.service import People
from madang.kernel.database import DatabaseSettings
from madang.kernel.ground import Ground
from madang.kernel.http import build_app
from madang.kernel.live import LiveSettings
from madang.kernel.settings import HttpSettings, SiteSettings, load
from madang.migrations import upgrade

SECTIONS: dict[str, Any] = {
    "site": SiteSettings,
    "http": HttpSettings,
    "database": DatabaseSettings,
    "live": LiveSettings,
    **identity.settings,
}
CHEAP = {
    "MADANG_IDENTITY_HASH_MEMORY_KIB": "8",
    "MADANG_IDENTITY_HASH_ROUNDS": "1",
    "MADANG_IDENTITY_CREATE_ACCOUNTS": "false",
}
PASSWORD = "paper lantern river"
OPERATOR = Actor(None, "test")


@dataclass
class Browser:
    """Keeps cookies and sends the CSRF token, as the page does."""

    http: httpx.AsyncClient
    csrf: str = ""
    me: dict[str, Any] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"origin": str(self.http.base_url).rstrip("/"), "x-csrf-token": self.csrf} | more.pop("headers", {})
        return await self.http.request(method, f"/api/identity{path}", json=body, headers=headers, **more)

    async def enter(self, path: str, **body: str) -> httpx.Response:
        answer = await self.ask("POST", path, body)
        if answer.status_code == 200:
            self.me = answer.json()
            self.csrf = self.me["csrf_token"]
        return answer

    async def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return await self.enter("/sign-in", name=name, password=password)


@dataclass
class Portal:
    ground: Ground
    url: str
    port: int

    @contextlib.asynccontextmanager
    async def browser(self, name: str | None = None) -> AsyncIterator[Browser]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            browser = Browser(http)
            if name is not None:
                assert (await browser.sign_in(name)).status_code == 200
            yield browser

    async def person(self, name: str, *roles: Role) -> str:
        """Somebody with PASSWORD; the id."""
        person, link = await People(self.ground).add(OPERATOR, name, roles=roles or ("monitor",))
        await self._set_password(link)
        return person.id

    async def administrator(self) -> None:
        link = await first_administrator(self.ground)
        assert link
        await self._set_password(link)

    async def _set_password(self, link: str) -> None:
        async with self.browser() as browser:
            assert (await browser.enter("/links/redeem", token=link.partition("#")[2])).status_code == 200
            body = {"current_password": None, "new_password": PASSWORD}
            assert (await browser.ask("PUT", "/password", body)).status_code == 204


@contextlib.asynccontextmanager
async def running_portal(folder: Path, given: dict[str, str] | None = None) -> AsyncIterator[Portal]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    environ = {"MADANG_SITE_STATE_FOLDER": str(folder), "XDG_CONFIG_HOME": str(folder), "MADANG_HTTP_PORT": str(port)}
    ground = Ground(load(SECTIONS, environ | CHEAP | (given or {})))
    await upgrade(ground.database)
    app = build_app(ground, [identity.assemble(ground)])
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    try:
        yield Portal(ground, f"http://127.0.0.1:{port}", port)
    finally:
        server.should_exit = True
        await serving
