"""How the pieces of a desktop are: which are stopped, gone, or do not answer."""

from __future__ import annotations

import select
import time
from typing import Any

from Xlib.error import XError

from madang.compute import processes
from madang.compute.processes import Process

# Program -> what the page calls it.
PIECES = {
    "xfwm4": "window_manager",
    "xfce4-panel": "panel",
    "xfdesktop": "desktop",
    "xfsettingsd": "settings",
}
_SERVER = "Xvnc"
_OTHERS = "programs"
_STOPPED = "T"

_KINDS = {"_NET_WM_WINDOW_TYPE_DOCK": "xfce4-panel", "_NET_WM_WINDOW_TYPE_DESKTOP": "xfdesktop"}


def of_session(worker: int) -> list[Process]:
    """The running processes of a session: all that descend from its worker."""
    found = processes.descendants([worker], processes.snapshot()).values()
    return [process for process in found if process.running]


def running(name: str, worker: int) -> Process | None:
    return next((process for process in of_session(worker) if process.name == name), None)


def stopped(worker: int) -> dict[Process, str]:
    """What stands still, and what the page calls it. Jobs that somebody stopped in a terminal are left to them."""
    found = {}
    for process in of_session(worker):
        if process.state == _STOPPED and not _has_terminal(process.pid):
            word = "display" if process.name == _SERVER else PIECES.get(process.name, _OTHERS)
            found[process] = word
    return found


def _has_terminal(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Field 7; the name before it may hold brackets and spaces.
            return file.read().rpartition(b")")[2].split()[4] != b"0"
    except (OSError, IndexError):
        return False


def silent(display_number: int, patience_seconds: float) -> list[str]:
    """The programs that run but do not answer, asked over X; for a child of its own.

    The window manager is asked how wide a frame would be (_NET_REQUEST_FRAME_EXTENTS), panel and desktop whether they
    are there (_NET_WM_PING): Extended Window Manager Hints. Raises when the display itself does not answer.
    """
    import Xlib.display

    asked = _Asked(Xlib.display.Display(f":{display_number}"))
    asked.ask_window_manager()
    asked.ask_windows()
    asked.listen(time.monotonic() + patience_seconds)
    return sorted(asked.waiting)


class _Asked:
    """Questions that are out, and whose answers are missing."""

    def __init__(self, display: Any) -> None:
        import Xlib.protocol.event
        import Xlib.X

        self._x = Xlib.X
        self._message = Xlib.protocol.event.ClientMessage
        self._display = display
        self._root = display.screen().root
        self._windows: dict[int, str] = {}
        self._probe: Any = None
        self.waiting: set[str] = set()
        display.set_error_handler(lambda *_: None)
        # Answers to a ping go to the root window.
        self._root.change_attributes(event_mask=self._x.SubstructureNotifyMask)

    def ask_window_manager(self) -> None:
        self._probe = self._root.create_window(
            0, 0, 1, 1, 0, self._x.CopyFromParent, event_mask=self._x.PropertyChangeMask
        )
        self._send(self._root, self._probe, "_NET_REQUEST_FRAME_EXTENTS", [0] * 5, self._x.SubstructureRedirectMask)
        self.waiting.add("xfwm4")

    def ask_windows(self) -> None:
        ping = self._display.intern_atom("_NET_WM_PING")
        for identity in self._values(self._root, "_NET_CLIENT_LIST"):
            window = self._display.create_resource_object("window", identity)
            kinds = [self._display.get_atom_name(kind) for kind in self._values(window, "_NET_WM_WINDOW_TYPE")]
            program = next((_KINDS[kind] for kind in kinds if kind in _KINDS), None)
            if program and ping in self._values(window, "WM_PROTOCOLS"):
                self._windows[identity] = program
                self.waiting.add(program)
                self._send(window, window, "WM_PROTOCOLS", [ping, self._x.CurrentTime, identity, 0, 0], 0)

    def listen(self, deadline: float) -> None:
        """Until everybody has answered, or the deadline."""
        self._display.flush()
        while self.waiting and (left := deadline - time.monotonic()) > 0:
            if not self._display.pending_events():
                select.select([self._display], [], [], left)
                continue
            event = self._display.next_event()
            if event.type == self._x.PropertyNotify and event.window == self._probe:
                self.waiting.discard("xfwm4")
            elif event.type == self._x.ClientMessage:
                # One window that answers speaks for its program.
                self.waiting.discard(self._windows.get(event.data[1][2], ""))

    def _send(self, target: Any, window: Any, name: str, data: list[int], mask: int) -> None:
        atom = self._display.intern_atom(name)
        target.send_event(self._message(window=window, client_type=atom, data=(32, data)), event_mask=mask)

    def _values(self, window: Any, name: str) -> list[int]:
        try:
            found = window.get_full_property(self._display.intern_atom(name), self._x.AnyPropertyType)
        except XError:
            return []  # a window manager that is gone left a list of windows that are gone too
        return list(found.value) if found is not None and found.format == 32 else []


def ended(process: Process, seconds: float) -> bool:
    """Waits, blocking, for a process that was killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = processes.look(process.pid)
        if now is None or now.started != process.started or not now.running:
            return True
        time.sleep(0.02)
    return False
