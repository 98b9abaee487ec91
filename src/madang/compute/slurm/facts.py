"""What the cluster offers: partitions, QoS, accounts, reservations. Read now and then, kept for a while."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec

from madang.compute.slurm.client import Slurm
from madang.compute.slurm.parse import seconds
from madang.kernel import clock
from madang.kernel.errors import CommandFailed

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
# With this flag a QoS goes beyond what its partition gives.
_BEYOND_PARTITION = "PartitionTimeLimit"


class Partition(msgspec.Struct, frozen=True):
    name: str
    state: str  # up, down, drain, inactive
    nodes: int
    idle: int
    longest_seconds: int | None  # None: no limit
    default: bool
    qos: str = ""  # the partition's own, whose limits count for every job in it


class Qos(msgspec.Struct, frozen=True):
    name: str
    longest_seconds: int | None
    beyond_partition: bool = False


class Reservation(msgspec.Struct, frozen=True):
    name: str
    state: str
    starts_at: str | None
    ends_at: str | None
    nodes: str


class ClusterFacts(msgspec.Struct, frozen=True):
    """For GET /api/vnc/cluster."""

    version: str = ""
    partitions: tuple[Partition, ...] = ()
    qos: tuple[Qos, ...] = ()
    accounts: tuple[str, ...] = ()
    reservations: tuple[Reservation, ...] = ()

    def longest(self, partition: str, qos: str, own: int | None = None) -> int | None:
        """The longest time limit of a job in them (s); None: no limit, or not known. "": the cluster's choice.

        `own` is what its person's association gives, which counts where no QoS says otherwise
        (https://slurm.schedmd.com/resource_limits.html#hierarchy).
        """
        place = next((p for p in self.partitions if p.name == partition or (p.default and not partition)), None)
        chosen = next((q for q in self.qos if q.name == qos), None)
        limits = [chosen.longest_seconds] if chosen else []
        if place:
            limits += [q.longest_seconds for q in self.qos if q.name == place.qos]
        if all(limit is None for limit in limits):
            limits.append(own)
        if place and not (chosen and chosen.beyond_partition):
            limits.append(place.longest_seconds)
        return min((limit for limit in limits if limit is not None), default=None)


class Facts:
    def __init__(self, slurm: Slurm, keep_seconds: float) -> None:
        self._slurm = slurm
        self._keep_seconds = keep_seconds
        self._known: ClusterFacts | None = None
        self._read_at = 0.0
        self._addresses: dict[str, tuple[str, float]] = {}

    async def get(self) -> ClusterFacts:
        """Raises CommandFailed when the cluster does not answer and nothing is known from before."""
        if self._known is None or time.monotonic() - self._read_at > self._keep_seconds:
            try:
                self._known = await self._read()
                self._read_at = time.monotonic()
            except CommandFailed:
                if self._known is None:
                    raise
        return self._known

    async def _read(self) -> ClusterFacts:
        idle = await self._slurm.idle_nodes()
        return ClusterFacts(
            version=_version((await self._slurm.config("SLURM_VERSION"))["SLURM_VERSION"]),
            partitions=tuple(_partition(found, idle) for found in await self._slurm.show("partition")),
            qos=tuple(_qos(row) for row in await self._slurm.accounting("qos", "Name,MaxWall,Flags") if len(row) == 3),
            accounts=tuple(row[0] for row in await self._slurm.accounting("account", "Account") if row),
            reservations=tuple(_reservation(found) for found in await self._slurm.show("reservation")),
        )

    async def own_longest(self, job: str, partition: str) -> int | None:
        """What the association of a job's person gives one job (s); None: no limit. Raises CommandFailed."""
        user, account = await self._slurm.whose(job)
        if not user or not account:
            return None
        rows = await self._slurm.accounting("assoc", "Partition,MaxWall", f"user={user}", f"account={account}")
        walls = {row[0]: row[1] for row in rows if len(row) == 2}
        # One for this partition alone comes before the one for all.
        wall = walls.get(partition, walls.get("", ""))
        return seconds(wall) if wall else None

    async def address(self, node: str, *, answers: bool) -> str | None:
        """Where a node is reached; None: not known. A controller that is known not to answer now is not asked."""
        address, read_at = self._addresses.get(node, (None, 0.0))
        if not answers or (address is not None and time.monotonic() - read_at < self._keep_seconds):
            return address
        try:
            found = await self._slurm.node_address(node)
        except CommandFailed:
            return address
        if found:
            self._addresses[node] = found, time.monotonic()
        return found or address


def _version(said: str) -> str:
    found = _VERSION.search(said)
    return found.group() if found else ""


def _partition(found: dict[str, str], idle: dict[str, tuple[int, int]]) -> Partition:
    name = found.get("PartitionName", "")
    nodes, free = idle.get(name, (0, 0))
    own_qos = found.get("QoS", "N/A")
    return Partition(
        name=name,
        state=found.get("State", "").lower(),
        nodes=nodes,
        idle=free,
        longest_seconds=seconds(found.get("MaxTime", "")),
        default=found.get("Default") == "YES",
        qos="" if own_qos == "N/A" else own_qos,
    )


def _qos(row: list[str]) -> Qos:
    name, wall, flags = row
    return Qos(name, seconds(wall) if wall else None, _BEYOND_PARTITION in flags.split(","))


def _reservation(found: dict[str, str]) -> Reservation:
    begins, ends = (_iso(found.get(key, "")) for key in ("StartTime", "EndTime"))
    return Reservation(
        found.get("ReservationName", ""), found.get("State", "").lower(), begins, ends, found.get("Nodes", "")
    )


def _iso(text: str) -> str | None:
    return clock.iso(float(text)) if text.isdecimal() else None


def as_json(facts: ClusterFacts) -> dict[str, Any]:
    """The facts as the API gives them."""
    built: dict[str, Any] = msgspec.to_builtins(facts)
    return built
