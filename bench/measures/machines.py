"""What Madang adds to the work of libvirt and QEMU, from the request to its answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.libvirt import MEMORY

from bench.libvirtd import libvirts, put_iso, settings_of
from bench.measures import Plan
from bench.peers.bare_machines import GIB, Binding, Virsh
from bench.processes import Trouble
from bench.results import Peer, Row, Target, median, percentile
from bench.site import Site
from madang.machines.hosts import BootOrder

TITLE = "What is done to machines"
METHOD = (
    "libvirt and QEMU without KVM (TCG). The clock runs from the HTTP request until the answer that says it is done, "
    "with the operation stored, done, looked at and told. The peers do the same on a libvirt of their own, as the "
    "same kind of account: with libvirt's Python binding (one connection, kept open) and qemu-img, the least that it "
    "can take, and with virsh and qemu-img as one types it. All three take turns in every round, in another order "
    "each time; what Madang adds is each round's difference to the binding. Machines have one CPU, 192 MB and an "
    "empty disk; resize and snapshot are measured of one that is off, and again of one that runs."
)
AT_MOST = Target(at_most=50)


class Portal:
    """Madang, by its API."""

    name = "Madang"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._made = 0

    def _name(self) -> str:
        self._made += 1
        return f"bench{self._made}"

    def create(self, size: int = GIB, memory: int = MEMORY) -> str:
        wish = {"name": self._name(), "disk_bytes": size, "memory_bytes": memory, "boot_order": "hd"}
        return str(self._post("/api/vms", wish)["id"])

    def clone(self, source: str) -> str:
        return str(self._post(f"/api/vms/{source}/clone", {"name": self._name(), "linked": True})["id"])

    def start(self, uuid: str) -> None:
        if (state := self._post(f"/api/vms/{uuid}/action", {"action": "start"})["state"]) != "running":
            raise Trouble(f"a machine that was started is {state}")

    def stop(self, uuid: str) -> None:
        self._post(f"/api/vms/{uuid}/action", {"action": "force_off"})

    def remove(self, uuid: str) -> None:
        one = f"/api/vms/{uuid}"
        answer = self._site.api.delete(one, params={"name": self._site.get(one)["name"], "disks": "remove"})
        if answer.status_code != 204:
            raise Trouble(f"DELETE {one}: {answer.status_code} {answer.text[:300]}")

    def order(self, uuid: str, order: BootOrder) -> None:
        self._post(f"/api/vms/{uuid}/boot-order", {"boot_order": order})

    def attach(self, uuid: str, iso: str) -> None:
        self._post(f"/api/vms/{uuid}/media/attach", {"iso_path": iso, "target": "sda"})

    def eject(self, uuid: str) -> None:
        self._post(f"/api/vms/{uuid}/media/detach", {"target": "sda"})

    def grow(self, uuid: str, gib: int) -> None:
        self._post(f"/api/vms/{uuid}/disk/resize", {"size_gb": gib})

    grow_live = grow

    def snapshot(self, uuid: str) -> None:
        self._post(f"/api/vms/{uuid}/snapshots", {"title": "one"})

    def drop_snapshots(self, uuid: str) -> None:
        for snapshot in self._site.get(f"/api/vms/{uuid}/snapshots"):
            self._site.api.delete(f"/api/vms/{uuid}/snapshots/{snapshot['name']}").raise_for_status()

    def declare_template(self, uuid: str) -> None:
        self._post(f"/api/vms/{uuid}/template", {"template": True})

    def _post(self, path: str, wish: dict[str, Any]) -> dict[str, Any]:
        answer = self._site.api.post(path, json=wish)
        if answer.status_code not in (200, 201):  # 202: it is not done yet
            raise Trouble(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())


@dataclass
class Side:
    """Who does it, and on which machines: one that is off, one that runs, one of which others are cloned."""

    who: Any
    iso: str
    off: str
    runs: str
    base: str
    made: str = ""
    size: int = 1


@dataclass(frozen=True)
class Act:
    """What is measured; `before` and `after` are not."""

    what: str
    do: Callable[[Side], object]
    before: Callable[[Side], object] = lambda _side: None
    after: Callable[[Side], object] = lambda _side: None


def _make(side: Side) -> None:
    side.made = side.who.create()


def _clone(side: Side) -> None:
    side.made = side.who.clone(side.base)


def _clone_and_start(side: Side) -> None:
    _clone(side)
    side.who.start(side.made)


def _next_size(side: Side) -> None:
    side.size += 1


def _end(side: Side) -> None:
    side.who.stop(side.made)
    side.who.remove(side.made)


TO_RUNNING = Act("linked clone to running", _clone_and_start, after=_end)
ACTS = (
    Act("create", _make, after=lambda side: side.who.remove(side.made)),
    Act("start", lambda side: side.who.start(side.off), after=lambda side: side.who.stop(side.off)),
    Act(
        "boot order",
        lambda side: side.who.order(side.off, "cdrom_hd"),
        after=lambda side: side.who.order(side.off, "hd"),
    ),
    Act(
        "attach of an ISO, running",
        lambda side: side.who.attach(side.runs, side.iso),
        after=lambda side: side.who.eject(side.runs),
    ),
    Act("resize", lambda side: side.who.grow(side.off, side.size), before=_next_size),
    Act("resize, running", lambda side: side.who.grow_live(side.runs, side.size), before=_next_size),
    Act(
        "snapshot",
        lambda side: side.who.snapshot(side.off),
        after=lambda side: side.who.drop_snapshots(side.off),
    ),
    Act(
        "snapshot, running",
        lambda side: side.who.snapshot(side.runs),
        after=lambda side: side.who.drop_snapshots(side.runs),
    ),
    Act("linked clone", _clone, after=lambda side: side.who.remove(side.made)),
)


def measure(plan: Plan) -> list[Row]:
    with libvirts() as (ours, theirs), contextlib.ExitStack() as stack:
        iso = put_iso((ours, theirs))
        site = Site(plan.user, **settings_of(ours))
        stack.callback(site.close)
        peers = (Binding(theirs), Virsh(theirs))
        for peer in peers:
            stack.callback(peer.close)
        portal = Portal(site)
        sides = [_side(who, str(libvirtd.isos / iso.name)) for who, libvirtd in
                 ((portal, ours), (peers[0], theirs), (peers[1], theirs))]  # fmt: skip
        portal.declare_template(sides[0].base)
        rows = []
        for act in ACTS:
            rows += _added(act, _turns(act, sides, plan.times(15, 3)))
        return [*rows, *_to_running(_turns(TO_RUNNING, sides, plan.times(15, 3)))]


def _side(who: Any, iso: str) -> Side:
    off, runs, base = (who.create() for _ in range(3))
    who.start(runs)
    return Side(who, iso, off, runs, base)


def _turns(act: Act, sides: Sequence[Side], rounds: int) -> list[list[float]]:
    """Milliseconds of each side, round by round; the first round warms up and does not count."""
    took: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 1):
        for place in range(len(sides)):
            number = (place + turn) % len(sides)
            side = sides[number]
            act.before(side)
            began = time.perf_counter()
            act.do(side)
            passed = (time.perf_counter() - began) * 1000
            act.after(side)
            if turn:
                took[number].append(passed)
    return took


def _added(act: Act, took: list[list[float]]) -> list[Row]:
    ours, binding, virsh = took
    added = [mine - theirs for mine, theirs in zip(ours, binding, strict=True)]
    peers = [Peer(Binding.name, median(binding)), Peer(Virsh.name, median(virsh))]
    return [
        Row(f"{act.what}: added, p50", median(added), "ms", AT_MOST, samples=len(added)),
        Row(f"{act.what}: added, p95", percentile(added, 95), "ms", samples=len(added)),
        Row(f"{act.what}: all of it, p50", median(ours), "ms", peers=peers, samples=len(ours)),
    ]


def _to_running(took: list[list[float]]) -> list[Row]:
    names = (Binding.name, Virsh.name)
    rows = []
    for percent, target in ((50, Target(at_most=0.5)), (95, None)):
        ours, *theirs = (percentile(one, percent) / 1000 for one in took)
        peers = [Peer(name, value) for name, value in zip(names, theirs, strict=True)]
        rows.append(Row(f"linked clone to running, p{percent}", ours, "s", target, peers, len(took[0])))
    return rows
