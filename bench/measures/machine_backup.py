"""How fast a running machine is backed up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from bench import processes
from bench.libvirtd import libvirts, settings_of
from bench.measures import Plan
from bench.measures.machines import Portal
from bench.peers.bare_machines import Binding
from bench.results import Peer, Row, Target, median
from bench.site import Site

TITLE = "Backup of a running machine"
METHOD = (
    "A machine runs whose disk holds 1 GiB of random data. The clock runs from the request until the backup is done "
    "and can be restored. The peer is `virsh backup-begin` of such a machine of a libvirt of its own, until libvirt "
    "says that the job is over (asked every 10 ms). Both take turns, and each one's file is removed after its turn."
)
MIB = 2**20


def measure(plan: Plan) -> list[Row]:
    size = plan.times(1024, 64) * MIB
    with libvirts() as (ours, theirs), contextlib.ExitStack() as stack:
        site = Site(plan.user, **settings_of(ours))
        stack.callback(site.close)
        peer = Binding(theirs)
        stack.callback(peer.close)
        portal = Portal(site)
        mine, bare = portal.create(size), peer.create(size)
        data = ours.folder / "data"
        _write_random(data, size)
        for disk in (ours.pool / mine / "disk.qcow2", peer.disk(bare)):
            command: list[str | Path] = ["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", data, disk]
            subprocess.run(command, check=True, capture_output=True)
        data.unlink()
        portal.start(mine)
        peer.start(bare)
        took: dict[str, list[float]] = {"ours": [], "theirs": []}
        for turn in range(-1, plan.times(8, 2)):
            for side in sorted(took, reverse=bool(turn % 2)):
                seconds = _portal(site, mine) if side == "ours" else _peer(peer, bare)
                if turn >= 0:  # the first warms up
                    took[side].append(seconds)
    ratios = [bare_took / mine_took for mine_took, bare_took in zip(took["ours"], took["theirs"], strict=True)]
    speeds = {side: size / 1e6 / median(seconds) for side, seconds in took.items()}
    peers = [Peer("virsh backup-begin", speeds["theirs"])]
    return [
        Row("throughput, as a part of the peer's, p50", median(ratios), "", Target(at_least=0.9), samples=len(ratios)),
        Row("throughput, p50", speeds["ours"], "MB/s", peers=peers, samples=len(ratios)),
    ]


def _write_random(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // (16 * MIB)):
            file.write(os.urandom(16 * MIB))


def _portal(site: Site, machine: str) -> float:
    path = f"/api/vms/{machine}/backups"
    began = time.monotonic()
    site.api.post(path).raise_for_status()
    processes.until(lambda: site.get(path), 120, "the backup", 0.01)  # at once, unless the answer was 202
    took = time.monotonic() - began
    for backup in site.get(path):
        site.api.delete(f"/api/vms/backups/{backup['id']}").raise_for_status()
    return took


def _peer(peer: Binding, machine: str) -> float:
    file = peer.disk(machine).parent / "backup.qcow2"
    began = time.monotonic()
    peer.back_up(machine, file)
    took = time.monotonic() - began
    file.unlink()
    return took
