"""How machines are now: all of them in one pass, or one. Everything here blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from madang.kernel.errors import NotFound
from madang.machines.hosts import boot_log, domain_xml, domains, shared
from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import NAME_PREFIX, Definition, Drive, Seen, State

# By virDomainState: what we call it, and libvirt's words for why (virDomainRunningReason, ...).
_STATES: dict[int, tuple[State, tuple[str, ...]]] = {
    0: ("running", ()),
    1: ("running", ("", "booted", "migrated", "restored", "from_snapshot", "unpaused", "migration_canceled",
                    "save_canceled", "wakeup", "crashed", "postcopy", "postcopy_failed")),
    2: ("running", ()),
    3: ("paused", ("", "user", "migration", "save", "dump", "ioerror", "watchdog", "from_snapshot", "shutting_down",
                   "snapshot", "crashed", "starting_up", "postcopy", "postcopy_failed", "api_error")),
    4: ("stopping", ("", "user")),
    5: ("shut_off", ("", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot", "daemon")),
    6: ("crashed", ("", "panicked")),
    7: ("paused", ("asleep",)),
}  # fmt: skip
_BY_REASON: dict[tuple[State, str], State] = {
    ("paused", "starting_up"): "starting",
    ("paused", "shutting_down"): "stopping",
    ("paused", "crashed"): "crashed",
    ("shut_off", "crashed"): "crashed",
}


class _Run(msgspec.Struct, frozen=True):
    """What the XML of a machine that runs says."""

    definition: Definition
    agent: bool
    began: float | None


@lru_cache(maxsize=1024)
def _run_of(xml: str) -> _Run:
    domain = domain_xml.read(xml)
    return _Run(domain_xml.parse(xml), domain_xml.agent_connected(domain), domain_xml.run_began(domain))


def snapshot(
    connection: Any, local: bool, began: Mapping[str, float], uuids: Sequence[str] | None = None
) -> dict[str, Seen]:
    """`began`: when runs began that others have started, by uuid, where it was seen. `uuids`: only of these."""
    persistent = {each.UUIDString() for each in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)}
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT  # one that is busy must not hold up the others
    if uuids is None:
        found = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, flags)
    else:
        there = _those(connection, uuids)
        found = connection.domainListGetStats(there, libvirt.VIR_DOMAIN_STATS_STATE, flags) if there else []
    seen = {}
    for domain, facts in found:
        try:
            one = _seen(domain, facts["state.state"], facts["state.reason"], local, began)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                continue  # gone meanwhile
            raise
        if shared.is_probe(one.uuid):
            continue
        seen[one.uuid] = msgspec.structs.replace(one, persistent=one.uuid in persistent)
    return seen


def _those(connection: Any, uuids: Sequence[str]) -> list[Any]:
    found = []
    for uuid in uuids:
        with contextlib.suppress(NotFound):
            found.append(domains.find(connection, uuid))
    return found


def look(connection: Any, uuid: str, local: bool, began: Mapping[str, float]) -> Seen:
    """One, with the sizes of its disks while it runs, and what it booted from last while it is off."""
    domain = domains.find(connection, uuid)
    number, reason = domain.state()
    seen = msgspec.structs.replace(_seen(domain, number, reason, local, began), persistent=bool(domain.isPersistent()))
    if number == libvirt.VIR_DOMAIN_SHUTOFF:
        return _with_boot(seen, local)
    drives = tuple(_sized(domain, drive) for drive in seen.definition.drives)
    return msgspec.structs.replace(seen, definition=msgspec.structs.replace(seen.definition, drives=drives))


def _seen(domain: Any, number: int, reason: int, local: bool, began: Mapping[str, float]) -> Seen:
    state, why = state_of(number, reason)
    inactive = domain_xml.parse(domains.inactive_xml(domain))
    seen = Seen(
        uuid=inactive.uuid,
        name=inactive.name,
        state=state,
        definition=inactive,
        inactive=inactive,
        reason=why,
        own=inactive.name.startswith(NAME_PREFIX),
    )
    if number == libvirt.VIR_DOMAIN_SHUTOFF:
        return seen
    run = _run_of(domain.XMLDesc(0))
    seen = msgspec.structs.replace(
        seen,
        definition=run.definition,
        agent=run.agent,
        since=run.began or began.get(seen.uuid),
    )
    return _with_boot(seen, local)


def _with_boot(seen: Seen, local: bool) -> Seen:
    log = seen.definition.boot_log
    if not log or not (local or seen.own):  # those of machines of ours are on storage that we have as well
        return seen
    device, when = boot_log.read(log, seen.definition.firmware)
    return msgspec.structs.replace(seen, boot_device=device, booted_at=when if seen.off else None)


def state_of(number: int, reason: int) -> tuple[State, str]:
    """libvirt's two numbers, in words."""
    state, reasons = _STATES.get(number, ("running", ()))
    why = reasons[reason] if reason < len(reasons) else reasons[0] if len(reasons) == 1 else ""
    return _BY_REASON.get((state, why), state), why


def _sized(domain: Any, drive: Drive) -> Drive:
    if drive.kind == "cdrom" or drive.path is None:
        return drive
    try:
        size = int(domain.blockInfo(drive.target)[0])
    except libvirt.libvirtError:
        return drive
    return msgspec.structs.replace(drive, size_bytes=size)
