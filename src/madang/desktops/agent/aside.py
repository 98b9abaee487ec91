"""Short work with large libraries, in a child of its own: what it loads goes away with it.

The child is forked, not started: it has the worker's modules already, and no secret of ours is ever on a command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

_PLACES: dict[str, int] = {}  # folders of sys.path, held open


class AsideFailed(Exception):
    """The work was not done; says why."""


def hold_places() -> None:
    """Before root is given up: keeps the folders that modules are loaded from.

    The portal's installation may lie below a folder that the account may not pass. Through a descriptor it can be
    reached all the same.
    """
    for path in sys.path:
        with contextlib.suppress(OSError):
            _PLACES[path] = os.open(path, os.O_PATH | os.O_DIRECTORY)


async def aside(work: Callable[[], bytes], timeout_seconds: float) -> bytes:
    """What `work` gives, which runs in a child; kills it at the end of the time. Raises AsideFailed."""
    out, end = os.pipe()
    os.set_blocking(out, False)
    # What comes for the worker, the child must not answer: its handlers are the worker's until it has changed them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _be_aside(work, end)
        handle = os.pidfd_open(pid)
    except OSError as error:
        os.close(out)
        raise AsideFailed(str(error)) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(end)
    try:
        async with asyncio.timeout(timeout_seconds):
            said = await _everything(out)
    except TimeoutError as error:
        raise AsideFailed(f"not done in {timeout_seconds:g} s") from error
    finally:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
        os.close(out)
    if said[:1] != b"+":
        raise AsideFailed(said[1:].decode("utf-8", "replace") or "its process was ended")
    return said[1:]


async def _everything(out: int) -> bytes:
    """All that comes out of a pipe until its other end closes."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    parts: list[bytes] = []

    def take() -> None:
        try:
            part = os.read(out, 1 << 20)
        except BlockingIOError:
            return
        parts.append(part)
        if not part and not done.done():
            done.set_result(None)

    loop.add_reader(out, take)
    try:
        await done
    finally:
        loop.remove_reader(out)
    return b"".join(parts)


def _be_aside(work: Callable[[], bytes], end: int) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _close_all_but({0, 1, 2, end, *_PLACES.values()})
        _use_held_places()
        _say(end, b"+" + work())
    except BaseException as error:
        _say(end, b"-" + f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    """A connection that the worker closes has to be closed: not held by a child."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _use_held_places() -> None:
    for place, path in enumerate(sys.path):
        if path in _PLACES and not os.access(path, os.R_OK | os.X_OK):
            sys.path[place] = f"/proc/self/fd/{_PLACES[path]}"


def _say(end: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(end, data) :]
