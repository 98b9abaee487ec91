"""Many who look at a desktop and then do nothing any more: `python crowd.py URL TOKEN SESSION COUNT HOW`.

HOW: `door` asks for pictures that nobody will read, `glance` for so little that all of it was read, `live` listens to
the page's events. Says "ready" once all are in.
"""

from __future__ import annotations

import struct
import sys
import time

from websockets.sync.client import ClientConnection, connect


def enter(url: str, token: str, session: str, how: str) -> ClientConnection:
    path = "/api/live" if how == "live" else f"/vncproxy/{session}"
    headers = {"Authorization": f"Bearer {token}"}
    # Reads nothing ahead: what is not read here stays in the kernel and then in the portal.
    socket = connect(
        url + path,
        additional_headers=headers,
        compression=None,
        proxy=None,
        max_queue=1,
        ping_interval=None,
        legacy=True,
    )
    if how != "live":
        socket.recv(10)
        socket.send(b"RFB 003.008\n")
        socket.recv(10)
        socket.send(b"\x01")
        socket.recv(10)
        socket.send(b"\x01")
        socket.recv(10)
        socket.send(struct.pack("!BxHi", 2, 1, 0))
        if how == "glance":
            socket.send(struct.pack("!BBHHHH", 3, 0, 0, 0, 8, 8))
            socket.recv(10)
        else:
            for _ in range(4):
                socket.send(struct.pack("!BBHHHH", 3, 0, 0, 0, 1440, 900))
    return socket


def main() -> None:
    url, token, session, count, how = sys.argv[1:]
    crowd = [enter(url, token, session, how) for _ in range(int(count))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while crowd:
        time.sleep(60)


if __name__ == "__main__":
    main()
