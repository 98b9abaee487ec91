"""Looking at an X display from outside: is the desktop on it?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import Xlib.display
import Xlib.error
import Xlib.X

WANTED = frozenset({"_NET_WM_WINDOW_TYPE_DESKTOP", "_NET_WM_WINDOW_TYPE_DOCK"})


class Screen:
    """A connection to a display."""

    def __init__(self, number: int, authority: Path) -> None:
        os.environ["XAUTHORITY"] = str(authority)
        self._display = Xlib.display.Display(f":{number}")
        self._display.set_error_handler(lambda *_: None)

    def close(self) -> None:
        self._display.close()

    def has_desktop(self) -> bool:
        """Whether wallpaper and panel are managed windows that can be seen."""
        seen: set[str] = set()
        for identity in self._values(self._display.screen().root, "_NET_CLIENT_LIST"):
            window = self._display.create_resource_object("window", identity)
            kinds = {self._display.get_atom_name(atom) for atom in self._values(window, "_NET_WM_WINDOW_TYPE")}
            if kinds & WANTED and self._viewable(window):
                seen |= kinds & WANTED
        return seen == WANTED

    def has_picture(self) -> bool:
        """Whether wallpaper and panel are painted, judged as probe.js does: a panel along the top, many colours."""
        width = self._display.screen().width_in_pixels
        panel, below, *rest = (self._row(y, width) for y in (12, 60, 200, 450, 700))
        differ = sum(self._apart(panel[at], below[at]) > 24 for at in range(width))
        colours = {(red >> 3, green >> 3, blue >> 3) for row in (below, *rest) for red, green, blue in row}
        return differ > width * 0.6 and len(colours) >= 16

    def _row(self, y: int, width: int) -> list[tuple[int, int, int]]:
        data = self._display.screen().root.get_image(0, y, width, 1, Xlib.X.ZPixmap, 0xFFFFFFFF).data
        return [(data[at + 2], data[at + 1], data[at]) for at in range(0, width * 4, 4)]

    @staticmethod
    def _apart(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
        return sum(abs(mine - theirs) for mine, theirs in zip(one, other, strict=True))

    def _values(self, window: Any, name: str) -> list[int]:
        try:
            found = window.get_full_property(self._display.intern_atom(name), Xlib.X.AnyPropertyType)
        except Xlib.error.XError:
            return []
        return list(found.value) if found is not None and found.format == 32 else []

    def _viewable(self, window: Any) -> bool:
        try:
            return bool(window.get_attributes().map_state == Xlib.X.IsViewable)
        except Xlib.error.XError:
            return False
