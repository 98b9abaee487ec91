"""Many open desktops: what each of their WebSockets costs in memory."""

from __future__ import annotations

import socket
import struct
import threading
import time

from websockets.sync.client import ClientConnection, connect

from bench import processes
from bench.measures import Plan
from bench.results import Row, Target
from bench.site import Site

TITLE = "200 open desktops"
METHOD = (
    "200 WebSockets on /vncproxy of one portal, 50 on each of four desktops; each has received a whole picture, and "
    "then asks for changes once a second. Memory is that of the portal's process with them less without, divided by "
    "their number; once with half of the clients no longer reading while pictures are on their way."
)
DESKTOPS, EACH = 4, 50
PICTURE = struct.pack("!BBHHHH", 3, 0, 0, 0, 1440, 900)
CHANGES = struct.pack("!BBHHHH", 3, 1, 0, 0, 1440, 900)
LIMIT = Target(at_most=1.5)


def measure(plan: Plan) -> list[Row]:
    desktops, each = DESKTOPS, plan.times(EACH, 5)
    count = desktops * each
    site = Site(plan.user)
    clients: list[Client] = []
    try:
        sessions = [site.ready_desktop(width=1440, height=900)["id"] for _ in range(desktops)]
        with Client(site, sessions[0]) as first:
            first.look()
        time.sleep(3)
        before = processes.rss_bytes([site.pid]), processes.pss_bytes([site.pid])
        clients += [Client(site, session) for _ in range(each) for session in sessions]
        for client in clients:
            client.look()
        for client in clients:
            client.follow()
        time.sleep(plan.times(10, 2))
        after = processes.rss_bytes([site.pid]), processes.pss_bytes([site.pid])
        for client in clients[::2]:
            client.stall()
        time.sleep(plan.times(10, 2))
        stalled = processes.rss_bytes([site.pid])
    finally:
        for client in clients:
            client.close()
        site.close()
    return [
        Row(f"one of {count} WebSockets, RSS", (after[0] - before[0]) / count / 1e6, "MB", LIMIT, samples=count),
        Row(f"one of {count} WebSockets, PSS", (after[1] - before[1]) / count / 1e6, "MB", LIMIT, samples=count),
        Row("the same with half of them stalled, RSS", (stalled - before[0]) / count / 1e6, "MB", LIMIT, samples=count),
    ]


class Client:
    """Somebody who looks at a desktop, raw rectangles only: the most bytes there can be."""

    def __init__(self, site: Site, session: str) -> None:
        self._socket: ClientConnection = connect(
            f"ws://127.0.0.1:{site.port}/vncproxy/{session}",
            additional_headers={"Authorization": f"Bearer {site.token}"},
            compression=None,
            max_size=None,
            max_queue=2,
        )
        self._unread = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._stalled = False
        for send, wait in ((b"", 12), (b"RFB 003.008\n", 2), (b"\x01", 4), (b"\x01", 24)):
            if send:
                self._socket.send(send)
            said = self._read(wait)
        self._read(struct.unpack("!I", said[20:24])[0])
        self._socket.send(struct.pack("!BxHi", 2, 1, 0))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self) -> None:
        """Receive one whole picture."""
        self._socket.send(PICTURE)
        self._read(1440 * 900 * 4)

    def follow(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stall(self) -> None:
        """Ask for pictures, and take nothing any more."""
        self._stalled = True
        for _ in range(4):
            self._socket.send(PICTURE)

    def close(self) -> None:
        self._stop.set()
        self._socket.socket.shutdown(socket.SHUT_RDWR)
        self._socket.socket.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._stalled:
                    self._socket.send(CHANGES)
                    self._socket.recv(1.0)
                else:
                    time.sleep(1.0)
            except TimeoutError:
                continue
            except Exception:  # the connection is closed: the measurement is over
                return

    def _read(self, count: int) -> bytes:
        while len(self._unread) < count:
            part = self._socket.recv(20)
            self._unread += part if isinstance(part, bytes) else part.encode()
        found, self._unread = self._unread[:count], self._unread[count:]
        return found
