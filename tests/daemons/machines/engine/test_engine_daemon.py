"""A libvirtd of one's own: started when there is none, found again, started anew when it hangs, and what stops it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from madang.kernel.errors import SiteError
from madang.machines.hosts.daemon import MOST_RUNTIME_BYTES, Daemon
from tests.support.accounts import AS_ROOT
from tests.support.libvirt import PrivateLibvirt, make


async def test_it_is_started_once(libvirtd: PrivateLibvirt) -> None:
    pid = libvirtd.daemon.pid
    assert pid is not None
    await libvirtd.daemon.start()
    assert Daemon(libvirtd.daemon.state, libvirtd.daemon.runtime, libvirtd.account).pid == pid


async def test_one_that_hangs_is_replaced_and_machines_stay(libvirtd: PrivateLibvirt) -> None:
    host = libvirtd.host(silent=1.0)
    await host.start()
    wish = await make(host, libvirtd)
    await host.start_machine(wish.uuid)
    pid = libvirtd.daemon.pid
    libvirtd.signal(signal.SIGSTOP)
    await libvirtd.daemon.start(seconds=2.0)
    assert libvirtd.daemon.pid not in (None, pid)
    while not host.connected:
        await asyncio.sleep(0.05)
    assert (await host.look(wish.uuid)).state == "running"
    await host.stop()


async def test_a_folder_that_is_too_long_for_sockets(tmp_path: Path) -> None:
    runtime = Path("/tmp") / ("x" * (MOST_RUNTIME_BYTES - 4))
    with pytest.raises(SiteError) as refused:
        await Daemon(tmp_path / "state", runtime, "nobody" if AS_ROOT else None).start()
    assert str(runtime) in refused.value.detail and not runtime.exists()


async def test_folders_of_somebody_else(tmp_path: Path, libvirtd: PrivateLibvirt) -> None:
    tmp_path.chmod(0o700)
    runtime = libvirtd.folder / "r2"
    with pytest.raises(SiteError) as refused:
        # As root: its account cannot pass through our folder. Else: others can look into it.
        state = tmp_path / "state"
        if not AS_ROOT:
            state.mkdir(mode=0o755)
        await Daemon(state, runtime, libvirtd.account).start()
    assert refused.value.code == "wrong_folder"


@pytest.mark.skipif(not AS_ROOT, reason="is about root")
async def test_as_root_it_would_be_the_machines_own(tmp_path: Path) -> None:
    for account in (None, "root"):
        with pytest.raises(SiteError) as refused:
            await Daemon(tmp_path / "state", Path("/tmp/mv-none"), account).start()
        assert refused.value.code == "libvirt_failed" and refused.value.hint
