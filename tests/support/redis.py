"""A private Redis, and sentinels that watch it: in a folder of their own, ended by their process ids."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = shutil.which("redis-server") or "/usr/bin/redis-server"
SECONDS = 15.0
SERVICE = "madang"
# Shorter than a site's, so that tests see a failover soon.
DOWN_AFTER_SECONDS = 1.0
FAILOVER_SECONDS = 5.0


class RedisServer:
    """One redis-server (or sentinel) on a port of loopback; it can be killed, stopped and started again."""

    def __init__(self, folder: Path, name: str, *lines: str, sentinel: bool = False) -> None:
        self.port = free_port()
        self.name = name
        self._folder = folder
        self._sentinel = sentinel
        self._config = folder / f"{name}.conf"
        common = (f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", "protected-mode no", 'save ""')
        kept = [line for line in common if not (sentinel and line.startswith("save"))]
        self._config.write_text("\n".join([*kept, *lines]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / f"{name}.sock"
        self.extra_password = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                # Ends with the tests, also when those are killed.
                ["setpriv", "--pdeathsig", "KILL", PROGRAM, self._config, *(["--sentinel"] if self._sentinel else [])],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / f"{self.name}.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ask("PING"))
        return False

    def ask(self, *words: str) -> str:
        """One command, spoken by hand so that the tests do not trust what they test; the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            for command in (["AUTH", self.extra_password] if self.extra_password else [], list(words)):
                if command:
                    parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                    connection.sendall(f"*{len(command)}\r\n{parts}".encode())
                    time.sleep(0.01)
                    answer = connection.recv(65536).decode(errors="replace")
            return answer

    def flush(self) -> None:
        assert self.ask("FLUSHALL").startswith("+OK")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


@contextlib.contextmanager
def redis_server(*lines: str) -> Iterator[RedisServer]:
    """One running Redis."""
    folder = Path(tempfile.mkdtemp(prefix="mdg-redis-", dir="/tmp"))
    server = RedisServer(folder, "redis", f"unixsocket {folder}/redis.sock", *lines)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Watched:
    """A primary, a replica, and sentinels that watch them."""

    def __init__(self, folder: Path, sentinels: int = 3) -> None:
        self.primary = RedisServer(folder, "primary")
        self.replica = RedisServer(
            folder, "replica", f"replicaof 127.0.0.1 {self.primary.port}", "repl-diskless-sync-delay 0"
        )
        quorum = sentinels // 2 + 1
        self.sentinels = [
            RedisServer(
                folder,
                f"sentinel{number}",
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} {quorum}",
                f"sentinel down-after-milliseconds {SERVICE} {round(DOWN_AFTER_SECONDS * 1000)}",
                f"sentinel failover-timeout {SERVICE} {round(FAILOVER_SECONDS * 1000)}",
                sentinel=True,
            )
            for number in range(sentinels)
        ]
        self.everything = [self.primary, self.replica, *self.sentinels]

    @property
    def url(self) -> str:
        return f"sentinel://{','.join(one.address for one in self.sentinels)}/{SERVICE}"

    def start(self) -> None:
        for server in self.everything:
            server.start()
        # A primary killed before the sentinels know its replica has no successor for minutes.
        deadline = time.monotonic() + SECONDS
        while not all(self._knows_all(sentinel) for sentinel in self.sentinels):
            assert time.monotonic() < deadline, self.sentinels[0].ask("SENTINEL", "MASTER", SERVICE)
            time.sleep(0.1)

    def _knows_all(self, sentinel: RedisServer) -> bool:
        words = sentinel.ask("SENTINEL", "MASTER", SERVICE).split("\r\n")
        facts = dict(zip(words[2::4], words[4::4], strict=False))
        replicas = sentinel.ask("SENTINEL", "REPLICAS", SERVICE)
        others = str(len(self.sentinels) - 1)
        return facts.get("num-other-sentinels") == others and "master-link-status\r\n$2\r\nok" in replicas


@contextlib.contextmanager
def watched_redis() -> Iterator[Watched]:
    """A running primary with replica and three sentinels."""
    folder = Path(tempfile.mkdtemp(prefix="mdg-redis-", dir="/tmp"))
    watched = Watched(folder)
    try:
        watched.start()
        yield watched
    finally:
        for server in watched.everything:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
