"""A socket of another host, brought here by ssh: of one viewer, gone with it.

ssh listens on a Unix socket in a folder of our own for as long as it takes to connect to it; then nobody else can.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from madang.kernel import commands
from madang.kernel.errors import CommandFailed
from madang.machines.hosts import failures
from madang.machines.hosts.address import Ssh

# It goes on as long as somebody looks.
_ENDLESS = 30 * 86400.0
_LOOK_SECONDS = 0.02
_SILENCES = 2


class Tunnelled(socket.socket):
    """A connected socket; what carries it ends when it is closed."""

    ended: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        ended, self.ended = self.ended, None
        if ended is not None:
            ended()


async def open_tunnel(host: str, ssh: Ssh, to: str, seconds: float, silent: float) -> socket.socket:
    """Connects to a socket of that host at which somebody speaks first: an absolute path, or "127.0.0.1:PORT".

    `silent`: seconds between questions whether it is still there. Raises Unavailable, Conflict (no_console).
    """
    folder = Path(tempfile.mkdtemp(prefix="madang-"))  # 0700
    ours = folder / "s"
    command = ssh.arguments(
        "-N", "-L", f"{ours}:{to}",
        "-o", "ExitOnForwardFailure=yes",
        "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ClearAllForwardings=no",
        "-o", f"ConnectTimeout={max(1, round(seconds))}",
        "-o", f"ServerAliveInterval={max(1, round(silent))}", "-o", f"ServerAliveCountMax={_SILENCES}",
    )  # fmt: skip
    carrier = asyncio.create_task(_carry(command), name=f"ssh {host}")
    try:
        async with asyncio.timeout(seconds):
            reached = await _connect(host, ours, carrier)
    except BaseException as error:
        carrier.cancel()
        if isinstance(error, TimeoutError):
            raise failures.unreachable(host, f"ssh did not get through within {seconds:g} s") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    loop = asyncio.get_running_loop()

    def end() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and ssh with it
            loop.call_soon_threadsafe(carrier.cancel)

    reached.ended = end
    if not await asyncio.to_thread(_speaks, reached, seconds):
        reached.close()
        raise failures.no_console(f"{host} does not let ssh through to {to}")
    return reached


async def _carry(command: Sequence[str]) -> str:
    """ssh until it ends; its last words."""
    try:
        return (await commands.run(command, timeout=_ENDLESS, tied=True)).stderr or "ssh ended"
    except CommandFailed as error:
        return error.detail.rpartition("\n")[2]


async def _connect(host: str, path: Path, carrier: asyncio.Task[str]) -> Tunnelled:
    reached = Tunnelled(socket.AF_UNIX)
    try:
        while True:
            if carrier.done():
                raise failures.unreachable(host, carrier.result())
            try:
                reached.connect(str(path))  # of this machine: it takes no time
                return reached
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(_LOOK_SECONDS)
    except BaseException:
        reached.close()
        raise


def _speaks(reached: socket.socket, seconds: float) -> bool:
    """Whether something comes: what ssh cannot reach over there, it takes and closes at once."""
    poll = select.poll()
    poll.register(reached, select.POLLIN)
    return bool(poll.poll(seconds * 1000)) and bool(reached.recv(1, socket.MSG_PEEK))
