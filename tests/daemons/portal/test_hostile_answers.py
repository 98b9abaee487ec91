"""An agent answers nonsense: its person is told so, and the portal meets no error that it did not expect."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemons.portal.conftest import Accounts, ensure_running, forget
from tests.support.accounts import AS_ROOT
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import refusal
from tests.support.session import OnMachine, memory

pytestmark = pytest.mark.skipif(not AS_ROOT, reason="only root can be somebody else")
# A door that answers each verb as it is told: a line, and so many bytes.
LIAR = """
import json, os, socket, sys
path, said = sys.argv[1], json.loads(sys.argv[2])
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print("ready", flush=True)
while True:
    guest, _ = listener.accept()
    try:
        line, size = said.get(json.loads(guest.recv(65536)).get("do", "desktop"), ["{}", 0])
        guest.sendall(line.encode() + b"\\n" + b"x" * size)
    except OSError:
        pass
    guest.close()
"""
VERBS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "files.list": ("GET", "files", {}),
    "files.get": ("GET", "files/content", {"params": {"path": "x"}}),
    "files.put": ("PUT", "files/content", {"params": {"name": "x"}, "content": b"hello"}),
    "picture": ("GET", "picture", {}),
    "repair": ("POST", "repair", {}),
}
NONSENSE = [
    ("files.list", '{"ok":true,"entries":"x"}', 503),
    ("files.list", '{"ok":true,"folder":1,"entries":[{}],"truncated":0}', 503),
    ("files.list", "[" * 100_000, 503),
    ("files.list", '{"ok":false,"code":"\\n\\u001b[2J","detail":"x"}', 409),
    ("files.get", '{"ok":true,"size":-1}', 503),
    ("files.get", '{"ok":true,"size":"many"}', 503),
    ("files.put", '{"ok":true}\n{"ok":true}', 503),
    ("files.put", '{"ok":true}\n{"ok":true,"path":[],"name":{},"size":"x"}', 503),
    ("picture", '{"ok":true,"size":1000000000000}', 503),
    ("repair", '{"ok":true,"did":5}', 503),
    ("repair", '{"ok":true,"did":[{}]}', 503),
]


@pytest.fixture(scope="module")
def liars(portal: PortalProcess, people: dict[str, Client]) -> Iterator[OnMachine]:
    ensure_running(portal)
    session = str(people["kim"].start_desktop(name="lies")["id"])
    yield OnMachine(portal, session)
    forget(people["kim"], session)


@contextlib.contextmanager
def saying(desktop: OnMachine, account: str | None, said: dict[str, tuple[str, int]]) -> Iterator[None]:
    door = desktop.folder / "door.sock"
    real = door.with_name("real.sock")
    door.rename(real)
    command = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "/usr/bin/python3"]
    liar = subprocess.Popen([*command, "-c", LIAR, str(door), json.dumps(said)], stdout=subprocess.PIPE)
    try:
        assert liar.stdout is not None and liar.stdout.readline() == b"ready\n"
        yield
    finally:
        liar.kill()
        liar.communicate()
        door.unlink(missing_ok=True)
        os.rename(real, door)


@pytest.mark.parametrize(("verb", "line", "status"), NONSENSE)
def test_nonsense_is_no_error_of_the_portal(
    portal: PortalProcess, kim: Client, liars: OnMachine, accounts: Accounts, verb: str, line: str, status: int
) -> None:
    before = portal.log.count("Traceback")
    method, path, more = VERBS[verb]
    with saying(liars, accounts.kim, {verb: (line, 0)}):
        answer = kim.request(method, f"/api/vnc/sessions/{liars.id}/{path}", **more)
    assert answer.status_code == status, answer.text
    assert portal.log.count("Traceback") == before


def test_a_files_name_gets_into_no_other_header(
    portal: PortalProcess, kim: Client, liars: OnMachine, accounts: Accounts
) -> None:
    for name in ('a\\r\\nset-cookie: x=1\\"; filename=evil.html', "\\ud800\\u0000"):
        with saying(liars, accounts.kim, {"files.get": (f'{{"ok":true,"name":"{name}","size":3}}', 3)}):
            answer = kim.get(f"/api/vnc/sessions/{liars.id}/files/content", params={"path": "x"})
        assert (answer.status_code, answer.content) == (200, b"xxx")
        assert "set-cookie" not in answer.headers and answer.headers["x-content-type-options"] == "nosniff"
        said = answer.headers["content-disposition"]
        assert said.startswith("attachment; filename*=UTF-8''") and not set(said[21:]) & set(' ";\r\n')


def test_names_of_files_do_nothing_to_a_terminal(portal: PortalProcess, liars: OnMachine, accounts: Accounts) -> None:
    assert accounts.kim
    home = Path(pwd.getpwnam(accounts.kim).pw_dir) / "odd"
    home.mkdir()
    for name in ("[b] opens nothing", "\x1b]0;owned\x07", "[draft].pdf"):
        (home / name).touch()
    os.chown(home, pwd.getpwnam(accounts.kim).pw_uid, -1)
    try:
        shown = portal.cli("desktops", "files", liars.id, "odd", MADANG_TOKEN=portal.token_for("kim")).stdout
    finally:
        shutil.rmtree(home)
    assert "\x1b" not in shown and "\x07" not in shown
    assert "[b] opens nothing" in shown and "[draft].pdf" in shown and "owned" in shown


def test_every_refusals_code_is_no_counter(
    portal: PortalProcess, kim: Client, liars: OnMachine, accounts: Accounts
) -> None:
    with saying(liars, accounts.kim, {"desktop": ('{"ok":false,"code":"one of a million"}', 0)}):
        status, problem = refusal(f"{portal.ws_url}/vncproxy/{liars.id}", kim.socket_headers)
    assert (status, problem["code"]) == (503, "door_refused")
    assert not [line for line in portal.metrics() if "one of a million" in line]


def test_pictures_do_not_fill_the_memory(
    portal: PortalProcess, kim: Client, liars: OnMachine, accounts: Accounts
) -> None:
    before = memory(portal.pid)
    with saying(liars, accounts.kim, {"picture": ('{"ok":true,"size":4000000,"type":"image/webp"}', 4_000_000)}):
        for width in range(200, 260):
            assert kim.get(f"/api/vnc/sessions/{liars.id}/picture", params={"width": width}).status_code == 200
    assert memory(portal.pid) - before < 150_000_000
