"""Inside a desktop through the portal: files, picture, log, repair. Only its owner, and as their own account."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pwd
import signal
import socket
from http.client import HTTPResponse
from pathlib import Path

import pytest
from PIL import Image
from tests.daemons.portal.conftest import Accounts
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.rfb import Viewer
from tests.support.session import OnMachine
from tests.support.waiting import eventually

MEGABYTE = 1_000_000


def home(accounts: Accounts) -> Path:
    return Path(pwd.getpwnam(accounts.kim).pw_dir if accounts.kim else os.path.expanduser("~"))


def content(session: str) -> str:
    return f"/api/vnc/sessions/{session}/files/content"


def test_a_file_goes_in_and_comes_out_as_it_was(kim: Client, shared: OnMachine, accounts: Accounts) -> None:
    data = os.urandom(3 * MEGABYTE)  # more than the portal takes of any other request
    name = "보고서 “1”; 끝.bin"
    answer = kim.put(content(shared.id), params={"name": name}, content=data)
    assert answer.status_code == 201, answer.text
    put = answer.json()
    assert (put["name"], put["size"]) == (name, len(data))
    file = Path(put["path"])
    assert file.read_bytes() == data
    if accounts.kim:
        assert file.owner() == accounts.kim
    again = kim.put(content(shared.id), params={"name": name}, content=b"other")
    assert again.json()["name"] != name, "what was there is written over"
    assert file.read_bytes() == data
    listed = kim.get(f"/api/vnc/sessions/{shared.id}/files").json()
    assert {"name": name, "kind": "file", "size": len(data)}.items() <= next(
        entry for entry in listed["entries"] if entry["name"] == name
    ).items()
    answer = kim.get(content(shared.id), params={"path": put["path"]})
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest()
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in (file, Path(again.json()["path"])):
        path.unlink()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("no such file", 404, "file_not_found"),
        (".", 422, "not_a_file"),
        ("/etc/shadow", 403, "file_denied"),
        ("x" * 4097, 422, "validation"),
    ],
)
def test_a_download_that_cannot_be_is_refused_in_words(
    kim: Client, shared: OnMachine, path: str, status: int, code: str
) -> None:
    if os.geteuid() != 0 and path == "/etc/shadow" and os.access(path, os.R_OK):
        pytest.skip("this account may read it")
    answer = kim.get(content(shared.id), params={"path": path})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize("name", ["../up", "a/b", "..", ".", "x" * 300, "nul\0"])
def test_a_name_that_is_no_file_name_is_refused(kim: Client, shared: OnMachine, name: str) -> None:
    answer = kim.put(content(shared.id), params={"name": name}, content=b"data")
    assert answer.status_code == 422, answer.text


def test_an_upload_into_a_folder_that_is_not_theirs_is_refused(kim: Client, shared: OnMachine) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs an account besides one's own")
    answer = kim.put(content(shared.id), params={"name": "file", "folder": "/root"}, content=b"data")
    assert answer.status_code in (403, 404), answer.text
    assert not Path("/root/file").exists()


def test_too_large_a_file_is_refused_before_it_is_sent(kim: Client, portal: PortalProcess, shared: OnMachine) -> None:
    with socket.create_connection(("127.0.0.1", portal.port), timeout=10) as connection:
        connection.sendall(
            f"PUT {content(shared.id)}?name=huge HTTP/1.1\r\nHost: 127.0.0.1:{portal.port}\r\n"
            f"Authorization: {kim.headers['authorization']}\r\nContent-Length: {10**12}\r\n\r\n".encode()
        )
        answer = HTTPResponse(connection)
        answer.begin()
        said = json.loads(answer.read())
    assert (answer.status, said["code"]) == (422, "too_large") and said["most"]


def test_an_upload_that_is_cut_off_leaves_nothing(
    kim: Client, portal: PortalProcess, shared: OnMachine, accounts: Accounts
) -> None:
    def breaks_off():
        yield b"x" * MEGABYTE
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError):
        kim.put(
            content(shared.id),
            params={"name": "cut.bin"},
            headers={"content-length": str(5 * MEGABYTE)},
            content=breaks_off(),
        )

    def nothing() -> bool:
        listed = kim.get(f"/api/vnc/sessions/{shared.id}/files").json()
        return not [path for path in Path(listed["folder"]).iterdir() if "cut.bin" in path.name]

    eventually(nothing, 10, "a part of it is left")


def test_a_picture_shows_the_screen(kim: Client, shared: OnMachine) -> None:
    answer = kim.get(f"/api/vnc/sessions/{shared.id}/picture", params={"width": 320})
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    assert image.format == "WEBP"
    assert image.width == 320
    assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 20, "it is empty"
    same = kim.get(
        f"/api/vnc/sessions/{shared.id}/picture",
        params={"width": 320},
        headers={"if-none-match": answer.headers["etag"]},
    )
    assert same.status_code == 304


def test_a_screen_that_froze_is_brought_back(kim: Client, desktop: OnMachine) -> None:
    server = next(process for process in desktop.processes() if process.name == "Xvnc")
    os.kill(server.pid, signal.SIGSTOP)
    answer = kim.post(f"/api/vnc/sessions/{desktop.id}/repair")
    assert answer.status_code == 200, answer.text
    assert "display" in answer.json()["did"]
    with Viewer(kim, desktop.id) as viewer:
        assert viewer.works()


def test_native_clients_are_let_in_only_where_a_preset_says_so(kim: Client, shared: OnMachine) -> None:
    answer = kim.post(f"/api/vnc/sessions/{shared.id}/native")
    assert (answer.status_code, answer.json()["code"]) == (403, "native_off")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "files"),
        ("GET", "files/content?path=.bashrc"),
        ("PUT", "files/content?name=x"),
        ("GET", "picture"),
        ("GET", "log"),
        ("POST", "repair"),
        ("POST", "native"),
    ],
)
def test_nobody_else_gets_inside(lee: Client, boss: Client, shared: OnMachine, method: str, path: str) -> None:
    for client in (lee, boss):
        answer = client.request(
            method, f"/api/vnc/sessions/{shared.id}/{path}", content=b"x" if method == "PUT" else None
        )
        assert answer.status_code == 404, (client, answer.text)
