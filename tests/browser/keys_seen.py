"""Prints each key that is pressed on the display named in the environment, by its X name; ends when it is ended."""

from __future__ import annotations

import sys
from typing import Any

from Xlib import XK, X, display
from Xlib.ext import record
from Xlib.protocol import rq


def main() -> None:
    asking, listening = display.Display(), display.Display()
    wanted = {
        "core_requests": (0, 0), "core_replies": (0, 0), "ext_requests": (0, 0, 0, 0), "ext_replies": (0, 0, 0, 0),
        "delivered_events": (0, 0), "device_events": (X.KeyPress, X.KeyRelease), "errors": (0, 0),
        "client_started": False, "client_died": False,
    }  # fmt: skip
    context = listening.record_create_context(0, [record.AllClients], [wanted])

    def hear(reply: Any) -> None:
        data = reply.data
        if reply.category == record.StartOfData:
            say("listening")
        while len(data) and reply.category == record.FromServer:
            event, data = rq.EventField(None).parse_binary_value(data, listening.display, None, None)
            if event.type == X.KeyPress:
                symbol = asking.keycode_to_keysym(event.detail, 0)
                say(next((name[3:] for name, value in vars(XK).items() if name[:3] == "XK_" and value == symbol), "?"))

    listening.record_enable_context(context, hear)


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
