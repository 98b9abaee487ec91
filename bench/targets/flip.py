"""A window that changes its colour at each key and each click."""

from __future__ import annotations

import Xlib.display
import Xlib.X

from bench.targets import FLIP_HEIGHT, FLIP_WIDTH, FLIP_X, FLIP_Y

COLOURS = (0x205080, 0xE0A030)


def main() -> None:
    display = Xlib.display.Display()
    screen = display.screen()
    window = screen.root.create_window(
        *(FLIP_X, FLIP_Y, FLIP_WIDTH, FLIP_HEIGHT, 0, screen.root_depth),
        override_redirect=True,  # beside the window manager, which would move it
        background_pixel=COLOURS[0],
        event_mask=Xlib.X.KeyPressMask | Xlib.X.ButtonPressMask | Xlib.X.ExposureMask,
    )
    paint = window.create_gc(foreground=COLOURS[0])
    window.map()
    while display.next_event().type != Xlib.X.Expose:
        pass
    # Keys come here whichever window has the focus.
    window.grab_keyboard(False, Xlib.X.GrabModeAsync, Xlib.X.GrabModeAsync, Xlib.X.CurrentTime)
    display.sync()
    print("shown", flush=True)
    turn = 0
    while True:
        event = display.next_event()
        if event.type in (Xlib.X.KeyPress, Xlib.X.ButtonPress):
            turn = 1 - turn
            paint.change(foreground=COLOURS[turn])
        if event.type in (Xlib.X.KeyPress, Xlib.X.ButtonPress, Xlib.X.Expose):
            window.fill_rectangle(paint, 0, 0, FLIP_WIDTH, FLIP_HEIGHT)
            display.flush()


main()
