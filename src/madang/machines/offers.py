"""What the form for a new machine needs to know: hosts, room, limits, quotas; and the hosts for who operates them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from madang.identity.model import Visitor
from madang.kernel.clock import iso_or_none
from madang.kernel.errors import Forbidden, SiteError, Unavailable
from madang.kernel.ground import Missing
from madang.machines.boot import Boot, BootPreset
from madang.machines.fleet import pool_of
from madang.machines.hosts.host import Host
from madang.machines.service import Machines
from madang.machines.settings import BOOT_ORDERS
from madang.machines.views import (
    AllowanceView,
    BootPresetView,
    CapacityView,
    HostStateView,
    HostView,
    OptionsView,
    PoolView,
    QuotaView,
    RangeView,
)
from madang.machines.wishes import LEAST_DISK, LEAST_MEMORY

READY_SECONDS = 5.0
LOOK_SECONDS = 5.0


class Offers:
    def __init__(self, machines: Machines, boot: Boot, missing: Callable[[], Sequence[Missing]]) -> None:
        self._machines = machines
        self._boot = boot
        self._missing = missing

    async def options(self, visitor: Visitor) -> OptionsView:
        limits = self._machines.settings
        await self._ready()
        counts = await self._machines.store.per_host()
        hosts = self._machines.fleet.hosts.values()
        return OptionsView(
            hosts=list(await asyncio.gather(*(self._host(host, counts.get(host.name, 0)) for host in hosts))),
            networks=list(limits.networks),
            firmwares=["bios", "uefi"],
            boot_orders=list(BOOT_ORDERS),
            default_boot_order=limits.boot_order,
            boot_presets=[preset_view(preset) for preset in await self._boot.presets(visitor)],
            cpus=RangeView(1, limits.cpus_most, limits.cpus),
            memory_bytes=RangeView(LEAST_MEMORY, limits.memory_bytes_most, limits.memory_bytes),
            disk_bytes=RangeView(LEAST_DISK, limits.disk_bytes_most, limits.disk_bytes),
            quota=await self._quota(visitor),
            largest_upload_bytes=limits.largest_upload_bytes,
            missing=[f"{one.what}: {one.command}" for one in self._missing()],
        )

    async def _ready(self) -> None:
        """Where our own libvirt has to be started first, that takes a second or two: no reason to call it lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._machines.fleet.ready(), READY_SECONDS)

    async def _host(self, host: Host, machines: int) -> HostView:
        pool = await pool_of(host)
        shown = PoolView(pool.path, pool.total_bytes, pool.free_bytes) if pool else None
        return HostView(
            host.name,
            host.connected,
            iso_or_none(host.down_since),
            self._machines.fleet.problem_of(host),
            shown,
            machines,
        )

    async def hosts(self, visitor: Visitor) -> list[HostStateView]:
        """Each host and how it is. Raises Forbidden."""
        if not visitor.may("machines.see_all"):
            raise Forbidden("Only operators see the hosts.", hint="Ask an operator.")
        await self._ready()
        counts = await self._machines.store.per_host()
        hosts = self._machines.fleet.hosts.values()
        return list(await asyncio.gather(*(self._state(host, counts.get(host.name, 0)) for host in hosts)))

    async def _state(self, host: Host, machines: int) -> HostStateView:
        shown = await self._host(host, machines)
        capacity, failure = None, None
        try:
            # One that hangs is shown all the same, as far as it is known.
            async with asyncio.timeout(LOOK_SECONDS):
                found = await host.capacity()
                capacity = CapacityView(found.cpus, found.memory_bytes, found.free_bytes, found.running)
                await host.require_storage()
        except SiteError as error:
            failure = error.failure()
        except (TimeoutError, Unavailable):
            pass  # `problem` says so in a moment
        return HostStateView(
            name=host.name,
            uri=host.shown_uri,
            connected=shown.connected,
            down_since=shown.down_since,
            problem=shown.problem,
            storage_problem=failure,
            pool=shown.pool,
            capacity=capacity,
            machines=machines,
        )

    async def _quota(self, visitor: Visitor) -> QuotaView:
        most, used = self._machines.quota(), await self._machines.store.used(visitor.person.id)
        return QuotaView(
            machines=AllowanceView(most.machines, used.machines or 0),
            cpus=AllowanceView(most.cpus, used.cpus or 0),
            memory_bytes=AllowanceView(most.memory_bytes, used.memory_bytes or 0),
            disk_bytes=AllowanceView(most.disk_bytes, used.disk_bytes or 0),
        )


def preset_view(preset: BootPreset) -> BootPresetView:
    return BootPresetView(preset.id, preset.name, preset.boot_order, preset.person_id is not None)
