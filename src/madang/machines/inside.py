"""A machine's disk and screen: what is asked of its host each time and kept nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence

import msgspec

from madang.identity.model import Visitor
from madang.kernel.errors import Conflict, InvalidInput
from madang.machines.fleet import pool_of
from madang.machines.hosts.shapes import DiskInfo
from madang.machines.model import Machine
from madang.machines.service import Machines
from madang.machines.settings import GIB
from madang.machines.store import Quota

PICTURES_KEPT = 500
# What people call the keys that a browser cannot send, by Linux' names of them.
KEYS = {
    "ctrl": "KEY_LEFTCTRL",
    "alt": "KEY_LEFTALT",
    "shift": "KEY_LEFTSHIFT",
    "meta": "KEY_LEFTMETA",
    "delete": "KEY_DELETE",
    "backspace": "KEY_BACKSPACE",
    "tab": "KEY_TAB",
    "esc": "KEY_ESC",
    "enter": "KEY_ENTER",
    "space": "KEY_SPACE",
    "sysrq": "KEY_SYSRQ",
    "up": "KEY_UP",
    "down": "KEY_DOWN",
    "left": "KEY_LEFT",
    "right": "KEY_RIGHT",
    **{f"f{number}": f"KEY_F{number}" for number in range(1, 13)},
    **{letter: f"KEY_{letter.upper()}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"},
}


class Picture(msgspec.Struct, frozen=True):
    """What a screen showed a moment ago; `tag` changes with it."""

    body: bytes
    tag: str


class Inside:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._pictures: dict[str, tuple[float, Picture]] = {}
        self._taking: dict[str, asyncio.Task[Picture]] = {}

    # Disk.

    async def disk(self, visitor: Visitor, machine_id: str) -> tuple[Machine, DiskInfo, int | None]:
        """Its disk as it is now, and what is free in its pool. Raises NotFound (disk_missing), Unavailable."""
        machine = await self._machines.seen_by(visitor, machine_id)
        host = self._machines.fleet.host_of(machine)
        disk = await host.disk(machine.disk_path, machine.id)
        pool = await pool_of(host)
        return machine, disk, pool.free_bytes if pool else None

    async def resize(self, visitor: Visitor, machine_id: str, size_gb: int) -> tuple[Machine, bool]:
        """Raises InvalidInput (shrink_refused, too_large, pool_too_small), LimitReached, NoSpace (pool_full)."""
        machine = await self._machines.managed(visitor, machine_id)
        size, most = size_gb * GIB, self._machines.settings.disk_bytes_most
        if size > most:
            raise InvalidInput(
                f"A disk has at most {most} bytes.", code="too_large", title="The disk would be too large",
                fields=[{"field": "size_gb", "message": f"must be at most {most // GIB}"}],
            )  # fmt: skip
        if size <= machine.disk_bytes:
            raise InvalidInput(
                f"The disk has {machine.disk_bytes} bytes; a smaller one would lose what is on it.",
                code="shrink_refused",
                title="A disk only grows",
                hint="Choose a larger size.",
                fields=[{"field": "size_gb", "message": f"must be more than {machine.disk_bytes / GIB:g}"}],
            )
        if (pool := await pool_of(self._machines.fleet.host_of(machine))) is not None:
            self._machines.fleet.refuse_beyond(pool, size)
        await self._machines.refuse_more(machine.person_id, Quota(disk_bytes=size - machine.disk_bytes))
        return await self._machines.act(visitor, machine, "resize", {"size": size})

    async def grow_inside(self, visitor: Visitor, machine_id: str) -> tuple[Machine, bool]:
        """Have the guest take the room that its disk got. Raises Conflict (agent_missing, cannot_grow)."""
        machine = await self._machines.managed(visitor, machine_id)
        return await self._machines.act(visitor, machine, "grow_inside")

    # Screen: for its owner, and with whom that shares it.

    async def press(self, visitor: Visitor, machine_id: str, keys: Sequence[str]) -> None:
        """Press these keys together. Raises InvalidInput (unknown_key), Conflict (machine_not_running)."""
        machine = await self._machines.used_by(visitor, machine_id)
        if unknown := [key for key in keys if key not in KEYS]:
            raise InvalidInput(
                f"There is no key {unknown[0]!r}.", code="unknown_key", hint=f"Keys: {', '.join(KEYS)}.",
                fields=[{"field": "keys", "message": "holds an unknown one"}],
            )  # fmt: skip
        await self._machines.fleet.host_of(machine).send_keys(machine.id, [KEYS[key] for key in keys])

    async def screenshot(self, visitor: Visitor, machine_id: str) -> Picture:
        """What its screen shows, not older than a few seconds, as PNG. Raises Conflict (machine_not_running)."""
        machine = await self._machines.used_by(visitor, machine_id, looks=True)
        if machine.run is None:
            self._pictures.pop(machine.id, None)
            raise Conflict("It does not run.", code="machine_not_running", hint="Start it first.")
        taken, kept = self._pictures.get(machine.id, (0.0, None))
        if kept is not None and time.monotonic() - taken < self._machines.settings.screenshot_seconds:
            return kept
        # Several pages that ask at once wait for one picture.
        if machine.id not in self._taking:
            self._taking[machine.id] = asyncio.create_task(self._take(machine))
        return await asyncio.shield(self._taking[machine.id])

    async def _take(self, machine: Machine) -> Picture:
        try:
            body = await self._machines.fleet.host_of(machine).screenshot(machine.id)
            picture = Picture(body, hashlib.sha256(body).hexdigest()[:32])
            if len(self._pictures) >= PICTURES_KEPT:
                self._pictures.clear()
            self._pictures[machine.id] = (time.monotonic(), picture)
            return picture
        finally:
            del self._taking[machine.id]
