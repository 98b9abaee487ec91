"""libvirtd is killed or hangs, QEMU is killed, both: machines go on or not, and what is told is true."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from madang.kernel.errors import NotFound, Unavailable
from madang.machines.hosts import Change, Host, Seen
from tests.support.libvirt import PrivateLibvirt, make, until


async def connected(host: Host, wanted: bool, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while host.connected is not wanted:
        assert time.monotonic() < deadline, f"connected: {host.connected}, {host.problem}"
        await asyncio.sleep(0.02)


async def test_libvirtd_is_killed_and_comes_back(host: Host, libvirtd: PrivateLibvirt) -> None:
    heard: list[Change] = []
    connections: list[bool] = []
    host.on_change, host.on_connection = heard.append, connections.append
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid, first="hd", on_reboot="destroy")
    before = await host.look(wish.uuid)
    killed_at = time.time()
    libvirtd.kill()
    await connected(host, False)
    assert host.down_since is not None and abs(host.down_since - killed_at) < 5
    assert host.problem
    for ask in (host.snapshot, lambda: host.look(wish.uuid), lambda: host.start_machine(wish.uuid)):
        with pytest.raises(Unavailable) as refused:
            await ask()
        assert refused.value.code == "host_unreachable"

    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    assert (host.down_since, host.problem, connections) == (None, "", [False, True])
    after = await host.look(wish.uuid)
    assert (after.state, after.since) == ("running", before.since), "the machine has not noticed"
    assert (after.definition.boot_order, after.definition.on_reboot) == ("hd", "destroy")
    assert (after.inactive.boot_order, after.inactive.on_reboot) == ("cdrom_hd", "restart"), "what is kept is kept"
    libvirtd.virsh("destroy", wish.uuid)
    await until(lambda: host.look(wish.uuid), lambda seen: seen.state == "shut_off", 10)
    assert Change(wish.uuid, "stopped", "destroyed") in heard, "events were asked for again"


async def test_a_call_that_is_under_way_when_libvirtd_is_killed(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    libvirtd.signal(signal.SIGSTOP)
    call = asyncio.create_task(host.set_boot_order(wish.uuid, "hd"))
    await asyncio.sleep(0.2)
    libvirtd.kill()
    with pytest.raises(Unavailable) as refused:
        await call
    assert refused.value.code == "host_unreachable"
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    assert (await host.look(wish.uuid)).inactive.boot_order in ("cdrom_hd", "hd"), "the old or the new one, whole"


async def test_a_libvirtd_that_hangs_holds_nobody_up(libvirtd: PrivateLibvirt) -> None:
    host = libvirtd.host(call=1.0, silent=1.0, connect=1.0)
    await host.start()
    wish = await make(host, libvirtd)
    libvirtd.signal(signal.SIGSTOP)
    started = time.monotonic()
    asked = await asyncio.gather(*(host.look(wish.uuid) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in asked)
    assert time.monotonic() - started < 5
    await connected(host, False)
    await asyncio.sleep(1.5)  # it is tried again, and hangs again
    assert not host.connected
    libvirtd.signal(signal.SIGCONT)
    await connected(host, True)
    assert (await host.look(wish.uuid)).state == "shut_off"
    await host.stop()


async def test_both_are_killed(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish, other = await make(host, libvirtd), await make(host, libvirtd)
    for each in (wish, other):
        await host.start_machine(each.uuid)
    pid = libvirtd.qemu_pid(wish.name)
    libvirtd.kill()
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)

    async def gone() -> Seen:
        return (await host.snapshot())[wish.uuid]

    assert (await until(gone, lambda seen: seen.state != "running", 10)).state in ("crashed", "shut_off")
    assert (await host.look(other.uuid)).state == "running"
    await host.start_machine(wish.uuid)


async def test_no_libvirtd_from_the_beginning(libvirtd: PrivateLibvirt) -> None:
    libvirtd.kill()
    host = libvirtd.host()
    await host.start()
    assert not host.connected and host.down_since is not None and host.problem
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    assert await host.snapshot() == {}
    await host.stop()


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.01, 0.03])
async def test_killed_at_any_moment_of_a_change_of_order(host: Host, libvirtd: PrivateLibvirt, pause: float) -> None:
    wish = await make(host, libvirtd)
    change = asyncio.create_task(host.set_boot_order(wish.uuid, "hd"))
    await asyncio.sleep(pause)
    libvirtd.kill()
    done = (await asyncio.gather(change, return_exceptions=True))[0]
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    seen = await host.look(wish.uuid)
    assert seen.inactive.boot_order in ("cdrom_hd", "hd")
    if not isinstance(done, Exception):
        assert seen.inactive == done, "what was confirmed has been kept"
    await host.start_machine(wish.uuid)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.2, 0.5])
async def test_killed_at_any_moment_of_a_start(host: Host, libvirtd: PrivateLibvirt, pause: float) -> None:
    """A start in another order than the kept one: the kept one stays, and another start is possible."""
    wish = await make(host, libvirtd)
    start = asyncio.create_task(host.start_machine(wish.uuid, first="hd"))
    await asyncio.sleep(pause)
    libvirtd.kill()
    await asyncio.gather(start, return_exceptions=True)
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    seen = await host.look(wish.uuid)
    assert seen.inactive.boot_order == "cdrom_hd"
    if seen.state != "running":
        await host.start_machine(wish.uuid, first="hd")


async def test_a_machine_that_vanishes_between_two_looks(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    libvirtd.virsh("undefine", wish.uuid)
    with pytest.raises(NotFound):
        await host.look(wish.uuid)
    assert host.connected, "that it is gone is no failure of the host"
