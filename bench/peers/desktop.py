"""Xvnc and XFCE alone, as docs for TigerVNC have it: xauth, Xvnc on a Unix socket, startxfce4 in a bus of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from bench import processes
from bench.peers.screen import Screen
from bench.processes import Trouble

FIRST_DISPLAY, LAST_DISPLAY = 70, 89
MARKER = "BENCH_PEER"


class PeerDesktop:
    """One desktop. `mapped`, `painted`: seconds from the first process to windows on the screen, to their pictures."""

    def __init__(self, user: str, width: int = 1440, height: int = 900) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mbp-", dir="/tmp"))
        account = pwd.getpwnam(user)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.user = user
        self.display = _free_display()
        self.socket = self.folder / "rfb.sock"
        self.authority = self.folder / "Xauthority"
        self._mark = secrets.token_hex(6)
        self._environment = {
            "HOME": account.pw_dir,
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "DISPLAY": f":{self.display}",
            "XAUTHORITY": str(self.authority),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            MARKER: self._mark,
        }
        self._prepare(account.pw_uid, account.pw_gid)
        began = time.monotonic()
        try:
            self._start_server(width, height)
            self._start(["dbus-run-session", "--", "startxfce4"], cwd=account.pw_dir)
            screen = Screen(self.display, self.authority)
            processes.until(screen.has_desktop, 30, "the desktop of the peer")
            self.mapped = time.monotonic() - began
            processes.until(screen.has_picture, 30, "the picture of the peer")
            self.painted = time.monotonic() - began
            screen.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process of it, by its pid, and remove its folder."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 2
            while (mine := self._mine()) and time.monotonic() < deadline:
                for pid in mine:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self, uid: int, gid: int) -> None:
        run = self.folder / "run"
        run.mkdir(mode=0o700)
        os.chown(run, uid, gid)

    def _start_server(self, width: int, height: int) -> None:
        cookie = secrets.token_hex(16)
        adding = ["xauth", "-q", "-f", str(self.authority), "add", f":{self.display}", ".", cookie]
        self._start(adding).wait(10)
        ready, ready_end = os.pipe()
        server = [
            *["Xvnc", f":{self.display}", "-auth", self.authority, "-geometry", f"{width}x{height}", "-depth", "24"],
            *["-rfbport", "-1", "-rfbunixpath", self.socket, "-rfbunixmode", "0600"],
            *["-SecurityTypes", "None", "-nolisten", "tcp", "-AlwaysShared", "-displayfd", str(ready_end)],
        ]
        try:
            self._start(server, pass_fds=(ready_end,))
            os.close(ready_end)
            # To the end of the line: Xvnc writes its newline apart, and dies of a pipe that is closed in between.
            said = b"start"
            while said and not said.endswith(b"\n"):
                said = os.read(ready, 16)
            if not said:
                raise Trouble("Xvnc of the peer did not start")
        finally:
            os.close(ready)

    def _start(self, command: list[str | Path], **more: object) -> subprocess.Popen[bytes]:
        return processes.start(
            command, environment=self._environment, user=self.user, start_new_session=True, **{"cwd": "/", **more}
        )

    def _mine(self) -> list[int]:
        mark, found = f"{MARKER}={self._mark}".encode(), []
        for pid in processes.all_pids():
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
                if state != "Z" and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
        return found


def _free_display() -> int:
    for number in range(FIRST_DISPLAY, LAST_DISPLAY + 1):
        if not any(os.path.lexists(name) for name in (f"/tmp/.X{number}-lock", f"/tmp/.X11-unix/X{number}")):
            return number
    raise Trouble(f"no display of :{FIRST_DISPLAY}-:{LAST_DISPLAY} is free")
