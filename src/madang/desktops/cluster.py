"""The cluster behind the scheduler, as operators see it, and what of a preset it does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from madang.compute.launcher import Launcher
from madang.desktops.preset import Preset


class PartitionView(msgspec.Struct, frozen=True):
    """`nodes` it has, of which so many are `idle`; longest_seconds None: without a limit."""

    name: str
    state: str = ""
    nodes: int = 0
    idle: int = 0
    longest_seconds: int | None = None
    default: bool = False


class ClusterView(msgspec.Struct, frozen=True):
    """What the scheduler says; scheduler None: there is none. `since`: since when it does not answer."""

    scheduler: str | None = None
    version: str = ""
    answers: bool = True
    since: str | None = None
    partitions: tuple[PartitionView, ...] = ()
    qos: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()


class Clusters:
    """What is known of the scheduler among a site's launchers."""

    def __init__(self, launchers: Mapping[str, Launcher]) -> None:
        self._launchers = launchers

    async def view(self) -> ClusterView:
        asked: Any = next((getattr(one, "described", None) for one in self._launchers.values() if one.queues), None)
        if asked is None:
            return ClusterView()
        said = await asked()
        names = {kind: [one["name"] for one in said.get(kind, ())] for kind in ("qos", "reservations")}
        return msgspec.convert(said | names, ClusterView)

    async def warnings(self, preset: Preset) -> Sequence[str]:
        """What of the preset is not there. It may come, so nobody is refused."""
        launcher = self._launchers.get(preset.launcher)
        if launcher is None:
            return [f"This site has no launcher {preset.launcher}: nobody can start it now."]
        if not launcher.queues:
            return []
        cluster = await self.view()
        if not cluster.answers:
            return []  # it cannot be told now
        wanted = (
            ("partition", preset.partition.split(","), [partition.name for partition in cluster.partitions]),
            ("QoS", [preset.qos], list(cluster.qos)),
            ("account", [preset.charge], list(cluster.accounts)),
            ("reservation", preset.reservation.split(","), list(cluster.reservations)),
        )
        # A list that is empty is one that the cluster does not keep (no accounting), or not known yet.
        return [
            f"The cluster has no {kind} {name}."
            for kind, names, there in wanted
            for name in names
            if name and (there or kind == "reservation") and name not in there
        ]
