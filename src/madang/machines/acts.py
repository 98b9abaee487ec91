"""How the rest is done to a machine: power, boot order, media, disk. Each may be begun again at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from madang.kernel import clock
from madang.kernel.errors import Conflict
from madang.machines.hosts.shapes import BootOrder, Hardware, Seen
from madang.machines.making import Making, started
from madang.machines.model import Installation, Machine, State
from madang.machines.rules import followed, media_of
from madang.machines.snapshots import take_snapshot
from madang.machines.work import Changes, Outcome, Room, Work

POLL_SECONDS = 0.25
ORDER, MEDIA = frozenset({"boot_order"}), frozenset({"media"})
HARDWARE = ("cpus", "memory_bytes", "network")


def rooms(making: Making, shut_down_seconds: float) -> dict[str, Room]:
    acts = Acts(making, shut_down_seconds)
    return {
        "shut_down": Room(acts.shut_down),
        "force_off": Room(acts.force_off),
        "reset": Room(acts.reset, repeatable=False),
        "pause": Room(acts.pause),
        "resume": Room(acts.resume),
        "restart": Room(acts.restart, can_cancel=True),
        "boot_order": Room(acts.boot_order, edits=True, alters=ORDER),
        "hardware": Room(acts.hardware, edits=True, alters=frozenset(HARDWARE)),
        "insert": Room(acts.insert, edits=True, alters=MEDIA),
        "eject": Room(acts.eject, edits=True, alters=MEDIA),
        "complete": Room(acts.complete, edits=True, alters=ORDER | MEDIA),
        "resize": Room(acts.resize, edits=True),
        "grow_inside": Room(acts.grow_inside),
    }


class Acts:
    def __init__(self, making: Making, shut_down_seconds: float) -> None:
        self._making = making
        self._shut_down_seconds = shut_down_seconds

    # Power.

    async def shut_down(self, work: Work) -> Outcome:
        """Asks the guest; that it is off is seen later."""
        if work.again and await _off(work):
            return Outcome(_seen)
        await work.host.shut_down(work.machine.id)
        return Outcome(lambda _now, _seen: {"asked_off_at": clock.now(), "state": State.STOPPING})

    async def force_off(self, work: Work) -> Outcome:
        if not (work.again and await _off(work)):
            await work.host.force_off(work.machine.id)
        return Outcome(_seen)

    async def reset(self, work: Work) -> Outcome:
        await work.host.reset(work.machine.id)
        return Outcome()

    async def pause(self, work: Work) -> Outcome:
        if not (work.again and (await work.host.look(work.machine.id)).state == "paused"):
            await work.host.pause(work.machine.id)
        return Outcome(_goes_on)

    async def resume(self, work: Work) -> Outcome:
        if not (work.again and (await work.host.look(work.machine.id)).state == "running"):
            await work.host.resume(work.machine.id)
        return Outcome(_goes_on)

    async def restart(self, work: Work) -> Outcome:
        """Ends the run, gently as long as the guest has time for it, and begins another one with what is kept."""
        seen = await work.host.look(work.machine.id)
        begun = work.operation.started_at or work.operation.created_at
        if work.again and not seen.off and seen.since is not None and seen.since > begun:
            # Whoever was at it before has come to its end.
            return Outcome(started(work.machine, followed(work.machine, seen, clock.now()).get("run")))
        if not seen.off:
            await self._end_run(work)
        work.progress(None, "starting")
        return await self._making.start(work)

    async def _end_run(self, work: Work) -> None:
        work.progress(None, "shutting_down")
        if (await work.host.look(work.machine.id)).state != "paused":
            await work.host.shut_down(work.machine.id)
            until = time.monotonic() + self._shut_down_seconds
            while time.monotonic() < until:
                if await _off(work):
                    return
                await asyncio.sleep(POLL_SECONDS)
        if not await _off(work):
            await work.host.force_off(work.machine.id)

    # What the next start takes.

    async def boot_order(self, work: Work) -> Outcome:
        order = cast(BootOrder, work.given["boot_order"])
        await work.host.set_boot_order(work.machine.id, order)
        return await self._kept(work, _ordered(order))

    async def hardware(self, work: Work) -> Outcome:
        wanted = msgspec.convert({name: work.given.get(name) for name in HARDWARE}, Hardware)
        made = await work.host.set_hardware(work.machine.id, wanted)
        # As libvirt has it: it counts memory in whole KiB.
        return await self._kept(work, lambda _machine, _seen: {name: getattr(made, name) for name in HARDWARE})

    async def _kept(self, work: Work, kept: Changes) -> Outcome:
        """It is changed for the next start; with `now` the machine is restarted when it runs."""
        if not work.given.get("now") or await _off(work):
            return Outcome(kept)
        work.machine = msgspec.structs.replace(work.machine, **kept(work.machine, None))
        again = await self.restart(work)
        return Outcome(lambda now, seen: {**kept(now, seen), **again.changes(now, seen)})

    # Media.

    async def insert(self, work: Work) -> Outcome:
        path, target = str(work.given["path"]), str(work.given["target"])
        await work.host.insert(work.machine.id, target, path, bool(work.given.get("force")))
        return Outcome(_with_media)

    async def eject(self, work: Work) -> Outcome:
        await self._eject(work)
        return Outcome(_with_media)

    async def _eject(self, work: Work) -> None:
        target = work.given.get("target")
        for medium in work.machine.media:
            if target in (None, medium.target) and (medium.path is not None or target is not None):
                await work.host.eject(work.machine.id, medium.target, bool(work.given.get("force")))

    async def complete(self, work: Work) -> Outcome:
        """Its system is installed; what else was asked for is done first, so that it is all or a failure."""
        order = cast(BootOrder | None, work.given.get("boot_order"))
        eject = bool(work.given.get("eject"))
        if eject:
            await self._eject(work)
        if order is not None:
            await work.host.set_boot_order(work.machine.id, order)
        if title := work.given.get("snapshot"):
            complete = msgspec.structs.replace(
                work.machine, installation=Installation.INSTALLED, installed_at=clock.now()
            )
            await take_snapshot(work, complete, f"s{work.operation.id}", str(title))

        def changes(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
            made: dict[str, Any] = {"installation": Installation.INSTALLED, "installed_at": clock.now(), "sign": None}
            made |= _with_media(machine, seen) if eject else {}
            return made | (_ordered(order)(machine, seen) if order is not None else {})

        return Outcome(changes)

    # Disk.

    async def resize(self, work: Work) -> Outcome:
        size = int(work.given["size"])
        disk = await work.host.resize(work.machine.id, work.machine.disk_path, size)

        def changes(machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
            empty = machine.installation is Installation.NOT_INSTALLED
            dismissed = tuple(code for code in machine.dismissed if code != "grow_inside")
            return {
                "disk_bytes": disk.virtual_bytes,
                "grew_at": machine.grew_at if empty else clock.now(),
                "dismissed": dismissed,
            }

        return Outcome(changes, {"size": disk.virtual_bytes})

    async def grow_inside(self, work: Work) -> Outcome:
        if await _off(work):
            raise Conflict("It does not run.", code="machine_not_running", hint="Start it first.")
        said = await work.host.grow_filesystem(work.machine.id)
        return Outcome(lambda _machine, _seen: {"grew_at": None}, {"said": said[:1000]})


async def _off(work: Work) -> bool:
    return (await work.host.look(work.machine.id)).off


def _seen(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
    return followed(machine, seen, clock.now()) if seen is not None else {}


def _goes_on(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
    """That it has ended meanwhile is left to the next look, which decides what follows from it."""
    return _seen(machine, seen) if seen is not None and not seen.off else {}


def _ordered(order: BootOrder) -> Any:
    """What a new order makes of the record: what was for one start alone is not wanted any more."""

    def changes(_machine: Machine, _seen: Seen | None) -> Mapping[str, Any]:
        return {"boot_order": order, "next_boot": None, "next_boot_why": None}

    return changes


def _with_media(machine: Machine, seen: Seen | None) -> Mapping[str, Any]:
    if seen is None:
        return {}
    changes: dict[str, Any] = {"media": media_of(seen, live=False)}
    if machine.run is not None and not seen.off:
        changes["run"] = msgspec.structs.replace(machine.run, media=media_of(seen, live=True))
    return changes
