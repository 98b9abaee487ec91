"""What every request meets first: WebSockets go to their handlers, API requests to Litestar, the rest is the page.

Security headers are on every answer, and every answer is counted. The page is no mount of Litestar's: mounts are looked
at before routes that have a parameter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Litestar

from madang.kernel import metrics
from madang.kernel.errors import MadangError, NotFound
from madang.kernel.ground import SocketHandler
from madang.kernel.page import Page
from madang.kernel.sockets import WebSocket

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "object-src 'none'; form-action 'self'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"clipboard-read=(self), clipboard-write=(self), camera=(), microphone=(), geolocation=()"),
]
# What stands in a list under this name in the ASGI scope is added to the headers of the answer (a rotated cookie).
ANSWER_HEADERS = "madang_answer_headers"

OF_LITESTAR = ("/api/", "/health", "/ready", "/metrics")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The outermost ASGI application of a process."""

    def __init__(
        self, litestar: Litestar, sockets: Mapping[str, SocketHandler], *, leaving: Callable[[], bool]
    ) -> None:
        """`sockets`: by the beginning of their path; what follows it is handed to the handler."""
        self.litestar = litestar
        self._leaving = leaving
        self._sockets = sorted(sockets.items(), key=lambda item: len(item[0]), reverse=True)
        self._page = Page()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(WebSocket(scope, receive, send), scope["path"])
        elif scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        else:
            await self.litestar(scope, receive, send)

    async def _serve_socket(self, web_socket: WebSocket, path: str) -> None:
        for beginning, handler in self._sockets:
            if path.startswith(beginning):
                await handler(web_socket, path.removeprefix(beginning))
                return
        await web_socket.refuse(NotFound("No WebSocket is served here."))

    async def _serve_http(self, scope: Any, receive: Any, send: Any) -> None:
        begin = time.perf_counter()
        status = 500

        async def send_guarded(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *scope.get(ANSWER_HEADERS, ()), *SECURITY_HEADERS]
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
                if self._leaving():
                    # A proxy that keeps connections must not send its next request on one that is about to be cut.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._answer(scope, receive, send_guarded)
        finally:
            route = scope.get("path_template") or "other"
            # A label comes from a fixed set, whatever a client says.
            method = scope["method"] if scope["method"] in METHODS else "other"
            metrics.requests.labels(method, route, str(status)).inc()
            metrics.request_seconds.labels(route).observe(time.perf_counter() - begin)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if any(path.startswith(beginning) for beginning, _ in self._sockets):
            error = MadangError("Open it as a WebSocket.", title="This address speaks WebSocket", code="http_426")
            await _refuse(send, path, error, 426)
        elif path.startswith(OF_LITESTAR) and path != "/api/docs":
            await self.litestar(scope, receive, send)
        else:
            scope["path_template"] = "page"
            await self._send_page(path, scope["method"], send)

    async def _send_page(self, path: str, method: str, send: Any) -> None:
        if method not in ("GET", "HEAD"):
            await _refuse(send, path, MadangError(title="This cannot be done here", code="http_405"), 405)
            return
        status, body, kind, cache = await self._page.answer(path.rstrip("/") or "/")
        await _send(send, status, {"content-type": kind, "cache-control": cache}, body, with_body=method != "HEAD")


async def _refuse(send: Any, path: str, error: MadangError, status: int) -> None:
    body = msgspec.json.encode(error.problem(path) | {"status": status})
    await _send(send, status, {"content-type": "application/problem+json"}, body)


async def _send(send: Any, status: int, headers: dict[str, str], body: bytes, *, with_body: bool = True) -> None:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body if with_body else b""})
