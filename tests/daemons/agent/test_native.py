"""Native clients: one password, over TLS, for one client; with TigerVNC's own viewer and with a raw one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from madang.desktops.agent import des
from madang.doors import calls
from madang.doors.handover import DoorRefused
from tests.daemons.agent.desk import Site, eventually
from tests.daemons.agent.node import NATIVE_PORTS, NodeDesk
from tests.daemons.agent.rfb import Client


async def open_native(desk: NodeDesk, seconds: int = 60) -> dict[str, Any]:
    return await calls.call(desk.place, desk.order.door_key, desk.session, "native", {"seconds": seconds}, 20)


class Viewer:
    """A raw client, up to the result of its password."""

    def __init__(self, port: int) -> None:
        self.connection: Any = socket.create_connection(("127.0.0.1", port), 5)
        assert self.read(12) == b"RFB 003.008\n"
        self.connection.sendall(b"RFB 003.008\n")
        self.offered = self.read(self.read(1)[0])

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.connection.recv(size - len(data))
            if not part:
                raise ConnectionError("the other side hung up")
            data += part
        return data

    def start_tls(self, subtype: int = 261) -> bytes:
        """Returns the certificate."""
        self.connection.sendall(b"\x13")
        assert self.read(2) == b"\x00\x02"
        self.connection.sendall(b"\x00\x02")
        assert self.read(1) == b"\x00"
        assert self.read(5) == struct.pack(">BI", 1, 261)
        self.connection.sendall(struct.pack(">I", subtype))
        if self.read(1) != b"\x01":
            raise ConnectionError("not this subtype")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = context.wrap_socket(self.connection)
        return bytes(self.connection.getpeercert(binary_form=True))

    def try_password(self, password: str) -> int:
        self.connection.sendall(des.response(self.read(16), password))
        return int(struct.unpack(">I", self.read(4))[0])


def enter(port: int, password: str) -> tuple[int, Viewer]:
    viewer = Viewer(port)
    viewer.start_tls()
    return viewer.try_password(password), viewer


async def test_a_raw_client_comes_in_once(node_desk: NodeDesk) -> None:
    opened = await open_native(node_desk)
    assert NATIVE_PORTS[0] <= opened["port"] <= NATIVE_PORTS[1]
    assert len(opened["password"]) == 8 and 50 < opened["expires_at"] - time.time() < 70
    viewer = await asyncio.to_thread(Viewer, opened["port"])
    assert viewer.offered == b"\x13"
    certificate = await asyncio.to_thread(viewer.start_tls)
    assert hashlib.sha256(certificate).hexdigest() == opened["fingerprint"] == node_desk.place.fingerprint
    assert ssl.PEM_cert_to_DER_cert(opened["certificate"]) == certificate
    assert await asyncio.to_thread(viewer.try_password, opened["password"]) == 0
    viewer.connection.sendall(b"\x01")
    width, height = struct.unpack(">HH", viewer.read(4))
    assert (width, height) == (1440, 900)
    # Not a second time, while the first one stays.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", opened["port"]), 2)
    viewer.read(16)
    assert viewer.read(struct.unpack(">I", viewer.read(4))[0]) == b"Madang"


async def test_three_wrong_passwords_close_it(node_desk: NodeDesk) -> None:
    opened = await open_native(node_desk)
    for _ in range(3):
        result, viewer = await asyncio.to_thread(enter, opened["port"], "wrong123")
        assert result == 1
        assert b"wrong" in viewer.read(struct.unpack(">I", viewer.read(4))[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", opened["port"]), 2)
    again = await open_native(node_desk)
    assert again["password"] != opened["password"]
    assert (await asyncio.to_thread(enter, again["port"], again["password"]))[0] == 0


async def test_asking_again_ends_the_old_password(node_desk: NodeDesk) -> None:
    old, new = await open_native(node_desk), await open_native(node_desk)
    if old["port"] != new["port"]:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old["port"]), 2)
    assert (await asyncio.to_thread(enter, new["port"], old["password"]))[0] == 1
    assert (await asyncio.to_thread(enter, new["port"], new["password"]))[0] == 0


async def test_they_are_cut_off_when_the_portal_says_so(node_desk: NodeDesk) -> None:
    first = await open_native(node_desk)
    result, inside = await asyncio.to_thread(enter, first["port"], first["password"])
    assert result == 0
    inside.connection.sendall(b"\x01")
    assert len(inside.read(24)) == 24
    second = await open_native(node_desk)
    instruction = {"instruction": {"do": "shut"}}
    await calls.call(node_desk.place, node_desk.order.door_key, node_desk.session, "instruct", instruction, 20)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.to_thread(inside.read, 1_000_000)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", second["port"]), 2)
    assert "Xvnc" in node_desk.processes().values()
    again = await open_native(node_desk)
    assert (await asyncio.to_thread(enter, again["port"], again["password"]))[0] == 0


async def test_it_expires(node_desk: NodeDesk) -> None:
    opened = await open_native(node_desk, 10)
    waiting = await asyncio.to_thread(Viewer, opened["port"])
    waiting.start_tls()
    await asyncio.sleep(10.5)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        waiting.try_password(opened["password"])
        raise ConnectionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", opened["port"]), 2)


async def test_nothing_without_tls(node_desk: NodeDesk) -> None:
    opened = await open_native(node_desk)
    for choice in (b"\x01", b"\x02", b"\x10"):
        viewer = await asyncio.to_thread(Viewer, opened["port"])
        viewer.connection.sendall(choice)
        with pytest.raises(ConnectionError):
            viewer.read(1)
    viewer = await asyncio.to_thread(Viewer, opened["port"])
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(viewer.start_tls, 256)
    idle = [socket.create_connection(("127.0.0.1", opened["port"]), 5) for _ in range(20)]
    assert (await asyncio.to_thread(enter, opened["port"], opened["password"]))[0] == 0
    for connection in idle:
        connection.close()


async def test_where_a_site_has_none(site: Site) -> None:
    desk = await site.start()
    await desk.until("ready")
    place = calls.DoorPlace.local(desk.folder / "door.sock", desk.uid)
    with pytest.raises(DoorRefused) as caught:
        await calls.call(place, desk.order.door_key, desk.session, "native", {})
    assert caught.value.code == "native_off"


# TigerVNC's viewer, on a display of its own.


@pytest.fixture
async def screen(short_folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """A display for the viewer; its number, and the socket where its picture can be looked at."""
    unix = short_folder / "viewer.sock"
    ready, end = os.pipe()
    server = subprocess.Popen(
        [
            *["Xvnc", "-displayfd", str(end), "-rfbport", "-1", "-rfbunixpath", str(unix), "-SecurityTypes", "None"],
            *["-geometry", "1600x1000", "-depth", "24", "-ac", "-nolisten", "tcp"],
        ],
        pass_fds=(end,),
        stderr=subprocess.DEVNULL,
    )
    os.close(end)
    try:
        number = int(await asyncio.to_thread(os.read, ready, 20))
        yield number, unix
    finally:
        os.close(ready)
        server.terminate()
        await asyncio.to_thread(server.wait, 10)


def run_viewer(display: int, folder: Path, opened: dict[str, Any], security: str) -> subprocess.Popen[bytes]:
    secret, certificate = folder / "secret", folder / "certificate.pem"
    hidden = subprocess.run(["vncpasswd", "-f"], input=f"{opened['password']}\n".encode(), capture_output=True)
    secret.write_bytes(hidden.stdout)
    certificate.write_text(opened["certificate"])
    return subprocess.Popen(
        [
            *["vncviewer", f"localhost::{opened['port']}", "-PasswordFile", str(secret)],
            *["-X509CA", str(certificate), "-SecurityTypes", security, "-Log", "*:stderr:100"],
        ],
        env={"DISPLAY": f":{display}", "HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=(folder / "viewer.log").open("wb"),
    )


async def test_tigervncs_viewer_comes_in(node_desk: NodeDesk, screen: tuple[int, Path], short_folder: Path) -> None:
    opened = await open_native(node_desk)
    viewer = run_viewer(screen[0], short_folder, opened, "X509Vnc")
    log = short_folder / "viewer.log"
    try:
        await eventually(lambda: "native: a client is in" in node_desk.log, 10, lambda: log.read_text())
        windows = ["xwininfo", "-root", "-tree", "-display", f":{screen[0]}"]
        await eventually(
            lambda: b"Madang" in subprocess.run(windows, capture_output=True).stdout, 10, lambda: log.read_text()
        )
        # No question about the certificate was asked: it is on the list of those who are trusted.
        assert b"ertificate" not in subprocess.run(windows, capture_output=True).stdout
        picture = Client(await asyncio.to_thread(connected, screen[1]))
        assert (picture.width, picture.height) == (1600, 1000)
    finally:
        viewer.terminate()
        await asyncio.to_thread(viewer.wait, 10)
    await eventually(lambda: "native: the client is gone" in node_desk.log, 5, lambda: node_desk.log)
    assert "Xvnc" in node_desk.processes().values()


async def test_tigervncs_viewer_without_tls_is_refused(
    node_desk: NodeDesk, screen: tuple[int, Path], short_folder: Path
) -> None:
    opened = await open_native(node_desk)
    viewer = run_viewer(screen[0], short_folder, opened, "VncAuth,None,TLSVnc")
    log = short_folder / "viewer.log"
    try:
        await eventually(lambda: "ecurity type" in log.read_text(), 10, lambda: log.read_text())
        await asyncio.sleep(1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            viewer.terminate()
        await asyncio.to_thread(viewer.wait, 10)
    assert "native: a client is in" not in node_desk.log


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection
