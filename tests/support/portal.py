"""A real portal process: its own port, state folder, session folder and displays. It can be killed and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from madang.compute import processes, remains
from madang.identity.model import Actor
from madang.identity.service import People
from madang.identity.tokens import Tokens
from madang.kernel.ground import Ground
from madang.kernel.settings import load
from madang.services import sections
from tests.support import displays, own_libvirt
from tests.support.people import Client, cookie_client, token_client
from tests.support.waiting import eventually

MADANG = Path(sys.executable).parent / "madang"
START_SECONDS = 30.0
LINK = re.compile(r"https?://\S+/welcome#\S+")
# The last thing that a portal says when it begins. The link that it makes then replaces any other.
GREETING = re.compile("Sign in as the first administrator|A new sign-in link")
CALLER = Actor(None, "tests")
Result = TypeVar("Result")

# Short, so that what a portal waits for comes soon.
QUICK = {
    "VNC_HEARTBEAT_SECONDS": "1.0",
    "VNC_SILENT_SECONDS": "3.0",
    "VNC_CALL_SECONDS": "1.5",
    "VNC_POOL_REST_SECONDS": "0.2",
    "VNC_LOOK_SECONDS": "0.5",
    "VNC_END_SECONDS": "4.0",
    "VNC_MINIMUM_FREE_BYTES": "1000000",
    "IDENTITY_HASH_MEMORY_KIB": "64",
    "IDENTITY_HASH_ROUNDS": "1",
    "IDENTITY_RECHECK_SECONDS": "1.0",
}


class PortalProcess:
    """`madang up` (or another command) with settings of its own, given as VNC_SILENT_SECONDS="3.0".

    As a context it starts, and at the end stops and removes all that is left of its sessions.
    """

    def __init__(
        self,
        *command: str,
        folder: Path | None = None,
        port: int | None = None,
        **settings: str,
    ) -> None:
        """`folder`: share the state of another portal."""
        self.command = command or ("up",)
        self.port = port or free_port()
        self._owns = folder is None
        # Sockets' paths must be short, and the accounts of sessions must get through.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="mdg-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.state = self.folder / "state"
        self.sessions = self.folder / "s"
        self.log_file = self.folder / f"portal-{self.port}.log"
        self.first_display, self.last_display = displays.take_range()
        config = self.folder / "madang.toml"
        config.touch()
        chosen = QUICK | {
            "SITE_STATE_FOLDER": str(self.state),
            "HTTP_PORT": str(self.port),
            "VNC_FOLDER": str(self.sessions),
            "VNC_FIRST_DISPLAY": str(self.first_display),
            "VNC_LAST_DISPLAY": str(self.last_display),
            # Nothing of machines outside; as root no libvirt of its own either, for which an account would be made.
            "MACHINES_FOLDER": str(self.folder / "machines"),
            "MACHINES_ACCOUNT": "no-such-account",
            # The usual disk is larger than a small /tmp.
            "MACHINES_DISK_BYTES": "300000000",
        }
        own = {key: value for key, value in os.environ.items() if not key.startswith("MADANG_")}
        self.environment = own | {f"MADANG_{key}": value for key, value in (chosen | settings).items()}
        # Neither this checkout's nor this person's settings and tokens.
        self.environment |= {"MADANG_CONFIG": str(config), "XDG_CONFIG_HOME": str(self.folder)}
        self.process: subprocess.Popen[bytes] | None = None
        self._said_before = 0  # characters of its log from earlier starts

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The process.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        self._said_before = len(self.log)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [MADANG, *self.command],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        eventually(self._ready, seconds, lambda: f"the portal is not ready\n{self.log[-4000:]}")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the portal ended with {self.process.returncode}\n{self.log[-4000:]}")
        try:
            if httpx.get(f"{self.url}/ready", timeout=2, trust_env=False).status_code != 200:
                return False
        except httpx.TransportError:
            return False
        return "vnc" in self.command or GREETING.search(self.log, self._said_before) is not None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, seconds: float = 15) -> int | None:
        """Ask it to end, as an operator would; its exit status."""
        return self._end(signal.SIGTERM, seconds)

    def kill(self) -> int | None:
        """As `kill -9`."""
        return self._end(signal.SIGKILL, 5)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals, seconds: float) -> int | None:
        process, self.process = self.process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the portal did not stop in {seconds} s\n{self.log[-4000:]}") from None

    def close(self) -> None:
        """End the portal and everything that its sessions left, and remove its folder."""
        try:
            self.kill()
        finally:
            self._sweep()
            own_libvirt.remove(self.state, self.folder)
            displays.give_back(self.first_display)
            if self._owns:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        for session in self.stored_sessions():
            everybody = marked(session)
            owners = {processes.owner(process.pid) for process in everybody} - {None}
            processes.end(lambda session=session: {process.pid: process for process in marked(session)}, 0.5)  # type: ignore[misc]
            for uid in owners:
                remains.clear_display_files(uid or 0, {process.pid for process in everybody}, None)
            remains.remove_folder(self.sessions / session)

    def metrics(self) -> list[str]:
        return httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text.splitlines()

    # Its people, and its command line.

    @property
    def first_link(self) -> str:
        """The newest one-time link of the first administrator that the portal printed."""
        found = eventually(lambda: LINK.findall(self.log), 10, "the portal printed no link")
        return str(found[-1])

    def cli(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """`madang ...` on this portal's state."""
        done = subprocess.run(
            [MADANG, *arguments],
            env=self.environment | {"COLUMNS": "300"} | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def add_person(self, name: str, *, role: str = "member", account: str | None = None) -> str:
        """Add a person and give their id. `account` counts as root only."""

        async def work(ground: Ground) -> str:
            own = account if os.geteuid() == 0 else None
            person, _ = await People(ground).add(CALLER, name, display_name=name, roles=(role,), account=own)  # type: ignore[arg-type]
            return person.id

        return self.on_ground(work)

    def link_for(self, name: str) -> str:
        """A one-time sign-in link, whole."""

        async def work(ground: Ground) -> str:
            people = People(ground)
            return await people.make_link(CALLER, (await people.by_name(name)).id)

        return self.on_ground(work)

    def token_for(self, name: str, seconds: float = 3600) -> str:
        """An API token (mdg_...)."""

        async def work(ground: Ground) -> str:
            person = await People(ground).by_name(name)
            return (await Tokens(ground).lend(person, "tests", seconds))[1]

        return self.on_ground(work)

    def by_token(self, name: str) -> Client:
        return token_client(self.url, self.token_for(name))

    def by_cookie(self, name: str) -> Client:
        """A browser that has redeemed a link of this person."""
        return cookie_client(self.url, self.link_for(name).partition("#")[2])

    def on_ground(self, work: Callable[[Ground], Awaitable[Result]]) -> Result:
        """Something done beside the portal on its state, as the command line does; from inside a loop too."""
        outcome: list[Result | BaseException] = []

        async def main() -> Result:
            # HOME matters for nothing here: every path is given.
            ground = Ground(load(sections(), self.environment), shared=True)
            await ground.start()
            try:
                return await work(ground)
            finally:
                await ground.stop()

        def run() -> None:
            try:
                outcome.append(asyncio.run(main()))
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    # What it keeps.

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Its database, as another process has it open. Transactions are the caller's."""
        connection = sqlite3.connect(self.state / "madang.sqlite3", timeout=10, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    def stored_sessions(self) -> Sequence[str]:
        if not (self.state / "madang.sqlite3").exists():
            return []
        with contextlib.suppress(sqlite3.Error), self.database() as database:
            return [row[0] for row in database.execute("SELECT id FROM sessions")]
        return []

    def stored(self, session: str) -> dict[str, Any]:
        """The record of a session."""
        with self.database() as database:
            database.row_factory = sqlite3.Row
            row = database.execute("SELECT * FROM sessions WHERE id = ?", (session,)).fetchone()
        return dict(row) if row else {}


def marked(session: str) -> list[processes.Process]:
    """Every process of a session, whoever's it is: by the mark in its environment or arguments."""
    mark = remains.marker(session).encode()
    return [
        process
        for process in processes.everything()
        if process.running and (mark in _words(process.pid, "environ") or mark in _words(process.pid, "cmdline"))
    ]


def _words(pid: int, what: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes().split(b"\0")
    except OSError:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
