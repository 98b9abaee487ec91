"""Looking at the display: is the desktop there, how long has nobody touched it, how large is it.

Every call blocks on the X server (which may be stopped), so all run in one thread, one at a time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread  # loaded lazily otherwise, at a time when the files may not be readable any more
import importlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import Xlib.display
import Xlib.ext.screensaver
import Xlib.support.unix_connect
import Xlib.X
import Xlib.XK
from Xlib.error import XError

# python-xlib loads these by name when it connects, which is too late (as above).
for _, _extension in Xlib.ext.__extensions__:
    importlib.import_module(f"Xlib.ext.{_extension}")

T = TypeVar("T")

# What is read of a display that went away or answers nonsense.
TROUBLE = (OSError, XError, Xlib.error.ConnectionClosedError, Xlib.error.DisplayError, TimeoutError, AssertionError)
_POLL_SECONDS = 0.02
# The wallpaper and a panel.
_PIECES = {"_NET_WM_WINDOW_TYPE_DESKTOP", "_NET_WM_WINDOW_TYPE_DOCK"}


class Screen:
    """One connection to the display, made on first use."""

    def __init__(self, number: int) -> None:
        self._name = f":{number}"
        self._display: Any = None
        self._atoms: dict[str, int] = {}
        self._kinds: dict[int, str] = {}
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "screen")
        self._pending: concurrent.futures.Future[Any] | None = None
        self._closed = False

    async def window_manager(self, timeout_seconds: float) -> bool:
        """True once a window manager runs; False when none came in time."""
        return await self._ask(lambda: self._wait(self._has_window_manager, timeout_seconds), timeout_seconds + 1)

    async def desktop(self, timeout_seconds: float) -> bool:
        """True once the desktop (wallpaper) and a panel are on the screen; False when they did not come in time."""
        return await self._ask(lambda: self._wait(self._has_desktop, timeout_seconds), timeout_seconds + 1)

    async def look(self, timeout_seconds: float = 2.0) -> tuple[float, int, int] | None:
        """(idle seconds, width, height); None when the display does not answer now."""
        try:
            return await self._ask(self._look, timeout_seconds)
        except Exception:
            # python-xlib has many ways to say that a connection broke; a pulse without them is still a pulse.
            return None

    def close(self) -> None:
        """Gives up on whatever is still being asked."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: Callable[[], T], timeout_seconds: float) -> T:
        if self._pending is not None and not self._pending.done():
            raise TimeoutError("the display has not answered the last question")
        future = self._thread.submit(question)
        self._pending = future
        async with asyncio.timeout(timeout_seconds):
            return await asyncio.wrap_future(future)

    # From here on: in the thread.

    def _connection(self) -> Any:
        if self._display is None:
            self._display = Xlib.display.Display(self._name)
            # Without a handler, python-xlib prints errors (windows come and go all the time) to standard output.
            self._display.set_error_handler(lambda *_: None)
        return self._display

    def _wait(self, there: Callable[[], bool], timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while not self._closed and time.monotonic() < deadline:
            if there():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _property(self, window: Any, name: str) -> list[int]:
        atom = self._atoms.get(name) or self._atoms.setdefault(name, self._connection().intern_atom(name))
        try:
            found = window.get_full_property(atom, Xlib.X.AnyPropertyType)
        except XError:
            return []
        return list(found.value) if found is not None and found.format == 32 else []

    def _has_window_manager(self) -> bool:
        root = self._connection().screen().root
        for identity in self._property(root, "_NET_SUPPORTING_WM_CHECK"):
            window = self._connection().create_resource_object("window", identity)
            # A killed window manager leaves its property on the root: the window it names must say the same.
            if identity in self._property(window, "_NET_SUPPORTING_WM_CHECK"):
                return True
        return False

    def _has_desktop(self) -> bool:
        seen: set[str] = set()
        for identity in self._property(self._connection().screen().root, "_NET_CLIENT_LIST"):
            window = self._connection().create_resource_object("window", identity)
            kind = self._kinds.get(identity) or self._kind(window)
            # A window says what it is before it is shown; what it says then, it is not asked again.
            self._kinds[identity] = kind
            if kind in _PIECES and self._is_viewable(window):
                seen.add(kind)
        return seen == _PIECES

    def _kind(self, window: Any) -> str:
        for atom in self._property(window, "_NET_WM_WINDOW_TYPE"):
            return str(self._connection().get_atom_name(atom))
        return ""

    def _is_viewable(self, window: Any) -> bool:
        try:
            return bool(window.get_attributes().map_state == Xlib.X.IsViewable)
        except XError:
            return False

    def _look(self) -> tuple[float, int, int]:
        root = self._connection().screen().root
        size = root.get_geometry()
        idle = root.screensaver_query_info().idle / 1000
        return idle, size.width, size.height
