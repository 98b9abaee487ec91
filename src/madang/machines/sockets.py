"""WebSockets of machines: console and serial port, for whose machine it is, and with whom that shares it.

Close codes as of the doors of desktops (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from madang.doors.counters import Counters
from madang.doors.open_doors import OpenDoor, OpenDoors
from madang.doors.pump import End, pump
from madang.doors.view_only import ViewOnly
from madang.identity.sign_on import SignOn
from madang.kernel.errors import MadangError, NotFound
from madang.kernel.sockets import NO_LONGER_ALLOWED, WebSocket
from madang.machines.hosts.host import Host
from madang.machines.model import Machine
from madang.machines.service import Machines

RUN_ENDED = 4001
MISBEHAVED = 1008
ENGINE_LOST = 1011
OFF_SECONDS = 5.0

Opener = Callable[[Host, str], Awaitable[socket.socket]]


class Doors:
    """Lets owners through to their machines."""

    def __init__(self, machines: Machines, sign_on: SignOn) -> None:
        self.open = OpenDoors()
        self._machines = machines
        self._sign_on = sign_on
        self._counters = Counters("machines")

    async def console(self, web_socket: WebSocket, machine_id: str) -> None:
        """Its screen, as RFB; those with whom it is shared to look at it do only that."""
        await self._serve(web_socket, machine_id, lambda host, machine: host.console_socket(machine), looks=True)

    async def serial(self, web_socket: WebSocket, machine_id: str) -> None:
        """Its first serial port, byte by byte."""
        await self._serve(web_socket, machine_id, lambda host, machine: host.serial_socket(machine), looks=False)

    async def _serve(self, web_socket: WebSocket, machine_id: str, opener: Opener, *, looks: bool) -> None:
        try:
            visitor = await self._sign_on.socket_visitor(web_socket.headers)
            machine = await self._machines.used_by(visitor, machine_id, looks=looks)
            engine = await opener(self._machines.fleet.host_of(machine), machine.id)
        except MadangError as error:
            self._counters.refused(error.code)
            await web_socket.refuse(error)
            return
        share = machine.share_of(visitor.person.id)

        async def still() -> bool:
            if not await self._sign_on.still(visitor):
                return False
            now = await self._machines.store.get(machine.id)
            return now is not None and now.share_of(visitor.person.id) == share

        door = OpenDoor(
            web_socket,
            machine.id,
            visitor.person.id,
            visitor.sign_in,
            still,
            name=visitor.person.display_name,
            mode="view" if share is not None and share.mode == "view" else "control",
            via="owner" if share is None else "link",
        )
        code, reason = ENGINE_LOST, "the machine does not answer"
        try:
            code, reason = await self._let_through(door, machine, engine)
        except asyncio.CancelledError:
            if door.closing is None:
                raise
            code, reason = door.closing
        finally:
            engine.close()
        await web_socket.close(code, reason)

    async def _let_through(self, door: OpenDoor, machine: Machine, engine: socket.socket) -> tuple[int, str]:
        """Carry bytes until it ends; gives why, as code and reason."""
        offered = door.web_socket.scope.get("subprotocols", ())
        await door.web_socket.accept("binary" if "binary" in offered else None)
        with self.open.register(door), self._counters.connections.track_inprogress():
            self._counters.opened.inc()
            if not await door.still():  # shut out while the door opened
                return NO_LONGER_ALLOWED, "you are not let in any more"
            allowed = None if door.mode == "control" else ViewOnly()
            match await pump(door.web_socket, engine, self._counters, allowed):
                case End.ENGINE:
                    return await self._why(machine)
                case End.FILTER:
                    return MISBEHAVED, "only looking is allowed"
        return ENGINE_LOST, "the machine does not answer"

    async def _why(self, machine: Machine) -> tuple[int, str]:
        """Why the engine closed: mostly the run is over, or QEMU is on its way out. libvirt waits for that: a second or
        two where nobody takes ended processes away at once."""
        until = asyncio.get_running_loop().time() + OFF_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                if (await self._machines.fleet.host_of(machine).look(machine.id)).off:
                    return RUN_ENDED, "the machine is off"
            except NotFound:
                return RUN_ENDED, "the machine is gone"
            except MadangError:
                break  # it cannot be told now: whoever comes back hears it
            await asyncio.sleep(0.1)
        return ENGINE_LOST, "the machine does not answer"

    async def check(self) -> str:
        """Whoever would not be let in any more does not stay."""
        await self.open.check(NO_LONGER_ALLOWED, "you are not let in any more")
        return ""
