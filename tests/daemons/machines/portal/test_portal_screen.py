"""Console, serial port, screenshot, keys; and the command line."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
import websockets

from tests.daemons.machines.portal.house import MachineClient, MachinePortal


@pytest.fixture
def running(kim: MachineClient, tiny: Path) -> str:
    machine = str(kim.make(iso_path=str(tiny))["id"])
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    return machine


async def test_the_screen_is_shown_until_the_machine_is_off(
    portal: MachinePortal, kim: MachineClient, running: str
) -> None:
    url, headers = f"{portal.ws_url}/machines/console/{running}", kim.socket_headers
    async with websockets.connect(url, additional_headers=headers, subprotocols=["binary"]) as console:  # type: ignore[list-item]
        assert (await asyncio.wait_for(console.recv(), 10))[:4] == b"RFB "
        await asyncio.to_thread(kim.act, running, "force_off")
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(console.recv(), 10)
    assert console.close_code == 4001


async def test_who_signs_out_does_not_see_the_screen_any_more(portal: MachinePortal, kim: MachineClient) -> None:
    name = kim.get("/api/identity/me").json()["person"]["name"]
    with contextlib.closing(portal.by_cookie(name)) as browser:
        machine = kim.make()["id"]
        kim.act(machine, "start")
        headers = browser.socket_headers
        async with websockets.connect(
            f"{portal.ws_url}/machines/console/{machine}", additional_headers=headers
        ) as console:
            await asyncio.wait_for(console.recv(), 10)
            assert (await asyncio.to_thread(browser.post, "/api/identity/sign-out")).status_code < 300
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(console.recv(), 10)
    assert console.close_code == 4003


async def test_the_serial_port_is_text(portal: MachinePortal, kim: MachineClient, running: str) -> None:
    said = b""
    async with websockets.connect(
        f"{portal.ws_url}/machines/serial/{running}", additional_headers=kim.socket_headers
    ) as serial:
        while b"TINY" not in said:
            part = await asyncio.wait_for(serial.recv(), 60)
            said += part if isinstance(part, bytes) else part.encode()


def test_a_screenshot_is_a_picture_and_not_sent_again(kim: MachineClient, running: str) -> None:
    shot = kim.get(f"/api/vms/{running}/screenshot")
    assert shot.status_code == 200 and shot.content[:8] == b"\x89PNG\r\n\x1a\n"
    again = kim.get(f"/api/vms/{running}/screenshot", headers={"If-None-Match": shot.headers["etag"]})
    assert again.status_code in (200, 304)
    assert kim.post(f"/api/vms/{running}/keys", json={"keys": ["ctrl", "alt", "delete"]}).status_code == 204
    kim.refused(running, "keys", 422, "unknown_key", keys=["any"])
    kim.act(running, "force_off")
    off = kim.get(f"/api/vms/{running}/screenshot")
    assert (off.status_code, off.json()["code"]) == (409, "machine_not_running")
    kim.refused(running, "keys", 409, "machine_not_running", keys=["a"])


@pytest.mark.timeout(300)
def test_the_command_line(portal: MachinePortal, kim: MachineClient, some_iso: Path) -> None:
    name = kim.get("/api/identity/me").json()["person"]["name"]

    def cli(*words: str, check: bool = True) -> str:
        done = portal.cli("machines", *words, check=check, MADANG_PERSON=name)
        return done.stdout + done.stderr

    assert "No machines" in cli("list")
    assert "some.iso" in cli("isos")
    assert "is shut_off" in cli("create", "web", "--iso", "some.iso", "--disk", "1G", "--memory", "64M")
    assert "some.iso" in cli("list") and "1 GiB" in cli("show", "web")
    assert "boots hd." in cli("boot-order", "web", "hd")
    assert "sda: empty" in cli("eject", "web")
    assert "sdb: some.iso" in cli("insert", "web", "some.iso", "--drive", "sdb")
    assert "Installed, boots hd_cdrom" in cli("installed", "web", "--boot-order", "hd_cdrom")
    assert "2 GiB" in cli("resize", "web", "2")
    assert "A disk only grows" in cli("resize", "web", "1", check=False)
    assert "is running" in cli("start", "web")
    assert "from its next start on" in cli("boot-order", "web", "hd")
    assert "boots hd_cdrom." in cli("boot-order", "web", "--discard")
    assert "is shut_off" in cli("force-off", "web")
    assert "Taken" in cli("snapshot", "web", "First")
    assert "First" in cli("snapshots", "web")
    assert "has" in cli("backup", "web") and "web" in cli("backups")
    assert "boot_order" in cli("operations", "web")
    assert "is a template" in cli("template", "web") and "is shut_off" in cli("clone", "web", "copy")
    assert "Deleted" in cli("delete", "web", "--yes")
    assert "restored" in cli("restore", cli("backups").split("│")[1].strip(), "--new", "again")
    assert "There is no machine" in cli("show", "web", check=False)
