"""A portal on a real Slurm cluster of two nodes: both are shared by all these tests, and mended between them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.daemons.cluster.job import Job
from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.people import OVER, Client
from tests.support.portal import PortalProcess
from tests.support.slurm import make_cluster, slurm_cluster

KIM, LEE, BOSS = "kim", "lee", "boss"
SECONDS = {"time_limit_seconds": 3600, "longest_time_limit_seconds": 7200}
# What people may start here. One core each: four fit on a node.
PRESETS: dict[str, dict[str, Any]] = {
    "plain": SECONDS | {"partition": "viz"},
    "again": SECONDS | {"partition": "viz", "requeue": True},
    "whole": SECONDS | {"partition": "viz", "cpus": 4},
    "single": SECONDS | {"partition": "viz", "qos": "single"},
    "short": SECONDS | {"partition": "viz", "qos": "short", "time_limit_seconds": 300},
    "debug": {"partition": "debug", "time_limit_seconds": 600, "longest_time_limit_seconds": 7200},
    "minute": {"partition": "viz", "time_limit_seconds": 60, "longest_time_limit_seconds": 60},
    "hungry": SECONDS | {"partition": "viz", "cpus": 100},
}


@pytest.fixture(scope="session")
def accounts() -> Iterator[dict[str, str]]:
    """The Unix accounts of the persons kim and lee."""
    if not AS_ROOT:
        pytest.skip("only root can run a Slurm cluster")
    run = os.getpid() % 100_000
    names = {KIM: f"mdgc{run}a", LEE: f"mdgc{run}b"}
    try:
        for name in names.values():
            make_account(name)
        yield names
    finally:
        for name in names.values():
            remove_account(name)


@pytest.fixture(scope="session")
def slurm(accounts: dict[str, str]) -> Iterator[Any]:
    if lacking := slurm_cluster.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    cluster = make_cluster("mdgportal")
    try:
        cluster.start(accounts.values())
        nodes = cluster.folder / "nodes"  # where agents make their folders
        nodes.mkdir()
        nodes.chmod(0o1777)
        yield cluster
    finally:
        cluster.stop()


def settings_of(cluster: Any) -> dict[str, str]:
    """Of a portal on this cluster; short, so that what it waits for comes soon."""
    return {
        "VNC_LAUNCHER": "slurm",
        "VNC_START_SECONDS": "25.0",
        "VNC_SESSIONS_PER_PERSON": "20",
        "VNC_CALL_SECONDS": "2.0",
        "SLURM_CONF": str(cluster.conf),
        "SLURM_AGENT_FOLDER": str(cluster.folder / "agent"),
        "SLURM_FOLDER": str(cluster.folder / "nodes"),
        "SLURM_COMMAND_SECONDS": "3.0",
        # sbatch itself gives up after four seconds when nobody listens.
        "SLURM_SUBMIT_COMMAND_SECONDS": "6.0",
        "SLURM_SUBMIT_SECONDS": "3.0",
        "SLURM_RETRY_SECONDS": "0.3",
        "SLURM_SILENT_SECONDS": "1.0",
        "SLURM_FRESH_SECONDS": "0.3",
        "SLURM_FACTS_SECONDS": "2.0",
    }


@pytest.fixture(scope="session")
def portal(slurm: Any, accounts: dict[str, str]) -> Iterator[PortalProcess]:
    """The portal that tests share. Who kills it starts it again."""
    with PortalProcess(**settings_of(slurm)) as portal:
        portal.add_person(KIM, account=accounts[KIM])
        portal.add_person(LEE, account=accounts[LEE])
        portal.add_person(BOSS, role="admin", account=accounts[KIM])
        yield portal


@pytest.fixture(scope="session")
def people(portal: PortalProcess) -> dict[str, Client]:
    return {name: portal.by_token(name) for name in (KIM, LEE, BOSS)}


@pytest.fixture(scope="session")
def presets(people: dict[str, Client]) -> dict[str, str]:
    """Ids of presets by name."""
    made = {}
    for name, words in PRESETS.items():
        answer = people[BOSS].post("/api/vnc/presets", json={"name": name, "launcher": "slurm"} | words)
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["id"]
    return made


@pytest.fixture
def cluster(slurm: Any, portal: PortalProcess, people: dict[str, Client]) -> Iterator[Any]:
    """Everything runs and answers at the beginning; no desktop and no job is left at the end."""
    mend(slurm, portal)
    yield slurm
    mend(slurm, portal)
    try:
        for client in (people[KIM], people[LEE]):
            forget_all(client)
    finally:
        slurm.end_jobs()


def mend(cluster: Any, portal: PortalProcess) -> None:
    for daemon in cluster.daemons:
        daemon.send(signal.SIGCONT)
    if cluster.controller.pid is not None:
        for node in cluster.node_names:  # one that a test drained
            cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
    cluster.mend()
    if portal.process is None or portal.process.poll() is not None:
        portal.start()


def forget_all(client: Client) -> None:
    """End every desktop of somebody's and remove it from the list."""
    for session in client.sessions():
        client.delete(f"/api/vnc/sessions/{session['id']}")
    for session in client.sessions(ended="true"):
        client.until(session["id"], *OVER, seconds=20)
        client.delete(f"/api/vnc/sessions/{session['id']}")


@pytest.fixture
def kim(cluster: Any, people: dict[str, Client]) -> Client:
    """By API token."""
    return people[KIM]


@pytest.fixture
def lee(cluster: Any, people: dict[str, Client]) -> Client:
    return people[LEE]


@pytest.fixture
def ask(kim: Client, portal: PortalProcess, cluster: Any, presets: dict[str, str]) -> Callable[..., Job]:
    """Asks for a desktop of kim's, or of `client`'s."""

    def begin(preset: str = "plain", *, client: Client = kim, **wish: Any) -> Job:
        session = client.ask(preset=presets[preset], **wish)
        return Job(portal, cluster, client, session["id"])

    return begin


@pytest.fixture
def start(ask: Callable[..., Job]) -> Callable[..., Job]:
    """Starts a desktop of kim's that is ready."""

    def begin(preset: str = "plain", **wish: Any) -> Job:
        job = ask(preset, **wish)
        job.until("ready")
        return job

    return begin
