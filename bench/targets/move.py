"""A busy program: wheels that turn in a window, painted anew 30 times a second, as glxgears does it."""

from __future__ import annotations

import math
import time
from typing import Any

import Xlib.display
import Xlib.X

FRAMES_PER_SECOND = 30
SIZE = 300  # pixels, as of glxgears
WHEELS = ((100, 110, 70, 0xC02020, 1.0, 14), (205, 150, 45, 0x20A030, -1.6, 9), (110, 225, 45, 0x3040C0, -1.6, 9))


def wheel(middle_x: int, middle_y: int, radius: int, turn: float, teeth: int) -> list[tuple[int, int]]:
    """The outline of a toothed wheel."""
    points = []
    for step in range(teeth * 4):
        angle = turn + step * math.tau / (teeth * 4)
        reach = radius if step % 4 < 2 else radius * 0.8
        points.append((round(middle_x + reach * math.cos(angle)), round(middle_y + reach * math.sin(angle))))
    return points


def paint(sheet: Any, pen: Any, at: float) -> None:
    pen.change(foreground=0x101010)
    sheet.fill_rectangle(pen, 0, 0, SIZE, SIZE)
    for x, y, radius, colour, speed, teeth in WHEELS:
        pen.change(foreground=colour)
        sheet.fill_poly(pen, Xlib.X.Complex, Xlib.X.CoordModeOrigin, wheel(x, y, radius, at * speed, teeth))
        pen.change(foreground=0x101010)
        sheet.fill_arc(pen, x - 12, y - 12, 24, 24, 0, 360 * 64)


def main() -> None:
    display = Xlib.display.Display()
    screen = display.screen()
    window = screen.root.create_window(
        *(500, 300, SIZE, SIZE, 0, screen.root_depth), override_redirect=True, event_mask=Xlib.X.ExposureMask
    )
    sheet = screen.root.create_pixmap(SIZE, SIZE, screen.root_depth)
    pen = window.create_gc()
    window.map()
    display.sync()
    print("shown", flush=True)
    began = time.monotonic()
    frame = 0
    while True:
        frame += 1
        paint(sheet, pen, frame / FRAMES_PER_SECOND)
        window.copy_area(pen, sheet, 0, 0, SIZE, SIZE, 0, 0)
        display.sync()
        time.sleep(max(0.0, began + frame / FRAMES_PER_SECOND - time.monotonic()))


main()
