"""A session on another host, as a scheduler starts it: as the account, in a folder that the agent makes itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from madang.compute import processes, remains
from madang.compute.launcher import Placement
from madang.compute.order import AgentOrder
from madang.doors import tickets
from madang.doors.calls import DoorPlace
from tests.daemons.agent.desk import DISPLAYS, Desk, Site
from tests.support.accounts import needs_readable_checkout

# Every test run takes its ports from another part of the range.
FIRST_PORT = 20_000 + os.getpid() % 500 * 20
DOOR_PORTS = (FIRST_PORT, FIRST_PORT + 9)
NATIVE_PORTS = (FIRST_PORT + 10, FIRST_PORT + 19)


class NodeDesk(Desk):
    """A desk without a launcher: `agent` is its first process."""

    agent: subprocess.Popen[bytes]
    output: Path

    @property
    def place(self) -> DoorPlace:
        door = next(report["door"] for report in reversed(self.reports) if report["door"])
        return DoorPlace.remote("127.0.0.1", door["port"], door["fingerprint"])

    @property
    def log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "session.log").read_text(errors="replace")
        tails = [report["log_tail"] for report in self.reports if report["log_tail"]]
        return self.output.read_text(errors="replace") + "".join(tails[-1:])

    async def until_gone(self, seconds: float = 15) -> None:
        await asyncio.to_thread(self.agent.wait, seconds)

    async def sweep(self) -> bool:
        await asyncio.to_thread(self._sweep)
        return not self.leftovers()

    def _sweep(self) -> None:
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.agent.wait(8)
        if self.agent.poll() is None:
            self.agent.kill()
            self.agent.wait()
        remains.sweep(self.session, self.uid, self.folder, None, 0.5)


def node_folder(site: Site) -> Path:
    """What /tmp is on a node: anybody may make something there."""
    folder = site.folder / "node"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)
    return folder


def start_on_node(
    site: Site, *, environment: dict[str, str] | None = None, before: tuple[str, ...] = (), **changes: Any
) -> NodeDesk:
    """Starts an agent; `before` is a command that runs it (faketime)."""
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": site.uid, "group": site.gid, "extra_groups": []}
        needs_readable_checkout(who)
    session = str(changes.get("session", secrets.token_hex(6)))
    order = {
        "session": session,
        "account": site.account,
        "folder": str(node_folder(site) / session),
        "make_folder": True,
        "portal": site.portal.url,
        "agent_secret": secrets.token_hex(16),
        "door_key": tickets.new_key(),
        "displays": DISPLAYS,
        "heartbeat_seconds": 1.0,
        "minimum_free_bytes": 1024 * 1024,
        "door_ports": DOOR_PORTS,
        "native_ports": NATIVE_PORTS,
        "largest_upload_bytes": 64 * 1024 * 1024,
    } | changes
    desk = NodeDesk(site, AgentOrder(**order))
    site.desks.append(desk)
    desk.output = site.folder / f"{session}.out"
    with desk.output.open("wb") as output:
        desk.agent = subprocess.Popen(
            [*before, sys.executable, "-P", "-s", "-m", "madang.desktops.agent", remains.marker(session)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | (environment or {}),
            start_new_session=True,
            **who,
        )
    assert desk.agent.stdin is not None
    desk.agent.stdin.write(msgspec.json.encode(desk.order))
    desk.agent.stdin.close()
    process = processes.look(desk.agent.pid)
    desk.placement = Placement(socket.gethostname(), desk.agent.pid, process.started if process else 0)
    return desk
