"""The hosts of a site, and where on them a machine has its files."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from madang.kernel.errors import InvalidInput, MadangError, NoSpace, SiteError, Unavailable
from madang.kernel.log import logger
from madang.machines.hosts.host import Host
from madang.machines.hosts.shapes import Change, DomainType, Pool, Wish
from madang.machines.model import Machine
from madang.machines.own_libvirt import OwnLibvirt

log = logger("machines")
KEEP_SECONDS = 2.0
START_SECONDS = 2.0


class _Offer(msgspec.Struct, frozen=True):
    """What a host has for a new machine, or why it can take none."""

    host: Host
    pool: Pool
    free_bytes: int  # memory
    problem: SiteError | None = None


class Fleet:
    """The hosts that the settings name."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        pool_folder: Path,
        domain_type: str,
        keep_free_bytes: int,
        own: OwnLibvirt | None = None,
    ) -> None:
        """`own`: what has to run before these hosts answer; it is started when somebody needs them."""
        self.hosts = hosts
        self.pool_folder = pool_folder
        self._domain_type = domain_type
        self._keep_free_bytes = keep_free_bytes
        self.account = own.account if own else None
        self._own = own
        self._keeping: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()
        self._probed: dict[str, asyncio.Task[DomainType]] = {}

    async def start(self, changed: Callable[[Host, Change], None], connected: Callable[[Host, bool], None]) -> None:
        """Connect to all of them; returns once each was tried. `changed` and `connected` are told from then on."""
        for host in self.hosts.values():
            host.on_change = lambda change, host=host: changed(host, change)  # type: ignore[misc]
            host.on_connection = lambda there, host=host: connected(host, there)  # type: ignore[misc]
        if self._own is None:
            await self._connect()

    async def _connect(self) -> None:
        if self._own is None:
            with contextlib.suppress(OSError):  # which is said when a machine is to be made
                await asyncio.to_thread(self.pool_folder.mkdir, 0o711, parents=True, exist_ok=True)
        await asyncio.gather(*map(self._begin, self.hosts.values()))

    async def _begin(self, host: Host) -> None:
        """One on the network that does not answer keeps nobody waiting: it goes on being tried."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(host.start(), None if host.is_local else START_SECONDS)

    async def stop(self) -> None:
        tasks = [*self._probed.values(), *([self._keeping] if self._keeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(host.stop() for host in self.hosts.values()), return_exceptions=True)

    def need(self) -> None:
        """Somebody needs the hosts: where our own libvirt is one, it runs from now on."""
        if self._own is not None and self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(self._own), name="own libvirt")

    async def ready(self) -> None:
        """Returns once each host was tried since it is needed."""
        self.need()
        if self._keeping is not None:
            await self._answered.wait()

    async def _keep(self, own: OwnLibvirt) -> None:
        """Start our libvirt, and again whenever it is gone."""
        begun, said = False, ""
        while True:
            if not begun or not all(host.connected for host in self.hosts.values()):
                try:
                    await own.start()
                except MadangError as error:
                    if own.problem != said:
                        log.warning("libvirt cannot be started", code=error.code, detail=error.detail)
                said = own.problem
                if not begun:
                    begun = True
                    await self._connect()
                self._answered.set()
            await asyncio.sleep(KEEP_SECONDS)

    def problem_of(self, host: Host) -> str:
        """Why a host does not answer; empty while it does."""
        if host.connected:
            return ""
        return (self._own.problem if self._own else "") or host.problem

    def host_of(self, machine: Machine) -> Host:
        """Raises Unavailable for a machine whose host the settings name no more."""
        if (host := self.hosts.get(machine.host)) is None:
            raise Unavailable(
                f"Its host {machine.host} is none of this site's hosts any more.",
                code="host_unknown",
                hint="The site's operator can name it again in machines.hosts.",
            )
        return host

    async def place(self, wanted: str | None, disk_bytes: int, memory_bytes: int) -> Host:
        """Where a new machine goes: to the host that is named, or the one with the most memory left of those that have
        enough for it. Pools are one storage, so disks have the same room everywhere.

        Raises InvalidInput (no_such_host, pool_too_small), Unavailable (host_unreachable), NoSpace (pool_full),
        SiteError (storage_not_shared).
        """
        if wanted is not None and wanted not in self.hosts:
            raise InvalidInput(
                f"There is no host {wanted!r}.",
                code="no_such_host",
                fields=[{"field": "host", "message": "is unknown"}],
            )
        await self.ready()
        asked = list(self.hosts.values()) if wanted is None else [self.hosts[wanted]]
        offers = [offer for offer in await asyncio.gather(*map(self._offer, asked)) if offer is not None]
        usable = [offer for offer in offers if offer.problem is None]
        if not usable:
            if (offer := next(iter(offers), None)) is not None and offer.problem is not None:
                raise offer.problem
            problems = "; ".join(filter(None, map(self.problem_of, asked)))
            raise Unavailable(
                problems or "No host of machines answers.", code="host_unreachable", hint="Try again in a moment."
            )
        # Where it fits nowhere it goes where it fits best: it may run when others do not.
        best = max(usable, key=lambda offer: (offer.free_bytes >= memory_bytes, offer.free_bytes))
        self.refuse_beyond(best.pool, disk_bytes)
        return best.host

    async def _offer(self, host: Host) -> _Offer | None:
        """What a host has for a new machine; None while it does not answer."""
        if (pool := await pool_of(host)) is None:
            return None
        try:
            await host.require_storage()
            # Where there is no choice it is not asked.
            free = (await host.capacity()).free_bytes if len(self.hosts) > 1 else 0
        except SiteError as error:
            log.warning("a host cannot be used", host=host.name, code=error.code, detail=error.detail)
            return _Offer(host, pool, 0, error)
        except Unavailable:
            return None
        return _Offer(host, pool, free)

    def refuse_beyond(self, pool: Pool, more_bytes: int) -> None:
        """Raise for what the pool has no room for. Disks take room as they fill, so all together may promise more."""
        if more_bytes > pool.total_bytes:
            raise InvalidInput(
                f"The pool holds {pool.total_bytes} bytes, and {pool.free_bytes} of them are free.",
                code="pool_too_small",
                title="The pool is smaller than that",
                hint="Choose a smaller size, or ask the site's operator for room.",
                fields=[{"field": "disk_bytes", "message": f"must be at most {pool.free_bytes}"}],
                free=pool.free_bytes,
            )
        if pool.free_bytes < self._keep_free_bytes:
            raise NoSpace(
                f"{pool.free_bytes} bytes are free in {pool.path}.",
                code="pool_full",
                title="There is no room for disks",
                hint="Delete machines that nobody needs, or ask the site's operator for room.",
            )

    async def domain_type(self, host: Host) -> DomainType:
        """What machines of this host run with; `auto` is found out once a process."""
        if self._domain_type != "auto":
            return "kvm" if self._domain_type == "kvm" else "qemu"
        task = self._probed.get(host.name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(host.best_domain_type(self.pool_folder))
            self._probed[host.name] = task
        return await asyncio.shield(task)

    def folder(self, machine_id: str) -> Path:
        """Where a machine has all that is its own."""
        return self.pool_folder / machine_id

    def disk_path(self, machine_id: str) -> str:
        return str(self.folder(machine_id) / "disk.qcow2")

    def further_disk_path(self, disk_id: str) -> str:
        return str(self.pool_folder / "disks" / f"{disk_id}.qcow2")

    def is_ours(self, machine: Machine) -> bool:
        """Whether its disk is one that was made for it: only those are ever removed."""
        return Path(machine.disk_path).parent == self.folder(machine.id)

    async def clear(self, machine: Machine, host: Host) -> None:
        """Remove the folder of a machine that is gone."""
        with contextlib.suppress(MadangError):
            await host.require_storage()
            await asyncio.to_thread(shutil.rmtree, self.folder(machine.id), ignore_errors=True)

    async def wish(self, machine: Machine, host: Host) -> Wish:
        """The machine as its host is to define it."""
        media = [medium.path for medium in machine.media] + [None, None]
        return Wish(
            uuid=machine.id,
            title=machine.name,
            cpus=machine.cpus,
            memory_bytes=machine.memory_bytes,
            disk_path=machine.disk_path,
            folder=str(self.folder(machine.id)),
            media=(media[0], media[1]),
            boot_order=machine.boot_order or "hd_cdrom",
            firmware=machine.firmware,
            network=machine.network,
            domain_type=await self.domain_type(host),
        )


async def pool_of(host: Host) -> Pool | None:
    """None while it does not answer."""
    if not host.connected:
        return None
    try:
        return await host.pool()
    except (MadangError, OSError) as error:
        log.warning("a pool cannot be looked at", host=host.name, detail=str(error))
        return None
