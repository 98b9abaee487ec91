"""Inside a running desktop: programs started in its environment, as the person whose desktop it is."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.waiting import eventually


class Inside:
    """What a person sees who sits at the desktop `session`."""

    def __init__(self, session: str) -> None:
        marker = f"MADANG_SESSION={session}".encode()

        def manager() -> Path | None:
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError):
                    manages = entry.name.isdigit() and (entry / "comm").read_text() == "xfce4-session\n"
                    if manages and marker in (entry / "environ").read_bytes().split(b"\0"):
                        return entry
            return None

        process = eventually(manager, 20, "the desktop's session manager")
        words = (process / "environ").read_bytes().split(b"\0")
        self.environment = dict(word.decode().split("=", 1) for word in words if b"=" in word)
        self.account = pwd.getpwuid(process.stat().st_uid).pw_name
        self._running: list[subprocess.Popen[bytes]] = []

    def _as_person(self) -> dict[str, object]:
        person = pwd.getpwnam(self.account)
        become: dict[str, object] = {"env": self.environment, "cwd": person.pw_dir, "start_new_session": True}
        if os.geteuid() == 0 and person.pw_uid != 0:
            become |= {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}
        return become

    def start(self, *words: str, text: str | None = None) -> None:
        """A program that goes on; what it reads from its standard input is `text`."""
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_person(),  # type: ignore[call-overload]
        )
        assert process.stdin is not None
        process.stdin.write((text or "").encode())
        process.stdin.close()
        self._running.append(process)

    def output(self, *words: str) -> str:
        """What a program prints; empty when it fails."""
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, **self._as_person())  # type: ignore[call-overload]
        return str(done.stdout.decode(errors="replace")) if done.returncode == 0 else ""

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.terminate()
                process.wait(5)

    def screen_size(self) -> tuple[int, int]:
        found = re.search(r"dimensions:\s+(\d+)x(\d+)", self.output("xdpyinfo"))
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def clipboard(self) -> str:
        return self.output("timeout", "3", "xclip", "-selection", "clipboard", "-o")

    def copy(self, text: str) -> None:
        self.start("xclip", "-selection", "clipboard", "-i", "-quiet", text=text)

    def windows(self) -> str:
        return self.output("xwininfo", "-root", "-tree")

    def open_terminal(
        self, title: str = "test-terminal", geometry: str = "90x24+120+120", command: Sequence[str] = ()
    ) -> None:
        """A terminal on the screen, ready for keys."""
        more = ["-x", *command] if command else []
        self.start("xfce4-terminal", "--disable-server", "--hide-menubar", f"--geometry={geometry}", "-T", title, *more)
        eventually(lambda: title in self.windows(), 15, "the terminal's window")
        eventually(lambda: title in self.active_window(), 10, "the terminal's focus")

    def active_window(self) -> str:
        found = re.search(r"(0x[0-9a-f]+)", self.output("xprop", "-root", "_NET_ACTIVE_WINDOW"))
        return self.output("xprop", "-id", found[1], "WM_NAME", "_NET_WM_NAME") if found else ""
