"""CPUs, memory and network: for the next start, at once or not at all, and back with a snapshot."""

from __future__ import annotations

import asyncio

import pytest

from madang.kernel.errors import InvalidInput
from madang.machines.hosts import Definition, Hardware, Host
from tests.daemons.machines.engine.test_engine_faults import connected
from tests.support.libvirt import MEMORY, PrivateLibvirt, make

MIB = 1024**2
MORE = Hardware(cpus=2, memory_bytes=MEMORY + 64 * MIB, network="none")
BEFORE, AFTER = (1, MEMORY, "user"), (2, MEMORY + 64 * MIB, "none")


def of(definition: Definition) -> tuple[int, int, str]:
    return definition.cpus, definition.memory_bytes, definition.network


async def test_what_runs_goes_on_and_the_next_start_has_it(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    assert of(await host.set_hardware(wish.uuid, MORE)) == AFTER
    seen = await host.look(wish.uuid)
    assert (of(seen.definition), of(seen.inactive)) == (BEFORE, AFTER)
    await host.force_off(wish.uuid)
    await host.start_machine(wish.uuid)
    assert of((await host.look(wish.uuid)).definition) == AFTER
    info = libvirtd.virsh("dominfo", wish.uuid)
    assert f"{AFTER[1] // 1024} KiB" in info.partition("Used memory")[2], "all of it from the start"
    await host.set_hardware(wish.uuid, Hardware(*BEFORE))
    await host.force_off(wish.uuid)
    await host.start_machine(wish.uuid)
    assert of((await host.look(wish.uuid)).definition) == BEFORE


async def test_the_network_card_stays_the_same_one(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)

    def card() -> tuple[str, str]:
        xml = libvirtd.virsh("dumpxml", "--inactive", wish.uuid).partition("<interface")[2].partition("</interface>")[0]
        return xml.partition("<mac address=")[2][:20], xml.partition("<address type=")[2]

    before = card()
    assert "pci" in before[1]
    await host.set_hardware(wish.uuid, Hardware(network="bridge:br0"))
    assert card() == before
    await host.set_hardware(wish.uuid, Hardware(network="user"))
    assert card() == before


@pytest.mark.parametrize("wanted", [Hardware(cpus=0), Hardware(cpus=100_000), Hardware(network="direct:eth0")])
async def test_what_libvirt_does_not_take_leaves_the_old_definition(
    host: Host, libvirtd: PrivateLibvirt, wanted: Hardware
) -> None:
    wish = await make(host, libvirtd)
    before = await host.definition_xml(wish.uuid)
    with pytest.raises(InvalidInput) as refused:
        await host.set_hardware(wish.uuid, wanted)
    assert refused.value.code in ("wrong_definition", "wrong_network")
    assert await host.definition_xml(wish.uuid) == before


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.01, 0.03])
async def test_killed_at_any_moment_of_a_change(host: Host, libvirtd: PrivateLibvirt, pause: float) -> None:
    wish = await make(host, libvirtd)
    change = asyncio.create_task(host.set_hardware(wish.uuid, MORE))
    await asyncio.sleep(pause)
    libvirtd.kill()
    done = (await asyncio.gather(change, return_exceptions=True))[0]
    await asyncio.to_thread(libvirtd.start)
    await connected(host, True)
    seen = await host.look(wish.uuid)
    assert of(seen.inactive) in (BEFORE, AFTER), "the old or the new one, whole"
    if not isinstance(done, BaseException):
        assert seen.inactive == done, "what was confirmed has been kept"
    await host.start_machine(wish.uuid)


@pytest.mark.parametrize("running", [False, True])
async def test_a_snapshot_brings_it_back(host: Host, libvirtd: PrivateLibvirt, running: bool) -> None:
    wish = await make(host, libvirtd)
    if running:
        await host.start_machine(wish.uuid)
    await host.snapshot_take(wish.uuid, "before")
    await host.set_hardware(wish.uuid, MORE)
    if running:
        await host.force_off(wish.uuid)
        await host.start_machine(wish.uuid)
    await host.snapshot_revert(wish.uuid, "before")
    seen = await host.look(wish.uuid)
    assert (of(seen.definition), of(seen.inactive)) == (BEFORE, BEFORE)
