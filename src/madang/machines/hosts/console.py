"""A machine's screen, as a socket and as a picture. Everything here blocks."""

from __future__ import annotations

import contextlib
import io
import socket
from typing import Any

from madang.machines.hosts import domain_xml, domains, failures
from madang.machines.hosts.binding import libvirt

_PART_BYTES = 16_384
_MOST_PICTURE_BYTES = 64_000_000


def screen(connection: Any, uuid: str) -> socket.socket:
    """A socket that speaks RFB without a password: who gets it has been asked already."""
    domain = running(connection, uuid)
    try:
        descriptor = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    except libvirt.libvirtError as error:
        if domain.isActive():
            raise failures.no_console(str(error)) from error
        raise
    return socket.socket(fileno=descriptor)


def place(connection: Any, uuid: str) -> str:
    """Where on its host its screen can be connected to: a Unix socket's path, or "127.0.0.1:PORT"."""
    xml = running(connection, uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)  # says whether there is a password
    found = domain_xml.screen_of(domain_xml.read(xml))
    if found is None:
        raise failures.no_console("its host is another one, and its screen is open to this one alone")
    return found


def screenshot(connection: Any, uuid: str) -> bytes:
    """As PNG; QEMU before 7.1 only knows PPM."""
    domain = running(connection, uuid)
    stream = connection.newStream(0)
    try:
        kind = domain.screenshot(stream, 0, 0)
        picture = bytearray()
        while part := stream.recv(_PART_BYTES):
            picture += part
            if len(picture) > _MOST_PICTURE_BYTES:
                raise failures.no_console("its picture is too large")
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


def running(connection: Any, uuid: str) -> Any:
    """Raises Conflict (machine_not_running)."""
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        raise failures.not_running()
    return domain
