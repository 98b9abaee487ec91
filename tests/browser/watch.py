"""Watches a browser: errors in the console, and requests that leave the portal."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

# Chromium writes a line for every refused request: "who am I" is refused until somebody has signed in, and the door of
# a desktop until it is open. A picture of a machine may be asked for in the moment in which it goes off.
REFUSED_SIGN_IN = r"the server responded with a status of 4(01|29) .*/api/identity/(sign-in|links/redeem)"
PORTAL_AWAY = (r"WebSocket connection to .* failed", r"net::ERR_")
USUAL = (
    r"the server responded with a status of 401 .*/api/identity/me",
    r"/vncproxy/\w+' failed: Error during WebSocket handshake: Unexpected response code: (409|503)",
    r"the server responded with a status of (409|503) .*/api/vms/[^/]+/screenshot",
    r"/machines/(console|serial)/\S+' failed: Error during WebSocket handshake: Unexpected response code: (409|503)",
    r"Got data while in an invalid state",  # noVNC, of what was on its way when it was closed
    r"Canvas2D: Multiple readback operations",  # by the tests
)


class Watch:
    """All pages of one context."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.host = urlsplit(origin).netloc
        self.problems: list[str] = []
        self.strangers: list[str] = []
        self.script_bytes: dict[str, int] = {}
        self._allowed = [re.compile(pattern, re.DOTALL) for pattern in USUAL]
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("page", self._page)

    def allow(self, *patterns: str) -> None:
        """Console errors that belong to what a test does."""
        self._allowed += [re.compile(pattern, re.DOTALL) for pattern in patterns]

    def check(self) -> None:
        assert not self.strangers, f"requests to other hosts: {self.strangers}"
        left = [text for text in self.problems if not any(pattern.search(text) for pattern in self._allowed)]
        assert not left, "the console tells of errors:\n" + "\n".join(left)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} at {message.location.get('url', '')}")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"exception: {error.error.message}\n{error.error.stack}")

    def _request(self, request: Request) -> None:
        self._judge(request.url)

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self._judge(socket.url)

    def _judge(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.strangers.append(url)


def watch_of(context: BrowserContext) -> Watch:
    """The watch that `open_browser` set on a context."""
    return context.watch  # type: ignore[attr-defined, no-any-return]
