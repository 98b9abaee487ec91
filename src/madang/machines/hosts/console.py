"""A machine's screen and first serial port, as sockets and pictures. Everything here blocks."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from typing import Any

from madang.kernel.errors import Conflict
from madang.machines.hosts import domains, failures
from madang.machines.hosts.binding import libvirt

_PART_BYTES = 16_384
_MOST_PICTURE_BYTES = 64_000_000


def screen(connection: Any, uuid: str) -> socket.socket:
    """A socket that speaks RFB without a password: who gets it has been asked already."""
    domain = _running(connection, uuid)
    try:
        descriptor = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    except libvirt.libvirtError as error:
        if domain.isActive() and connection.isAlive():
            raise _no_console(str(error)) from error
        raise
    return socket.socket(fileno=descriptor)


def screenshot(connection: Any, uuid: str) -> bytes:
    """As PNG; QEMU before 7.1 only knows PPM."""
    domain = _running(connection, uuid)
    stream = connection.newStream(0)
    try:
        kind = domain.screenshot(stream, 0, 0)
        picture = bytearray()
        while part := stream.recv(_PART_BYTES):
            picture += part
            if len(picture) > _MOST_PICTURE_BYTES:
                raise _no_console("its picture is too large")
        stream.finish()
    except BaseException:
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        raise
    return bytes(picture) if kind == "image/png" else _as_png(bytes(picture))


def _as_png(picture: bytes) -> bytes:
    from PIL import Image  # only where QEMU is old

    found = io.BytesIO()
    with Image.open(io.BytesIO(picture), formats=("PPM",)) as image:
        image.save(found, "PNG")
    return found.getvalue()


def serial(connection: Any, uuid: str) -> socket.socket:
    """Whoever had the port before loses it."""
    domain = _running(connection, uuid)
    stream = connection.newStream(0)
    try:
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    except libvirt.libvirtError as error:
        if domain.isActive() and connection.isAlive():
            raise _no_console(str(error)) from error
        raise
    ours, theirs = socket.socketpair()
    name = f"serial {uuid}"
    threading.Thread(target=_out, args=(stream, ours), name=f"{name} out", daemon=True).start()
    threading.Thread(target=_in, args=(stream, ours), name=f"{name} in", daemon=True).start()
    return theirs


def _out(stream: Any, ours: socket.socket) -> None:
    """From the port to who looks, until either ends."""
    with contextlib.suppress(libvirt.libvirtError, OSError):
        while part := stream.recv(_PART_BYTES):
            ours.sendall(part)
    with contextlib.suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


def _in(stream: Any, ours: socket.socket) -> None:
    """From who looks to the port; closes both at the end."""
    with contextlib.suppress(libvirt.libvirtError, OSError):
        while part := ours.recv(_PART_BYTES):
            while part:
                sent = stream.send(part)
                part = part[sent:]
    with contextlib.suppress(libvirt.libvirtError):
        stream.abort()
    ours.close()


def _running(connection: Any, uuid: str) -> Any:
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        raise failures.not_running()
    return domain


def _no_console(why: str) -> Conflict:
    return Conflict(
        f"The machine has no console that can be opened: {why}.",
        code="no_console",
        hint="Its definition needs a VNC screen, or a serial port.",
    )
