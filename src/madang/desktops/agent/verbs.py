"""What guests of the door may ask: each verb has a room of its own, and this says which."""

from __future__ import annotations

import asyncio
from pathlib import Path

from madang.compute.order import AgentOrder
from madang.desktops.agent import certificate, log
from madang.desktops.agent.account import Account
from madang.desktops.agent.carry import Desktop
from madang.desktops.agent.certificate import Certificate
from madang.desktops.agent.clock import Clock
from madang.desktops.agent.files import Files
from madang.desktops.agent.guest import Guest, Refusal, Verb
from madang.desktops.agent.native import Native
from madang.desktops.agent.picture import Camera
from madang.desktops.agent.repair import Repair

_LOG_BYTES = 256 * 1024


class Verbs:
    """`display` is set once there is one."""

    def __init__(self, order: AgentOrder, account: Account, clock: Clock, output: int) -> None:
        """output: where the session's programs print."""
        self.display: int | None = None
        self._order = order
        self._certificate: asyncio.Task[Certificate] | None = None
        self.desktop = desktop = Desktop(Path(order.folder))
        self._files = Files(account.home, order.largest_upload_bytes, order.minimum_free_bytes)
        self._native = Native(order.native_ports, desktop, clock, self.certificate)
        self.all: dict[str, Verb] = {
            "desktop": desktop,
            "picture": Camera(lambda: self.display),
            "files.list": self._files.list,
            "files.get": self._files.get,
            "files.put": self._files.put,
            "log": _log,
            "repair": Repair(order, account, lambda: self.display, output),
            "native": self._native,
        }

    async def certificate(self) -> Certificate:
        """The agent's own, made when it is first needed. Raises AsideFailed."""
        if self._certificate is None:
            self._certificate = asyncio.create_task(self._make_certificate())
        return await asyncio.shield(self._certificate)

    async def _make_certificate(self) -> Certificate:
        portal = self._order.portal.partition("://")[2].rpartition(":")[0]
        return await certificate.make(await asyncio.to_thread(certificate.own_hosts, portal))

    def shut(self) -> None:
        """Cuts off who came in without the portal."""
        self._native.close()

    def close(self) -> None:
        """Ends what was opened."""
        self.shut()
        self._files.close()


async def _log(guest: Guest) -> None:
    """The verb `log`: its end, where no launcher has it."""
    if not log.is_ours():
        raise Refusal("log_elsewhere", "The portal keeps this log itself.")
    data = log.tail(_LOG_BYTES)
    await guest.say(size=len(data))
    await guest.wire.send_all(data)
