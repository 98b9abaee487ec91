"""What is on the screen, small: the verb `picture`.

A child of its own takes it from the display and shrinks it, so that neither the image nor the library for it stay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from madang.desktops.agent.aside import AsideFailed, aside
from madang.desktops.agent.guest import Guest, Refusal

_FRESH_SECONDS = 3.0
_TAKE_SECONDS = 8.0
_WIDTHS = (16, 1920)
_QUALITY = 70
# python-xlib puts an answer together piece by piece, anew with each: small answers cost it far less.
_STRIP_BYTES = 128 * 1024


class Camera:
    """One picture at a time; who comes a moment later gets the same."""

    def __init__(self, display: Callable[[], int | None]) -> None:
        self._display = display
        self._one_at_a_time = asyncio.Lock()
        self._taken: tuple[float, int, bytes] = (0.0, 0, b"")

    async def __call__(self, guest: Guest) -> None:
        picture = await self._take(guest.number("width", *_WIDTHS, default=320))
        await guest.say(size=len(picture), type="image/webp")
        await guest.wire.send_all(picture)

    async def _take(self, width: int) -> bytes:
        async with self._one_at_a_time:
            at, size, picture = self._taken
            if size == width and time.monotonic() - at < _FRESH_SECONDS:
                return picture
            number = self._display()
            if number is None:
                raise Refusal("display_missing", "There is nothing to see yet.", hint="Try again in a moment.")
            try:
                picture = await aside(lambda: _shoot(number, width), _TAKE_SECONDS)
            except AsideFailed as error:
                raise Refusal("picture_failed", "No picture could be taken.", str(error)) from error
            self._taken = (time.monotonic(), width, picture)
            return picture


def _shoot(number: int, width: int) -> bytes:
    """In the child."""
    import io

    import Xlib.display
    import Xlib.X
    from PIL import Image

    display = Xlib.display.Display(f":{number}")
    root = display.screen().root
    size = root.get_geometry()
    rows = max(1, _STRIP_BYTES // (4 * size.width))
    pixels = b"".join(
        root.get_image(0, top, size.width, min(rows, size.height - top), Xlib.X.ZPixmap, 0xFFFFFFFF).data
        for top in range(0, size.height, rows)
    )
    image = Image.frombuffer("RGB", (size.width, size.height), pixels, "raw", "BGRX", 0, 1)
    if width < size.width:
        height = max(1, round(size.height * width / size.width))
        image = image.resize((width, height), Image.Resampling.BOX, reducing_gap=None)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()
