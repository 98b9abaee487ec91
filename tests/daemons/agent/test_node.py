"""A desktop on another host: its folder, its door with TLS, its scheduler's signals."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest

from madang.desktops.agent import door
from madang.doors import calls, tickets
from madang.doors.calls import DoorPlace
from madang.doors.handover import DoorForeign, DoorRefused, DoorUnreachable
from tests.daemons.agent.desk import Site, eventually
from tests.daemons.agent.node import DOOR_PORTS, NodeDesk, node_folder, start_on_node

HELLO = b"RFB 003.008\n"


async def first_words(desk: NodeDesk) -> bytes:
    wire = await calls.engine(desk.place, desk.order.door_key, desk.session)
    try:
        said = bytearray(12)
        assert await asyncio.wait_for(wire.receive_into(said), 5) == 12
        return bytes(said)
    finally:
        wire.close()


async def test_its_desktop_is_reached_through_tls(node_desk: NodeDesk) -> None:
    assert await first_words(node_desk) == HELLO
    assert DOOR_PORTS[0] <= node_desk.place.port <= DOOR_PORTS[1]


async def test_nothing_is_said_before_the_certificate_is_known(node_desk: NodeDesk) -> None:
    wrong = dataclasses.replace(node_desk.place, fingerprint="0" * 64)
    with pytest.raises(DoorForeign):
        await calls.call(wrong, node_desk.order.door_key, node_desk.session, "log")
    refusals = [line for line in node_desk.log.splitlines() if "door: refused" in line]
    assert all(line.endswith("no ticket") for line in refusals), refusals


async def test_another_door_is_refused_though_its_certificate_is_good(node_desk: NodeDesk) -> None:
    with pytest.raises(DoorRefused) as caught:
        await calls.call(node_desk.place, tickets.new_key(), node_desk.session, "log")
    assert caught.value.code == "ticket_invalid"
    with pytest.raises(DoorRefused) as caught:
        await calls.call(node_desk.place, node_desk.order.door_key, node_desk.session, "dance")
    assert caught.value.code == "verb_unknown" and caught.value.title


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_tls_and_no_tls_are_hung_up_on(node_desk: NodeDesk) -> None:
    address = ("127.0.0.1", node_desk.place.port)
    with socket.create_connection(address, 5) as plain:
        plain.sendall(b'{"ticket": "x"}\n')
        with contextlib.suppress(ConnectionResetError):
            assert b"ok" not in plain.recv(100)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(address, 5) as connection, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(connection)
    assert await first_words(node_desk) == HELLO


async def test_strangers_who_say_nothing_do_not_keep_the_door(node_desk: NodeDesk) -> None:
    idle = [socket.create_connection(("127.0.0.1", node_desk.place.port), 5) for _ in range(100)]
    assert await first_words(node_desk) == HELLO
    for connection in idle:
        connection.close()


async def test_a_cut_connection_is_noticed(node_desk: NodeDesk) -> None:
    wires = [await calls.engine(node_desk.place, node_desk.order.door_key, node_desk.session) for _ in range(3)]
    for wire in wires:
        wire.socket.close()  # type: ignore[attr-defined]  # without a goodbye
    handles = Path(f"/proc/{node_desk.worker}/fd")
    if os.geteuid() == 0:
        few = len(list(handles.iterdir()))
        await eventually(lambda: len(list(handles.iterdir())) <= few - 3 or few < 30, 5, "connections are kept")
    assert await first_words(node_desk) == HELLO


async def test_its_log_is_read_through_the_door_and_comes_with_the_last_report(node_desk: NodeDesk) -> None:
    answer, body = await calls.fetch(
        node_desk.place, node_desk.order.door_key, node_desk.session, "log", most_bytes=300_000
    )
    assert f"session {node_desk.session} for" in body.decode() and answer["size"] == len(body)
    assert (node_desk.folder / "session.log").stat().st_mode & 0o777 == 0o600
    assert node_desk.output.read_text() == ""
    await node_desk.end()
    last = await node_desk.until("ended")
    assert "ending: asked" in last["log_tail"]
    assert not any(report["log_tail"] for report in node_desk.reports[:-1])
    await node_desk.assert_nothing_left()


async def test_a_log_stays_small(site: Site) -> None:
    desk = start_on_node(site, log_bytes=20_000)
    await desk.until("ready")
    limit = 20_000 + 256 * 1024
    for _ in range(4):
        for _ in range(60):
            with pytest.raises(DoorRefused):
                await calls.call(desk.place, tickets.new_key(), desk.session, "log")
    await asyncio.to_thread(desk.run, "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x >&2; true")
    assert (desk.folder / "session.log").stat().st_size <= limit
    assert "further refusals are not written down" in desk.log


async def test_knows_its_job(site: Site) -> None:
    desk = start_on_node(site, environment={"SLURM_JOB_ID": "4711", "SLURM_RESTART_COUNT": "2", "SECRET": "x"})
    report = await desk.until("ready")
    assert (report["job"], report["restarts"]) == ("4711", 2)
    assert desk.environment()["SLURM_JOB_ID"] == "4711"
    assert "SECRET" not in desk.environment()


@pytest.mark.parametrize(("left", "reason"), [(3600.0, "terminated"), (10.0, "time_limit")])
async def test_a_scheduler_asks_it_to_end(site: Site, left: float, reason: str) -> None:
    desk = start_on_node(site, ends_at=time.time() + left + 5)
    await desk.until("ready")
    if reason == "time_limit":
        await site.portal.say(desk.session, do="time", ends_at=time.time() + left)
    await asyncio.sleep(0.3)
    os.killpg(desk.agent.pid, signal.SIGTERM)
    assert (await desk.until("ended"))["end_reason"] == reason
    await desk.until_gone()
    await desk.assert_nothing_left()


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
async def test_refuses_a_folder_that_is_not_its_own(site: Site, kind: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make something of somebody else's")
    target = node_folder(site) / "taken"
    elsewhere = site.folder / "elsewhere"
    elsewhere.mkdir()
    os.chown(elsewhere, site.uid, site.gid)
    (elsewhere / "precious").touch()
    if kind == "folder":
        target.mkdir()
        target.chmod(0o777)
        (target / "precious").touch()
    elif kind == "link":
        target.symlink_to(elsewhere)
    else:
        target.touch()
    desk = start_on_node(site, folder=str(target))
    failure = await desk.until_failed()
    assert failure["code"] == "folder_refused" and str(target) in failure["detail"]
    await desk.until_gone()
    assert os.path.lexists(target) and (elsewhere / "precious").exists()
    assert kind != "folder" or (target / "precious").exists()
    assert not desk.processes()


async def test_takes_over_what_its_own_last_run_left(site: Site) -> None:
    desk = start_on_node(site)
    await desk.until("ready")
    stopped = desk.worker
    desk.kill(stopped, signal.SIGSTOP)
    desk.kill(desk.keeper)
    desk.kill(stopped)
    assert "Xvnc" in desk.processes().values() and desk.folder.is_dir()
    again = start_on_node(site, session=desk.session, folder=str(desk.folder), environment={"SLURM_RESTART_COUNT": "1"})
    await site.portal.wait(desk.session, lambda report: report["state"] == "ready" and report["restarts"] == 1)
    assert sorted(again.processes().values()).count("Xvnc") == 1
    await again.end()
    await again.assert_nothing_left()


async def test_clears_what_killed_sessions_of_its_account_left(site: Site) -> None:
    """Slurm's last resort is SIGKILL for all at once: the next agent on that node tidies up."""

    def on_node(session: str) -> NodeDesk:
        return start_on_node(site, session=session, folder=str(node_folder(site) / f"madang-{session}-{session[::-1]}"))

    killed, alive = on_node("a1"), on_node("b2")
    await killed.until("ready")
    await alive.until("ready")
    display = killed.display
    for pid in (killed.worker, killed.keeper, *killed.processes()):
        with contextlib.suppress(ProcessLookupError):
            killed.kill(pid, signal.SIGSTOP)
    for pid in killed.processes():
        killed.kill(pid)
    await eventually(lambda: not killed.processes(), 5, "still there")
    foreign = node_folder(site) / "madang-c3"
    foreign.mkdir(mode=0o777)
    for folder in (killed.folder, alive.folder, foreign):
        os.utime(folder, (1, 1))
    (node_folder(site) / "madang-link").symlink_to(alive.folder)
    assert killed.folder.exists() and os.path.lexists(f"/tmp/.X11-unix/X{display}")
    third = on_node("d4")
    await third.until("ready")
    assert not killed.folder.exists() and alive.folder.exists()
    assert third.display == display
    assert foreign.exists() or os.geteuid() != 0
    assert await first_words(alive) == HELLO


async def test_no_port_is_free(site: Site) -> None:
    taken = []
    try:
        for port in range(DOOR_PORTS[0], DOOR_PORTS[0] + 2):
            listener = socket.create_server(("127.0.0.1", port))
            taken.append(listener)
        desk = start_on_node(site, door_ports=(DOOR_PORTS[0], DOOR_PORTS[0] + 1))
        failure = await desk.until_failed()
    finally:
        for listener in taken:
            listener.close()
    assert failure["code"] == "no_free_port"
    await desk.until_gone()
    await desk.assert_nothing_left()


def test_two_agents_never_get_one_port() -> None:
    first = door.bind_one_of((DOOR_PORTS[1], DOOR_PORTS[1]))
    with first, pytest.raises(door.NoFreePort):
        door.bind_one_of((DOOR_PORTS[1], DOOR_PORTS[1]))


async def test_an_ended_agent_cannot_be_reached(node_desk: NodeDesk) -> None:
    place = node_desk.place
    await node_desk.end()
    with pytest.raises(DoorUnreachable):
        await calls.engine(place, node_desk.order.door_key, node_desk.session)
    with pytest.raises(DoorUnreachable):
        await calls.engine(DoorPlace.remote("192.0.2.1", 9, "0" * 64), "k", "s", timeout_seconds=0.3)
