"""How fast the API answers, and how soon a page hears of a change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection, connect

from bench import http_load, processes, records
from bench.measures import Plan
from bench.results import Row, Target, median, percentile
from bench.site import MADANG, Site
from madang.compute.order import Report, Stage
from madang.desktops.model import State

TITLE = "API and live updates"
METHOD = (
    "1,000 sessions of one person in the database, 20 of them running with heartbeats; the list of all, one request "
    "after the other on a kept connection. Throughput: 8 kept connections, each asking again as soon as it is "
    "answered; the portal is pinned to one core, the client to another. State change: an agent's report on its "
    "WebSocket until the message on /api/live, in one process and from one service's process to another's."
)
MANY, RUNNING, CONNECTIONS = 1000, 20, 8
SECRET = "the secret of the measured agent"


def measure(plan: Plan) -> list[Row]:
    cores = sorted(os.sched_getaffinity(0))
    site = Site(plan.user, prefix=("taskset", "-c", str(cores[0])))
    try:
        states = [State.READY] * RUNNING + [State.ENDED] * (MANY - RUNNING)
        records.store(site, [records.session(n, site.person, "admin", state) for n, state in enumerate(states)])
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores[1:]))
        try:
            rows = [*_list(plan, site), *_throughput(plan, site)]
        finally:
            os.sched_setaffinity(0, set(cores))
        reporting = records.session(MANY, site.person, "admin", State.READY, SECRET)
        records.store(site, [reporting])
        rows += _change("one process", _hear(plan, site.port, site.port, site.token, reporting.id))
        rows += _change("two processes", _between_processes(plan, site, reporting.id))
    finally:
        site.close()
    return rows


def _list(plan: Plan, site: Site) -> list[Row]:
    path = f"/api/vnc/sessions?limit={MANY}"
    first, _ = http_load.one_by_one(site.port, path, site.token, 1)
    http_load.one_by_one(site.port, path, site.token, 20)
    took, size = http_load.one_by_one(site.port, path, site.token, plan.times(400, 60))
    if (found := len(site.get(path))) != MANY:
        raise processes.Trouble(f"the list holds {found} sessions, not {MANY}")
    return [
        Row("list of 1,000 sessions, p95", percentile(took, 95), "ms", Target(at_most=15), samples=len(took)),
        Row("list of 1,000 sessions, p50", median(took), "ms", samples=len(took)),
        Row("list of 1,000 sessions, the first after a start", first[0], "ms"),
        Row("list of 1,000 sessions, size", size / 1000, "kB"),
    ]


def _throughput(plan: Plan, site: Site) -> list[Row]:
    one = site.get("/api/vnc/sessions?limit=1")[0]["id"]
    asked: dict[str, tuple[str, Target | None]] = {
        "list of 20 sessions": ("/api/vnc/sessions?ended=false", Target(at_least=200)),
        "one session": (f"/api/vnc/sessions/{one}", Target(at_least=200)),
        "/health, the framework alone": ("/health", None),
    }
    rows = []
    for what, (path, target) in asked.items():
        http_load.at_once(site.port, path, site.token, CONNECTIONS, 0.5)
        rate, took = http_load.at_once(site.port, path, site.token, CONNECTIONS, plan.times(6, 2))
        rows.append(Row(f"{what}, on one core", rate, "requests/s", target, samples=len(took)))
        rows.append(Row(f"{what}, p95 of {CONNECTIONS} at once", percentile(took, 95), "ms", samples=len(took)))
    return rows


def _change(where: str, took: list[float]) -> list[Row]:
    return [
        Row(f"state change to page, {where}, p95", percentile(took, 95), "s", Target(at_most=0.5), samples=len(took)),
        Row(f"state change to page, {where}, slowest", max(took), "s", samples=len(took)),
    ]


def _hear(plan: Plan, agent_port: int, page_port: int, token: str, session: str) -> list[float]:
    """Seconds from a report of the agent to the message on the page's WebSocket, for many reports."""
    took = []
    agent = _socket(f"ws://127.0.0.1:{agent_port}/api/vnc/agents/{session}", SECRET)
    page = _socket(f"ws://127.0.0.1:{page_port}/api/live", token)
    with agent, page:
        _until(page, lambda said: said["type"] == "hello")
        for turn in range(plan.times(150, 20)):
            display = 40 + turn % 2
            report = Report(
                state="ready", pid=1, pid_started=1, node=records.ELSEWHERE, display=display,
                stages=[Stage(name, time.time(), 0.1) for name in records.STAGES[1:]],
            )  # fmt: skip
            began = time.perf_counter()
            agent.send(msgspec.json.encode(report).decode())
            _until(page, lambda said, display=display: _tells(said, session, display))
            took.append(time.perf_counter() - began)
            time.sleep(0.02 + turn % 7 * 0.01)  # not in step with anything
    return took


def _socket(address: str, bearer: str) -> ClientConnection:
    return connect(address, additional_headers={"Authorization": f"Bearer {bearer}"}, compression=None)


def _until(page: ClientConnection, heard: Callable[[dict[str, Any]], bool]) -> None:
    while not heard(msgspec.json.decode(page.recv(timeout=10))):
        pass


def _tells(said: dict[str, Any], session: str, display: int) -> bool:
    shown = said.get("session")
    return isinstance(shown, dict) and shown["id"] == session and shown["display"] == display


def _between_processes(plan: Plan, site: Site, session: str) -> list[float]:
    """The agent reports to the process of one service, the page listens at that of another."""
    site.stop()
    other = processes.free_port()
    site.start([MADANG, "serve", "vnc", "--port", str(site.port)])
    second = processes.start([MADANG, "serve", "identity", "--port", str(other)], environment=site.environment)
    try:
        processes.until(lambda: processes.answers(other), 20, "the second process")
        return _hear(plan, site.port, other, site.token, session)
    finally:
        processes.stop(second)
