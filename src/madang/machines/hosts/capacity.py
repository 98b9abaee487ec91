"""What a host has, and what its running machines leave of it. Everything here blocks."""

from __future__ import annotations

from typing import Any

from madang.machines.hosts.binding import libvirt
from madang.machines.hosts.shapes import Capacity

_KIB = 1024


def look(connection: Any) -> Capacity:
    """Memory counts as taken when a running machine may have it, whether or not its system has asked for it yet."""
    stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
    total = stats["total"]
    unused = stats["free"] + stats.get("buffers", 0) + stats.get("cached", 0)
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    running = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BALLOON, flags)
    promised = sum(facts.get("balloon.maximum", 0) for _domain, facts in running)
    return Capacity(
        cpus=connection.getInfo()[2],
        memory_bytes=total * _KIB,
        free_bytes=max(0, min(unused, total - promised)) * _KIB,
        running=len(running),
    )
