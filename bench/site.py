"""A Madang of our own: the real portal with its own port, state folder and displays, and somebody signed in."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from bench import processes
from bench.processes import Trouble

FIRST_DISPLAY, LAST_DISPLAY = 40, 69
PASSWORD = "a long word for measuring"
MADANG = Path(sys.executable).parent / "madang"
BUILD = Path(__file__).parents[1] / "scripts/build"
Session = dict[str, Any]


class Site:
    """A portal and its first administrator, who has the account `user`."""

    def __init__(self, user: str, *, prefix: Sequence[str] = (), **settings: str) -> None:
        """`prefix` goes before every command of the portal (taskset ...); settings as in VNC_LAST_DISPLAY="69"."""
        _build_page()
        self.user = user
        self.port = processes.free_port()
        # Sessions have their folders in it, so their account must get through; paths of sockets must be short.
        self.base = Path(tempfile.mkdtemp(prefix="mb-", dir="/tmp"))
        self.base.chmod(0o711)
        self.state = self.base / "state"
        self.log = self.base / "portal.log"
        self._prefix = prefix
        chosen = {
            "SITE_STATE_FOLDER": str(self.state),
            "VNC_FOLDER": str(self.base / "s"),
            "VNC_FIRST_DISPLAY": str(FIRST_DISPLAY),
            "VNC_LAST_DISPLAY": str(LAST_DISPLAY),
            "VNC_SESSIONS_PER_PERSON": "1000",
        }
        own = {key: value for key, value in os.environ.items() if not key.startswith("MADANG_")}
        self.environment = own | {f"MADANG_{key}": value for key, value in (chosen | settings).items()}
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""
        self.person = ""
        self.cookies: list[dict[str, str]] = []
        try:
            self.start()
            self._sign_in()
        except BaseException:
            self.close()
            raise
        self.api = httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, command: Sequence[str | Path] = ()) -> float:
        """Start the portal; gives the seconds until it is ready."""
        began = time.monotonic()
        command = command or [*self._prefix, MADANG, "up", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = processes.start(command, environment=self.environment, stdout=log, stderr=log)
        try:
            processes.until(self._ready, 60, "the portal")
        except Trouble as error:
            raise Trouble(f"{error}; its log ends: {self.log.read_text()[-600:]}") from error
        return time.monotonic() - began

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Stop the portal; desktops go on."""
        assert self.process is not None
        return processes.stop(self.process, how)

    def close(self) -> None:
        """End all desktops, stop the portal, remove everything."""
        if self.process is not None:
            with contextlib.suppress(httpx.HTTPError, Trouble):
                if self.token and self.agents():
                    self.end_all()
            self.stop()
        for pid in self.agents():
            processes.end(pid)
        with contextlib.suppress(Trouble):
            processes.until(lambda: not self.agents(), 10, "the agents' end")
        shutil.rmtree(self.base, ignore_errors=True)

    def get(self, path: str) -> Any:
        answer = self.api.get(path)
        answer.raise_for_status()
        return answer.json()

    def new_desktop(self, **wish: object) -> Session:
        answer = self.api.post("/api/vnc/sessions", json=wish)
        if answer.status_code != 201:
            raise Trouble(f"a desktop was refused: {answer.text[:300]}")
        return dict(answer.json())

    def wait_for(self, session: str, state: str, seconds: float = 40) -> Session:
        """The session once it has come to a state. Raises Trouble when it ends otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: Session = self.get(f"/api/vnc/sessions/{session}")
            if found["state"] == state:
                return found
            if found["state"] in ("failed", "ended"):
                raise Trouble(f"the desktop is {found['state']}: {found['failure'] or found['end_reason']}")
            time.sleep(0.02)
        raise Trouble(f"the desktop was not {state} within {seconds:g} s")

    def ready_desktop(self, **wish: object) -> Session:
        return self.wait_for(self.new_desktop(**wish)["id"], "ready")

    def end(self, session: str) -> None:
        self.api.delete(f"/api/vnc/sessions/{session}")
        self.wait_for(session, "ended")

    def end_all(self) -> None:
        running = [found["id"] for found in self.get("/api/vnc/sessions?ended=false")]
        for session in running:
            self.api.delete(f"/api/vnc/sessions/{session}")
        processes.until(lambda: not self.get("/api/vnc/sessions?ended=false"), 30, "the end of the desktops", 0.1)

    def folder(self, session: str) -> Path:
        return self.base / "s" / session

    def agents(self, session: str = "") -> list[int]:
        """The processes of our agents (keeper and worker), of one session or of all."""
        known = [session] if session else [path.name for path in (self.base / "s").glob("*")]
        return [pid for name in known for pid in processes.with_words(f"MADANG_SESSION={name}")]

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Trouble("the portal ended")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _sign_in(self) -> None:
        """Through the one-time link that the first start prints; then a token for programs."""
        processes.until(lambda: re.search(r"/welcome#\S+\n", self.log.read_text()), 10, "the first sign-in link")
        found = re.search(r"/welcome#(\S+)", self.log.read_text())
        assert found is not None
        with httpx.Client(base_url=self.url, timeout=30) as browser:
            me = _checked(browser.post("/api/identity/links/redeem", json={"token": found[1]})).json()
            browser.headers["x-csrf-token"] = me["csrf_token"]
            password = {"current_password": None, "new_password": PASSWORD}
            _checked(browser.put("/api/identity/password", json=password))
            me = _checked(browser.get("/api/identity/me")).json()
            browser.headers["x-csrf-token"] = me["csrf_token"]
            self.person = me["person"]["id"]
            if me["site"]["mode"] == "root":
                _checked(browser.patch(f"/api/identity/people/{self.person}", json={"account": self.user}))
            made = _checked(browser.post("/api/identity/tokens", json={"name": "bench", "expires_in_days": 1}))
            self.token = made.json()["secret"]
            self.cookies = [{"name": key, "value": value, "url": self.url} for key, value in browser.cookies.items()]


@functools.cache
def _build_page() -> None:
    """Once a run: what is measured is the page of these sources."""
    done = subprocess.run([BUILD, "--if-changed"], capture_output=True, text=True)
    if done.returncode:
        raise Trouble(f"the page is not built: {(done.stderr or done.stdout).strip()[-600:]}")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise Trouble(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer
