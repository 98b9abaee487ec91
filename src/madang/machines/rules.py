"""The rules that move a machine. Pure: what is stored and what is seen in, what is to be done out.

**Nobody lands in the installer twice.** A run that begins from a medium, other than by an order that is the CD alone
on a system that is installed, ends at the guest's own restart (`ends_at_restart`). Then the machine starts again, and
that one start takes the disk first; the kept order stays, and a suggestion offers to change it. Where the guest turned
itself off instead, the same holds for the start that somebody asks for.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Literal

import msgspec

from madang.kernel.errors import Conflict, Failure
from madang.machines.hosts.shapes import BootOrder, OnReboot, Seen
from madang.machines.model import CD_FIRST, DISK_FIRST, Installation, Machine, Medium, Run, State

# Reasons of libvirt for a run that ended without anybody's wish.
LOST_REASONS = frozenset({"crashed", "failed"})
GONE = Failure(
    code="definition_gone",
    title="Its host does not know it any more",
    detail="Somebody removed its definition from libvirt. Its disk is still there.",
    hint="Start defines it anew, as it was.",
)


class Sight(msgspec.Struct, frozen=True):
    """What can be seen of a machine now. `seen` None: its host does not know it. `busy`: an operation is at work on it,
    so that what the next start takes may be half changed. `unsure`: what operations of ours may have changed that have
    failed because the host was lost."""

    connected: bool
    down_since: float | None = None
    seen: Seen | None = None
    busy: bool = False
    unsure: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()  # files of its media that are gone
    disk_used: int | None = None


class Step(StrEnum):
    NOTHING = "nothing"
    NOTE = "note"  # store `changes`
    RESTART = "restart"  # store `changes`, and start it again


class Decision(msgspec.Struct, frozen=True):
    step: Step
    why: str = ""
    changes: dict[str, Any] = {}


NOTHING = Decision(Step.NOTHING)


def decide(machine: Machine, sight: Sight, now: float, shut_down_seconds: float) -> Decision:
    """The next step. `shut_down_seconds`: a guest that was asked to shut down and has not is taken to stay."""
    if machine.state is State.CREATING:
        return NOTHING
    if not sight.connected:
        if machine.unknown_since is not None:
            return NOTHING
        return Decision(Step.NOTE, "host lost", {"unknown_since": sight.down_since or now})
    if sight.seen is None:
        return _gone(machine, sight)
    stays = machine.asked_off_at is not None and now - machine.asked_off_at > shut_down_seconds
    asked = msgspec.structs.replace(machine, asked_off_at=None) if stays else machine
    changes = followed(asked, sight.seen, now) | ({} if sight.busy else kept(machine, sight.seen, sight.unsure))
    if stays:
        changes["asked_off_at"] = None
    if machine.state is State.FAILED and machine.failure is not None and machine.failure.code == GONE.code:
        changes["failure"] = None
    if machine.unknown_since is not None:
        changes["unknown_since"] = None
    changes |= _around(machine, sight)
    ended = changes.get("run", machine.run) is None and _ended_itself(asked, sight.seen)
    again = ended and sight.seen.ended_by != "shutdown"
    if ended and sight.busy:
        changes = {name: value for name, value in changes.items() if name not in ("run", "state", "asked_off_at")}
    elif ended:
        changes |= _after_installer(machine, changes.get("installation", machine.installation), sight.seen)
    changes = {key: value for key, value in changes.items() if getattr(machine, key) != value}
    if again and not sight.busy:
        return Decision(Step.RESTART, "the guest restarted", changes)
    return Decision(Step.NOTE, "seen", changes) if changes else NOTHING


def _gone(machine: Machine, sight: Sight) -> Decision:
    if sight.busy or machine.state is State.FAILED:
        return NOTHING
    changes = {"state": State.FAILED, "failure": GONE, "run": None, "asked_off_at": None, "unknown_since": None}
    return Decision(Step.NOTE, "definition gone", changes)


def _around(machine: Machine, sight: Sight) -> dict[str, Any]:
    """What is noted beside libvirt's own word."""
    changes: dict[str, Any] = {"missing": sight.missing}
    if sight.disk_used is not None:
        changes["disk_used"] = sight.disk_used
    return changes


def followed(machine: Machine, seen: Seen, now: float) -> dict[str, Any]:
    """What the record takes from a run as it is seen: state, run, and what both say of an installation."""
    state = _state(machine, seen)
    changes: dict[str, Any] = {"state": state}
    if not seen.off:
        run = _run(machine, seen, now)
        return changes | {"run": run} | _from_medium(machine, run)
    changes |= {"run": None, "asked_off_at": None}
    if machine.run is not None:
        run = _over(machine.run, seen)
        changes |= _from_medium(machine, run)
        lost = seen.reason in LOST_REASONS or seen.state == "crashed"
        installing = changes.get("installation", machine.installation) is Installation.INSTALLING
        if lost and installing and run.boot_device == "cdrom":
            changes["installation"] = Installation.FAILED
    return changes


def _from_medium(machine: Machine, run: Run) -> dict[str, Any]:
    """An installation begins with a run from a medium."""
    if run.boot_device != "cdrom" or machine.installation not in (Installation.NOT_INSTALLED, Installation.FAILED):
        return {}
    return {"installation": Installation.INSTALLING, "installing_from": run.medium, "sign": None}


def _over(run: Run, seen: Seen) -> Run:
    """A run that is over, with what its firmware said; some are shorter than the time between two looks."""
    if run.boot_device is not None or run.since is None or (seen.booted_at or 0.0) < run.since - 1.0:
        return run
    return msgspec.structs.replace(run, boot_device=seen.boot_device)


def _state(machine: Machine, seen: Seen) -> State:
    if seen.state == "shut_off":
        lost = seen.reason in LOST_REASONS and (machine.run is not None or machine.state is State.CRASHED)
        return State.CRASHED if lost else State.SHUT_OFF
    if seen.state == "running" and machine.asked_off_at is not None:
        return State.STOPPING
    return State(seen.state)


def _run(machine: Machine, seen: Seen, now: float) -> Run:
    live, before = seen.definition, machine.run
    same = before is not None and (seen.since is None or before.since is None or abs(seen.since - before.since) < 1.0)
    if same and before is not None and seen.state == "stopping":
        return before  # which may be over when its definition is asked for: that is the next one's already
    since = before.since if same and before is not None and before.since is not None else seen.since or now
    return Run(
        since=since,
        boot_order=live.boot_order,
        kept=before.kept if same and before is not None else seen.inactive.boot_order,
        media=media_of(seen, live=True),
        cpus=live.cpus,
        memory_bytes=live.memory_bytes,
        network=live.network,
        boot_device=seen.boot_device or (before.boot_device if same and before is not None else None),
        agent=seen.agent,
        write_failed=(seen.state, seen.reason) == ("paused", "ioerror"),
        ends_at_restart=seen.own and live.on_reboot == "destroy",
    )


def media_of(seen: Seen, *, live: bool) -> tuple[Medium, ...]:
    definition = seen.definition if live else seen.inactive
    return tuple(Medium(drive.target, drive.path) for drive in definition.cdroms)


def kept(machine: Machine, seen: Seen, ours: Collection[str] = ()) -> dict[str, Any]:
    """What the record takes from the kept definition, where somebody changed it past us: we follow, and say so; not of
    what is `ours`, which we may have changed ourselves."""
    inactive = seen.inactive
    real: dict[str, Any] = {
        "boot_order": inactive.boot_order,
        "media": media_of(seen, live=False),
        "cpus": inactive.cpus,
        "memory_bytes": inactive.memory_bytes,
        "network": inactive.network,
    }
    if inactive.disks and inactive.disks[0].path:
        real["disk_path"] = inactive.disks[0].path
    differing = {name: value for name, value in real.items() if getattr(machine, name) != value}
    if not differing:
        return {}
    theirs = [name for name in differing if name not in ours]
    said = tuple(dict.fromkeys((*machine.outside, *theirs)))
    dismissed = tuple(code for code in machine.dismissed if code != "changed_outside" or not theirs)
    return differing | {"outside": said, "dismissed": dismissed, "edition": machine.edition + 1}


def _ended_itself(machine: Machine, seen: Seen) -> bool:
    """Whether a run that began from a medium was ended by its guest, and nobody had asked for that."""
    if machine.run is None or not machine.run.ends_at_restart or machine.asked_off_at is not None:
        return False
    return seen.state == "shut_off" and seen.reason == "shutdown"


def _after_installer(machine: Machine, installation: Installation, seen: Seen) -> dict[str, Any]:
    assert machine.run is not None
    changes: dict[str, Any] = {}
    if installation is Installation.INSTALLING:
        changes["sign"] = "restart"
    if machine.boot_order in CD_FIRST and _over(machine.run, seen).boot_device != "hd":
        changes |= {"next_boot": DISK_FIRST, "next_boot_why": "installed"}
    return changes


class StartPlan(msgspec.Struct, frozen=True):
    """How a machine is started: by an order for this start alone (None: the kept one)."""

    first: BootOrder | None
    on_reboot: OnReboot


def plan_start(machine: Machine) -> StartPlan:
    """Raises Conflict (no_medium, is_template) where it cannot run."""
    if machine.template:
        raise Conflict(
            "Machines are made of it, and its disk stays as it is.",
            code="is_template",
            title="A template does not run",
            hint="Make a machine of it, or make it a machine again.",
        )
    order = machine.next_boot or machine.boot_order
    if order == "cdrom" and not machine.has_medium:
        raise Conflict(
            "It boots from the CD alone, and there is no ISO in its drives.",
            code="no_medium",
            title="There is nothing to boot from",
            hint="Insert an ISO, or have it boot from its disk first.",
        )
    from_medium = machine.has_medium and order in CD_FIRST
    wanted_every_time = (
        order == "cdrom" and machine.next_boot is None and machine.installation is Installation.INSTALLED
    )
    guarded = from_medium and not wanted_every_time
    return StartPlan(machine.next_boot, "destroy" if guarded else "restart")


def begun(machine: Machine, plan: StartPlan) -> Run:
    """The run of a start by this plan, as far as that is known before it was seen."""
    return Run(
        since=None,
        boot_order=plan.first or machine.boot_order,
        kept=machine.boot_order,
        media=machine.media,
        cpus=machine.cpus,
        memory_bytes=machine.memory_bytes,
        ends_at_restart=plan.on_reboot == "destroy",
    )


class Change(msgspec.Struct, frozen=True):
    """Something that the next start takes and the run does not have."""

    what: Literal["boot_order", "cpus", "memory_bytes", "network"]
    now: str | int | None
    then: str | int | None


def pending(machine: Machine) -> tuple[Change, ...]:
    run = machine.run
    if run is None:
        return ()
    found = []
    if machine.boot_order != run.kept:
        found.append(Change("boot_order", run.kept, machine.boot_order))
    if machine.cpus != run.cpus:
        found.append(Change("cpus", run.cpus, machine.cpus))
    if machine.memory_bytes != run.memory_bytes:
        found.append(Change("memory_bytes", run.memory_bytes, machine.memory_bytes))
    if run.network is not None and machine.network != run.network:
        found.append(Change("network", run.network, machine.network))
    return tuple(found)
