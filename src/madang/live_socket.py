"""`/api/live`: one WebSocket a page, on which it hears what changed among the things its person may see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from madang import __version__
from madang.identity.model import Visitor
from madang.identity.settings import IdentitySettings
from madang.identity.sign_on import SignOn
from madang.kernel import metrics
from madang.kernel.errors import MadangError
from madang.kernel.events import Event, Listener
from madang.kernel.ground import Ground, SocketHandler
from madang.kernel.sockets import NO_LONGER_ALLOWED, Closed, WebSocket

SIGNED_OUT = frozenset({"person.signed_out", "person.disabled"})
TRY_AGAIN = 1013


def live_socket(ground: Ground) -> SocketHandler:
    """The handler of `/api/live`."""
    sign_on = SignOn(ground)
    seconds = ground.settings[IdentitySettings].recheck_seconds

    async def live(web_socket: WebSocket, _rest: str) -> None:
        try:
            visitor = await sign_on.socket_visitor(web_socket.headers)
        except MadangError as error:
            await web_socket.refuse(error)
            return
        everybody = b"all=true" in web_socket.scope["query_string"] and visitor.may("desktops.see_all")
        await web_socket.accept()
        whose = None if everybody else visitor.person.id
        async with ground.events.listen(lambda event: _sees(event, visitor, everybody), whose) as listener:
            with metrics.live_connections.track_inprogress():
                await _serve(web_socket, listener, visitor, lambda: _ended(sign_on, visitor, seconds))

    return live


def _sees(event: Event, visitor: Visitor, everybody: bool) -> bool:
    """A page hears what concerns its person or everybody; operators hear of all when they ask to."""
    return event.person in (None, visitor.person.id) or (everybody and event.name not in SIGNED_OUT)


async def _serve(
    web_socket: WebSocket, listener: Listener, visitor: Visitor, ended: Callable[[], Awaitable[None]]
) -> None:
    """Tell the page what happens until it is gone, too slow, or its person is no longer signed in."""
    hearing = asyncio.create_task(_hear(web_socket))
    telling = asyncio.create_task(_tell(web_socket, listener, visitor))
    checking = asyncio.ensure_future(ended())
    tasks = (hearing, telling, checking)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if checking in done and checking.exception() is None:
            await _say_signed_out(web_socket)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hear(web_socket: WebSocket) -> None:
    """A page says nothing; this notices when it is gone."""
    with contextlib.suppress(Closed):
        while True:
            await web_socket.receive()


async def _ended(sign_on: SignOn, visitor: Visitor, seconds: float) -> None:
    """Returns once the visitor would not be let in any more: a sign-in ran out, a token was revoked."""
    while True:
        with contextlib.suppress(MadangError):  # cannot be told now
            if not await sign_on.still(visitor):
                return
        await asyncio.sleep(seconds)


async def _say_signed_out(web_socket: WebSocket) -> None:
    with contextlib.suppress(Closed):
        await web_socket.send_text('{"type":"signed_out"}')
    await web_socket.close(NO_LONGER_ALLOWED, "you are signed out")


async def _tell(web_socket: WebSocket, listener: Listener, visitor: Visitor) -> None:
    await web_socket.send_text(msgspec.json.encode({"type": "hello", "version": __version__}).decode())
    while (event := await listener.next()) is not None:
        if event.name in SIGNED_OUT:
            said = msgspec.json.decode(event.data)
            if said.get("sign_in") in (None, visitor.sign_in):
                await _say_signed_out(web_socket)
                return
            continue
        # The event's data is a JSON object already: the name goes in front.
        rest = bytes(event.data)[1:].decode()
        comma = "" if rest == "}" else ","
        await web_socket.send_text(f'{{"type":{msgspec.json.encode(event.name).decode()}{comma}{rest}')
    await web_socket.close(TRY_AGAIN, "too slow: read everything anew")
