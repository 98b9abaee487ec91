"""Several hosts, one of them on the network: where machines go, what is seen of each, what a loss does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
import websockets

from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.support import remote_host
from tests.support.libvirt import PrivateLibvirt, private_libvirt
from tests.support.remote_host import RemoteHost
from tests.support.waiting import eventually

LOST_SECONDS = 60.0


@pytest.fixture(scope="module")
def far(libvirt_session: PrivateLibvirt) -> Iterator[RemoteHost]:
    """A second host with the storage of the first one."""
    if lacking := remote_host.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with private_libvirt(beside=libvirt_session) as libvirtd, remote_host.remote_host(libvirtd) as remote:
        yield remote


@pytest.fixture(scope="module")
def portal_process(libvirt_session: PrivateLibvirt, far: RemoteHost) -> Iterator[MachinePortal]:
    libvirt_session.mend()
    hosts = [f"here={libvirt_session.uri}", f"far={far.uri}"]
    with MachinePortal(libvirt_session, MACHINES_HOSTS=json.dumps(hosts)) as made:
        yield made


@pytest.fixture(autouse=True)
def no_machines_are_left(far: RemoteHost, libvirtd: PrivateLibvirt) -> Iterator[None]:
    yield
    far.libvirtd.clear()


def hosts(operator: MachineClient) -> dict[str, Json]:
    answer = operator.get("/api/vms/hosts")
    assert answer.status_code == 200, answer.text
    return {host["name"]: host for host in answer.json()}


def test_operators_see_the_hosts(portal: MachinePortal, kim: MachineClient, park: MachineClient) -> None:
    seen = hosts(park)
    assert list(seen) == ["here", "far"]
    for host in seen.values():
        assert host["connected"] and host["storage_problem"] is None and host["problem"] == ""
        capacity = host["capacity"]
        assert 0 < capacity["memory_free"] <= capacity["memory_bytes"] and capacity["cpus"] >= 1
        assert 0 < host["pool"]["free"] <= host["pool"]["total"]
    assert seen["far"]["uri"].startswith("qemu+ssh://") and "?" not in seen["far"]["uri"]
    refused = kim.get("/api/vms/hosts")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    name = park.get("/api/identity/me").json()["person"]["name"]
    listed = portal.cli("machines", "hosts", MADANG_PERSON=name, COLUMNS="250").stdout
    assert "here" in listed and "qemu+ssh://" in listed and "keyfile" not in listed


def test_a_machine_goes_where_memory_is_left(kim: MachineClient, park: MachineClient) -> None:
    total = hosts(park)["far"]["capacity"]["memory_bytes"]
    most = total * 3 // 5 // 2**20 * 2**20
    taking = kim.make("taking", host="far", memory_bytes=most)
    kim.act(taking["id"], "start")
    kim.until_state(taking["id"], "running")
    far = hosts(park)["far"]
    assert far["capacity"]["running"] == 1 and far["machines"] == 1
    assert far["capacity"]["memory_free"] <= total - most, "it may take it at any moment"
    assert [kim.make(f"new {number}")["host"] for number in range(3)] == ["here"] * 3
    kim.act(taking["id"], "force_off")
    taking = kim.make("taking here", host="here", memory_bytes=most)
    kim.act(taking["id"], "start")
    assert [kim.make(f"newer {number}")["host"] for number in range(3)] == ["far"] * 3
    kim.act(taking["id"], "force_off")
    unknown = kim.post("/api/vms", json={"name": "nowhere", "host": "elsewhere"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "no_such_host")


async def test_its_console_is_its_owners(
    portal: MachinePortal, kim: MachineClient, lee: MachineClient, far: RemoteHost
) -> None:
    machine = (await asyncio.to_thread(kim.make, host="far"))["id"]
    await asyncio.to_thread(kim.act, machine, "start")
    url = f"{portal.ws_url}/machines/console/{machine}"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url, additional_headers=lee.socket_headers):
            pass
    assert refused.value.response.status_code == 404 and far.viewers() == 0
    async with websockets.connect(url, additional_headers=kim.socket_headers) as console:
        assert (await asyncio.wait_for(console.recv(), 20))[:4] == b"RFB "
        assert far.viewers() == 1
    await asyncio.to_thread(eventually, lambda: far.viewers() == 0, 20, "ssh stays when nobody looks")
    async with websockets.connect(url, additional_headers=kim.socket_headers) as console:
        await asyncio.wait_for(console.recv(), 20)
        await asyncio.to_thread(kim.act, machine, "force_off")
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(console.recv(), 20)
    assert console.close_code == 4001
    await asyncio.to_thread(eventually, lambda: far.viewers() == 0, 20, "ssh stays when the machine is off")


async def test_nothing_is_left_of_a_portal_that_is_killed(
    portal: MachinePortal, kim: MachineClient, far: RemoteHost
) -> None:
    machine = (await asyncio.to_thread(kim.make, host="far"))["id"]
    await asyncio.to_thread(kim.act, machine, "start")
    url = f"{portal.ws_url}/machines/console/{machine}"
    async with websockets.connect(url, additional_headers=kim.socket_headers) as console:
        await asyncio.wait_for(console.recv(), 20)
        assert far.viewers() == 1
        await asyncio.to_thread(portal.kill)
        await asyncio.to_thread(eventually, lambda: far.viewers() == 0, 20, "ssh outlives its portal")
    await asyncio.to_thread(portal.start)
    await asyncio.to_thread(kim.act, machine, "force_off")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["silence", "cut"])
def test_a_lost_host_makes_its_machines_unknown_and_nothing_else(
    kim: MachineClient, park: MachineClient, far: RemoteHost, how: str
) -> None:
    away, here = (kim.make(name, host=name)["id"] for name in ("far", "here"))
    for machine in (away, here):
        kim.act(machine, "start")
    kim.until_state(away, "running")
    getattr(far, how)()
    try:
        lost = kim.wait(away, lambda one: one["unknown_since"], LOST_SECONDS)
        assert (lost["state"], lost["last_state"]) == ("unknown", "running")
        listed = {one["id"]: one["state"] for one in kim.get("/api/vms").json()}
        assert listed == {away: "unknown", here: "running"}
        seen = hosts(park)
        assert seen["here"]["connected"] and not seen["far"]["connected"]
        assert seen["far"]["problem"] and seen["far"]["down_since"] and seen["far"]["capacity"] is None
        # The other host goes on, and so does what is made.
        assert kim.make("meanwhile")["host"] == "here"
        kim.act(here, "force_off")
        refused = kim.post("/api/vms", json={"name": "there", "host": "far"})
        assert (refused.status_code, refused.json()["code"]) == (503, "host_unreachable")
        with pytest.raises(httpx.HTTPStatusError):
            kim.get(f"/api/vms/{away}/screenshot").raise_for_status()
    finally:
        far.let_through() if how == "silence" else far.start()
    back = kim.wait(away, lambda one: one["state"] == "running", LOST_SECONDS)
    assert back["unknown_since"] is None
    eventually(lambda: hosts(park)["far"]["connected"], LOST_SECONDS, "it is not shown as back")
    kim.act(away, "force_off")


def test_a_portal_starts_works_and_ends_while_a_host_is_silent(far: RemoteHost, libvirtd: PrivateLibvirt) -> None:
    far.silence()
    try:
        with MachinePortal(libvirtd, MACHINES_HOSTS=json.dumps([f"here={libvirtd.uri}", f"far={far.uri}"])) as portal:
            portal.add_person("kim")
            with portal.client("kim") as kim:
                assert kim.make()["host"] == "here"
            assert portal.process is not None
            portal.process.terminate()
            assert portal.process.wait(60) == 0, "it waits for what hangs"
    finally:
        far.let_through()
