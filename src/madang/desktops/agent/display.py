"""The X display of a session: a number under a lock, a cookie, and Xvnc on it without any TCP listener.

Two agents never try the same number: each holds the abstract Unix socket `\\0madang-display-N`, which the kernel takes
away with the last process that holds it (here: Xvnc itself). Foreign X servers know nothing of that, so Xvnc's own lock
decides in the end; who loses that race takes the next number.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from madang.compute.order import AgentOrder, Failure
from madang.compute.remains import X_FOLDER, X_SOCKETS
from madang.desktops.agent import failures
from madang.desktops.agent.failures import SessionFailed
from madang.desktops.agent.preflight import path_of

_FAMILY_LOCAL = 256
_FAMILY_WILD = 65535
# A writer's end shows as the end of its pipe, unless something it started holds the pipe too.
_LOOK_SECONDS = 0.2


@dataclass
class Display:
    number: int
    process: subprocess.Popen[bytes]
    ready: int  # a descriptor to which Xvnc writes its number once it takes clients


def take_lock(number: int) -> socket.socket | None:
    """Holds a display number against other agents for as long as the socket is open anywhere."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0madang-display-{number}")
    except OSError:
        lock.close()
        return None
    return lock


def seems_free(number: int) -> bool:
    return not os.path.lexists(X_FOLDER / f".X{number}-lock") and not os.path.lexists(X_SOCKETS / f"X{number}")


def write_cookie(path: Path, number: int) -> None:
    """An Xauthority file with a fresh cookie, for this host and (the host may change its name) for any."""
    cookie = os.urandom(16)
    entries = b""
    for family, address in ((_FAMILY_LOCAL, socket.gethostname().encode()), (_FAMILY_WILD, b"")):
        entries += struct.pack(">H", family)
        for field in (address, str(number).encode(), b"MIT-MAGIC-COOKIE-1", cookie):
            entries += struct.pack(">H", len(field)) + field
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, entries)
    finally:
        os.close(descriptor)


def command(order: AgentOrder, number: int, ready: int) -> list[str]:
    folder = Path(order.folder)
    return [
        *[path_of("Xvnc"), f":{number}", "-auth", str(folder / "Xauthority")],
        *["-geometry", f"{order.width}x{order.height}", "-depth", "24", "-desktop", "Madang"],
        *["-rfbport", "-1", "-rfbunixpath", str(folder / "rfb.sock"), "-rfbunixmode", "0600"],
        *["-SecurityTypes", "None", "-nolisten", "tcp", "-AlwaysShared"],
        # Never blank, and never start over when the last program leaves for a moment.
        *["-s", "0", "-dpms", "-noreset"],
        *["-displayfd", str(ready)],
    ]


def start(order: AgentOrder, environment: dict[str, str], output: int, deadline: float) -> Display:
    """Xvnc on the first display of the range that it can have; returns once it takes clients.

    Raises SessionFailed: no_free_display, display_failed, start_timeout (deadline as time.monotonic()).
    """
    first, last = order.displays
    failure: Failure | None = None
    for number in range(first, last + 1):
        lock = take_lock(number) if seems_free(number) else None
        if lock is None:
            continue
        with lock:
            # Again under the lock: the one who held it before may just have started its server.
            if not seems_free(number):
                continue
            display = _start_one(order, number, environment, output, lock)
        try:
            if (status := _wait(display, deadline, order.start_seconds)) is None:
                return display
        finally:
            os.close(display.ready)
        if _served_by_another(display):
            continue
        if failure is not None:
            raise SessionFailed(failure)
        # Once may still have been a race, with a server that is gone again.
        failure = failures.display_failed(f"Xvnc ended with status {status} before it was ready.")
    raise SessionFailed(failure or failures.no_free_display(first, last))


def _start_one(
    order: AgentOrder, number: int, environment: dict[str, str], output: int, lock: socket.socket
) -> Display:
    ready, ready_end = os.pipe()
    try:
        write_cookie(Path(order.folder) / "Xauthority", number)
        process = subprocess.Popen(
            command(order, number, ready_end),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=order.folder,
            env=environment,
            pass_fds=(ready_end, lock.fileno()),
            start_new_session=True,
        )
    except OSError as error:
        os.close(ready)
        raise SessionFailed(failures.of_error(order.folder, error)) from error
    finally:
        os.close(ready_end)
    return Display(number, process, ready)


def _wait(display: Display, deadline: float, start_seconds: float) -> int | None:
    """None once the display takes clients; Xvnc's exit status when it ended instead."""
    try:
        return None if read_line(display.ready, deadline, display.process) else _end(display)
    except TimeoutError as error:
        _end(display, 0)
        raise SessionFailed(failures.start_timeout(start_seconds, "display")) from error


def read_line(descriptor: int, deadline: float, writer: subprocess.Popen[bytes]) -> bytes:
    """One whole line from a pipe, empty when the writer ended; raises TimeoutError at the deadline (time.monotonic()).

    Whole, because a writer that writes its newline apart (Xvnc does) dies of a pipe that is closed in between.
    """
    line = b""
    while not line.endswith(b"\n"):
        left = max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([descriptor], [], [], min(left, _LOOK_SECONDS))
        if not readable:
            if writer.poll() is not None:
                return b""
            if not left:
                raise TimeoutError
            continue
        part = os.read(descriptor, 1024)
        if not part:
            return b""
        line += part
    return line


def _end(display: Display, patience_seconds: float = 0.5) -> int:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return display.process.wait(patience_seconds)
    display.process.kill()
    return display.process.wait()


def _served_by_another(display: Display) -> bool:
    try:
        server = int((X_FOLDER / f".X{display.number}-lock").read_text())
    except (OSError, ValueError):
        # No lock or one that may not be read: then a socket there is somebody else's.
        return os.path.lexists(X_SOCKETS / f"X{display.number}")
    return server != display.process.pid
