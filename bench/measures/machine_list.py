"""The list of many machines, and how soon it shows what happened to one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

from bench import http_load, processes
from bench.libvirtd import libvirts, settings_of
from bench.measures import Plan
from bench.measures.machines import Portal
from bench.peers.bare_machines import Binding
from bench.processes import Trouble
from bench.results import Row, Target, median, percentile
from bench.site import Site

TITLE = "A list of 200 machines"
METHOD = (
    "200 machines of one person, 20 of which run; the list of all, one request after the other on a kept connection, "
    "while another program pauses and resumes machines of libvirt, five times a second. Then libvirt's daemon is "
    "stopped (SIGSTOP) and the list is asked for all the same: an answer that needed a single call of libvirt would "
    "not come. A change: from the end of libvirt's destroy (or create) by somebody else until a GET of the machine "
    "shows it."
)
MANY, RUNNING = 200, 20
MEMORY = 32 * 2**20
CHANGES_A_SECOND = 5


def measure(plan: Plan) -> list[Row]:
    many, running = plan.times(MANY, 20), plan.times(RUNNING, 4)
    with libvirts() as (ours, _), contextlib.ExitStack() as stack:
        site = Site(plan.user, **settings_of(ours))
        stack.callback(site.close)
        outside = Binding(ours)
        stack.callback(outside.close)
        portal = Portal(site)
        machines = [portal.create(memory=MEMORY) for _ in range(many)]
        for machine in machines[:running]:
            portal.start(machine)
        time.sleep(plan.times(10, 2))  # until the firmware of the last one has found nothing to boot
        rows = [*_list(plan, site, many, "at rest")]
        with _changing(outside, machines[1:running]):
            rows += _list(plan, site, many, "while states change", Target(at_most=20))
        assert ours.daemon.pid is not None
        os.kill(ours.daemon.pid, signal.SIGSTOP)
        try:
            stopped = _list(plan, site, many, "while libvirt is stopped")
        finally:
            os.kill(ours.daemon.pid, signal.SIGCONT)
        # Whoever needs libvirt waits for it: these were answered.
        needed = Row("calls of libvirt for one list", 0, "", Target(at_most=0), samples=stopped[0].samples)
        rows += [needed, *stopped]
        rows += _shown(plan, site, outside, machines[0])
    return rows


def _list(plan: Plan, site: Site, many: int, when: str, target: Target | None = None) -> list[Row]:
    path = f"/api/vms?limit={many}"
    http_load.one_by_one(site.port, path, site.token, 20)
    took, _size = http_load.one_by_one(site.port, path, site.token, plan.times(400, 60))
    if (found := len(site.get(path))) != many:
        raise Trouble(f"the list holds {found} machines, not {many}")
    return [
        Row(f"list of {many} machines, {when}, p95", percentile(took, 95), "ms", target, samples=len(took)),
        Row(f"list of {many} machines, {when}, p50", median(took), "ms", samples=len(took)),
    ]


@contextlib.contextmanager
def _changing(outside: Binding, machines: Sequence[str]) -> Iterator[None]:
    over = threading.Event()

    def change() -> None:
        for machine in cycle(machines):
            for act in (outside.domain(machine).suspend, outside.domain(machine).resume):
                act()
                over.wait(1 / CHANGES_A_SECOND)
            if over.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _shown(plan: Plan, site: Site, outside: Binding, machine: str) -> list[Row]:
    took: dict[str, list[float]] = {"destroy": [], "create": []}
    for _ in range(plan.times(30, 4)):
        for what, act, state in (("destroy", outside.stop, "shut_off"), ("create", outside.start, "running")):
            act(machine)
            took[what].append(1000 * processes.until(lambda: _state(site, machine) == state, 10, what, 0))  # noqa: B023
            time.sleep(0.5)
    return [
        Row(f"{what} by somebody else to GET, p{percent}", percentile(each, percent), "ms", samples=len(each))
        for what, each in took.items()
        for percent in (50, 95)
    ]


def _state(site: Site, machine: str) -> str:
    return str(site.get(f"/api/vms/{machine}")["state"])
