"""What the page offers to do with one click. Pure: derived from the record each time, never stored."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from madang.machines.hosts.shapes import BootOrder
from madang.machines.model import CD_FIRST, Installation, Machine, State

# What is not off by dismissing it, because a start would fail, or it does not go on.
STAY = frozenset({"no_medium", "medium_missing", "write_failed"})


class Suggestion(msgspec.Struct, frozen=True):
    """`code` says what is offered; the rest is what that needs.

    write_failed     it is paused, as there was no room for what it wrote, or its disk failed
    insert_iso       nothing is installed and no ISO is in a drive
    no_medium        its order is the CD alone (`boot_order`), and no ISO is in a drive
    cd_falls_through its order takes the CD first, and no ISO is in a drive
    medium_missing   the file of the ISO in `target` is gone
    mark_installed   its installation seems to be complete
    disk_first       the next start would boot the medium again: `boot_order` is what to make of it
    installer_again  an installation has begun, and the next start begins it anew
    same_identity    it was made of a template (`path` is its name), and may still say that it is that one
    eject            its system is installed, and the ISO in `target` is still in
    grow_inside      its disk grew, and the system inside may have to take the room
    backup_failed    its last backup, by itself or not, could not be made
    changed_outside  somebody changed `changed` past us
    """

    code: str
    boot_order: BootOrder | None = None
    target: str | None = None
    path: str | None = None
    changed: tuple[str, ...] = ()
    can_do: bool = True


def suggestions(machine: Machine) -> tuple[Suggestion, ...]:
    if machine.state in (State.CREATING, State.FAILED) or machine.template:
        return ()
    return tuple(one for one in _all(machine) if one.code in STAY or one.code not in machine.dismissed)


def _all(machine: Machine) -> Iterator[Suggestion]:
    if machine.run is not None and machine.run.write_failed:
        yield Suggestion("write_failed")
    yield from _media(machine)
    yield from _installation(machine)
    if machine.grew_at is not None:
        agent = machine.run is not None and machine.run.agent
        yield Suggestion("grow_inside", can_do=agent)
    if machine.cloned_from is not None:
        yield Suggestion("same_identity", path=machine.cloned_from)
    if machine.plan.failure is not None:
        yield Suggestion("backup_failed")
    if machine.outside:
        yield Suggestion("changed_outside", changed=machine.outside)


def _media(machine: Machine) -> Iterator[Suggestion]:
    for medium in machine.media:
        if medium.path in machine.missing:
            yield Suggestion("medium_missing", target=medium.target, path=medium.path)
    if machine.has_medium or machine.live:
        return
    if machine.boot_order == "cdrom" and machine.next_boot is None:
        yield Suggestion("no_medium", boot_order="hd_cdrom")
    elif machine.installation is Installation.NOT_INSTALLED:
        yield Suggestion("insert_iso")
    elif machine.boot_order in CD_FIRST:
        yield Suggestion("cd_falls_through", boot_order="hd_cdrom")


def _installation(machine: Machine) -> Iterator[Suggestion]:
    installing = machine.installation is Installation.INSTALLING
    complete = machine.installation is Installation.INSTALLED or machine.sign is not None
    if machine.sign is not None and machine.installation is not Installation.INSTALLED:
        yield Suggestion("mark_installed")
    if not machine.has_medium:
        return
    medium = next(medium for medium in machine.media if medium.path)
    if machine.boot_order in CD_FIRST:
        if complete:
            yield Suggestion("disk_first", boot_order="hd_cdrom")
        elif installing and not machine.live and machine.next_boot is None:
            yield Suggestion("installer_again", boot_order="hd_cdrom")
    if machine.installation is Installation.INSTALLED:
        yield Suggestion("eject", target=medium.target, path=medium.path)
