"""Doors against those who are on the machine already: old tickets, other users, and the session's own owner."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemons.portal.conftest import Accounts, forget
from tests.support.accounts import AS_ROOT, as_account
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer, refusal
from tests.support.session import OnMachine, descriptors
from tests.support.waiting import eventually

from madang.doors import tickets

root_only = pytest.mark.skipif(not AS_ROOT, reason="needs accounts other than the one that runs the tests")

# Plain Python for another account: this checkout may not be readable for it.
KNOCK = """
import socket, sys
door = socket.socket(socket.AF_UNIX)
door.settimeout(8)
door.connect(sys.argv[1])
door.sendall(sys.argv[2].encode() + b"\\n")
print(door.recv(4096).decode(), end="")
"""
TRY_EVERYTHING = """
import os, socket, struct, sys
for path in sys.argv[2:]:
    connect = socket.socket(socket.AF_UNIX).connect
    for work in (lambda: connect(path), lambda: os.listdir(path), lambda: open(path).read(1)):
        try:
            work()
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            print("reached", path, error)
            continue
        print("opened", path)
for address in ("\\0/tmp/.X11-unix/X" + sys.argv[1], "/tmp/.X11-unix/X" + sys.argv[1]):
    display = socket.socket(socket.AF_UNIX)
    display.settimeout(8)
    try:
        display.connect(address)
    except OSError:
        continue
    display.sendall(b"l\\0" + struct.pack("<HHHHH", 11, 0, 0, 0, 0))
    if display.recv(1) != b"\\0":
        print("the display took us", address)
"""


def knock(desktop: OnMachine, ticket: str, account: str | None) -> dict[str, object]:
    """What the door says to this ticket, brought by root (or ourselves) or by an account."""
    asked = [sys.executable, "-c", KNOCK, str(desktop.folder / "door.sock"), json.dumps({"ticket": ticket})]
    if account is None:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    else:
        done = as_account(account, "/usr/bin/python3", *asked[1:])
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("who", ["ourselves", "owner"])
def test_a_ticket_that_does_not_open(shared: OnMachine, accounts: Accounts, who: str) -> None:
    if who == "owner" and not AS_ROOT:
        pytest.skip("the owner is who runs the tests")
    account = accounts.kim if who == "owner" else None
    key = str(shared.portal.stored(shared.id)["door_key"])
    assert knock(shared, tickets.issue(key, shared.id, valid_seconds=-2), account)["code"] == "ticket_expired"
    assert knock(shared, tickets.issue(tickets.new_key(), shared.id), account)["code"] == "ticket_invalid"
    assert knock(shared, tickets.issue(key, "000000000000"), account)["code"] == "ticket_foreign"
    good = tickets.issue(key, shared.id)
    assert knock(shared, good, account) == {"ok": True}
    assert knock(shared, good, account)["code"] == "ticket_replayed"
    for nonsense in ("", "a.b.c.d", "ä" * 50, good[:-1] + "!"):
        assert knock(shared, nonsense, account)["ok"] is False


def test_the_door_stays_open_for_others(kim: Client, shared: OnMachine) -> None:
    """Connections that say nothing do not keep the portal out."""
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for one in silent:
        one.connect(str(shared.folder / "door.sock"))
    try:
        with Viewer(kim, shared.id) as viewer:
            assert viewer.works()
    finally:
        for one in silent:
            one.close()


@root_only
@pytest.mark.parametrize("who", ["stranger", "lee"])
def test_another_user_of_the_machine_gets_nothing(shared: OnMachine, accounts: Accounts, who: str) -> None:
    state = shared.portal.state
    paths = [
        shared.folder,
        *shared.folder.iterdir(),
        shared.portal.sessions,
        state,
        state / "logs",
        shared.log_file,
        *(file for file in state.iterdir() if file.is_file()),
    ]
    display = str(shared.portal.stored(shared.id)["display"])
    account = accounts.stranger if who == "stranger" else accounts.lee
    assert account
    done = as_account(account, "/usr/bin/python3", "-c", TRY_EVERYTHING, display, *map(str, paths))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@root_only
def test_the_owner_cannot_read_what_the_portal_keeps(shared: OnMachine, accounts: Accounts) -> None:
    state = shared.portal.state
    paths = [str(path) for path in (state, shared.log_file, state / "secret.key", state / "madang.sqlite3")]
    assert accounts.kim
    done = as_account(accounts.kim, "/usr/bin/python3", "-c", TRY_EVERYTHING, "9999", *paths)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_no_secret_is_on_a_command_line_or_in_an_environment(shared: OnMachine) -> None:
    stored = shared.portal.stored(shared.id)
    for pid in (shared.portal.pid, *(process.pid for process in shared.processes())):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/{name}").read_bytes().replace(b"=", b"\0").split(b"\0")
                assert stored["door_key"].encode() not in words, (pid, name)
                assert stored["agent_secret_hash"] not in {hashlib.sha256(word).hexdigest() for word in words}
    for text in (shared.log_file.read_text(), shared.portal.log):
        assert stored["door_key"] not in text


# The owner of a session puts something else where its door was.

FORGER = """
import array, os, socket, sys
path, how, other = sys.argv[1:]
os.unlink(path)
if how == "symlink":
    os.symlink(other, path)
    print("ready", flush=True)
    sys.stdin.read()
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print("ready", flush=True)
while True:
    guest, _ = listener.accept()
    guest.recv(4096)
    give = []
    if how == "foreign":
        engine = socket.socket(socket.AF_UNIX); engine.connect(other); give = [engine.fileno()]
    elif how == "file":
        give = [os.open("/etc/passwd", os.O_RDONLY)]
    elif how == "tcp":
        engine = socket.socket(); give = [engine.fileno()]
    elif how == "many":
        give = [os.dup(0) for _ in range(100)]
    said = {"endless": b"x" * 100000, "garbage": b"[]\\n", "silent": b""}.get(how, b'{"ok":true}\\n')
    try:
        guest.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", give))] if give else [])
    except OSError:
        pass
    if how != "silent":
        guest.close()
"""


@pytest.fixture(scope="module")
def roots_socket(portal: PortalProcess) -> Iterator[Path]:
    """A socket of root's that everybody may connect to."""
    path = portal.folder / "roots.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o777)
    listener.listen(50)
    served: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                served.append(listener.accept()[0])

    threading.Thread(target=serve, daemon=True).start()
    yield path
    listener.close()
    path.unlink()


@pytest.fixture(scope="module")
def victim(portal: PortalProcess, people: dict[str, Client]) -> Iterator[OnMachine]:
    """A desktop whose owner is up to something."""
    session = str(people["kim"].start_desktop(name="forged")["id"])
    yield OnMachine(portal, session)
    forget(people["kim"], session)


@contextlib.contextmanager
def forged(desktop: OnMachine, account: str, how: str, other: Path) -> Iterator[None]:
    door = desktop.folder / "door.sock"
    real = door.with_name("real.sock")
    os.link(door, real)
    become = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    process = subprocess.Popen(
        [*become, "/usr/bin/python3", "-c", FORGER, str(door), how, str(other)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate()
        door.unlink(missing_ok=True)
        real.rename(door)


@root_only
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("symlink", "door_foreign"),
        ("foreign", "door_foreign"),
        ("tcp", "door_foreign"),
        ("file", "door_foreign"),
        ("many", "door_foreign"),
        ("garbage", "door_unreachable"),
        ("endless", "door_unreachable"),
        ("silent", "door_unreachable"),
    ],
)
def test_an_owner_who_forges_the_door_gets_nowhere(
    portal: PortalProcess, kim: Client, victim: OnMachine, accounts: Accounts, roots_socket: Path, how: str, code: str
) -> None:
    assert accounts.kim
    kim.sessions()
    before = descriptors(portal.pid)
    with forged(victim, accounts.kim, how, roots_socket):
        for _ in range(1 if how == "silent" else 5):
            status, problem = refusal(f"{portal.ws_url}/vncproxy/{victim.id}", kim.socket_headers)
            assert (status, problem["code"]) == (503, code)
    assert kim.get("/ready").status_code == 200
    eventually(lambda: descriptors(portal.pid) <= before + 2, 5, "the portal keeps what it was handed")
    with Viewer(kim, victim.id) as viewer:
        assert viewer.works(), "the real door still opens"
