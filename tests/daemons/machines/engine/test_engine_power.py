"""Starting, stopping, pausing; what stands in the way is said before anything has changed."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from pathlib import Path

import pytest

from madang.kernel.errors import Conflict, InvalidInput, NotFound
from madang.machines.hosts import Change, Host
from tests.support.libvirt import PrivateLibvirt, make, until


async def test_a_round_of_all(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    for action in (host.shut_down, host.reset, host.force_off, host.pause, host.resume, host.screenshot):
        with pytest.raises(Conflict) as refused:
            await action(wish.uuid)
        assert refused.value.code == "machine_not_running"
    await host.start_machine(wish.uuid)
    began = (await host.look(wish.uuid)).since
    assert began is not None
    with pytest.raises(Conflict) as refused:
        await host.start_machine(wish.uuid)
    assert refused.value.code == "machine_running"
    with pytest.raises(Conflict) as refused:
        await host.resume(wish.uuid)
    assert refused.value.code == "machine_running"
    await host.pause(wish.uuid)
    assert (await host.look(wish.uuid)).state == "paused"
    await host.resume(wish.uuid)
    await host.reset(wish.uuid)
    seen = await host.look(wish.uuid)
    assert (seen.state, seen.since) == ("running", began), "a reset is the same run"
    await host.force_off(wish.uuid)
    seen = await host.look(wish.uuid)
    assert (seen.state, seen.reason, seen.since, seen.boot_device) == ("shut_off", "destroyed", None, None)


async def test_there_is_no_such_machine(host: Host) -> None:
    for name in (str(uuid.uuid4()), "no uuid", ""):
        for action in (host.start_machine, host.force_off, host.look, host.snapshots, host.definition_xml):
            with pytest.raises(NotFound) as refused:
                await action(name)
            assert refused.value.code == "no_such_machine"


async def test_reset_while_a_restart_would_end_the_run(host: Host, libvirtd: PrivateLibvirt) -> None:
    """The reset button during an installation is a reset, not the installer's own restart."""
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid, on_reboot="destroy")
    await host.reset(wish.uuid)
    await until(lambda: host.look(wish.uuid), lambda seen: seen.state == "running", 5)
    assert (await host.look(wish.uuid)).definition.on_reboot == "destroy"


async def test_a_disk_that_is_not_there(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    Path(wish.disk_path).unlink()
    with pytest.raises(NotFound) as refused:
        await host.start_machine(wish.uuid)
    assert refused.value.code == "disk_missing" and wish.disk_path in refused.value.detail
    assert (await host.look(wish.uuid)).state == "shut_off"


async def test_a_disk_that_another_machine_writes_to(host: Host, libvirtd: PrivateLibvirt) -> None:
    one = await make(host, libvirtd)
    other = libvirtd.wish(disk_path=one.disk_path)
    await host.define(other)
    await host.start_machine(one.uuid)
    with pytest.raises(Conflict) as refused:
        await host.start_machine(other.uuid)
    assert refused.value.code == "disk_in_use" and one.disk_path in refused.value.detail
    await host.force_off(one.uuid)
    await host.start_machine(other.uuid)


async def test_qemu_is_killed(host: Host, libvirtd: PrivateLibvirt) -> None:
    heard: list[Change] = []
    host.on_change = heard.append
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    os.kill(libvirtd.qemu_pid(wish.name), signal.SIGKILL)
    seen = await until(lambda: host.look(wish.uuid), lambda seen: seen.state != "running", 10)
    assert seen.state == "crashed"
    await asyncio.sleep(0.2)
    assert [change.detail for change in heard if change.what == "stopped"] == ["failed"]
    await host.start_machine(wish.uuid)
    assert (await host.look(wish.uuid)).state == "running"


async def test_keys_that_do_not_exist(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    for keys in ([], ["KEY_NONE_SUCH"], ["1"] * 17, ["\x00"]):
        with pytest.raises(InvalidInput) as refused:
            await host.send_keys(wish.uuid, keys)
        assert refused.value.code == "unknown_key"
    await host.send_keys(wish.uuid, ["KEY_LEFTCTRL", "KEY_LEFTALT", "delete"])


async def test_a_run_that_was_put_aside_goes_on(host: Host, libvirtd: PrivateLibvirt) -> None:
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    libvirtd.virsh("managedsave", wish.uuid)
    assert (await host.look(wish.uuid)).reason == "saved"
    await host.start_machine(wish.uuid, first="hd")
    seen = await host.look(wish.uuid)
    assert (seen.state, seen.definition.boot_order) == ("running", "cdrom_hd")
    await host.force_off(wish.uuid)
    await host.start_machine(wish.uuid, first="hd")
    assert (await host.look(wish.uuid)).definition.boot_order == "hd"
