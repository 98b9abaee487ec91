"""Files of a session are removed, and no others, whatever lies in its folder."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from madang.compute import remains

UID = os.getuid()


def dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.fixture
def x_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of /tmp. (Short: it holds sockets.)"""
    for name in (".X11-unix", ".ICE-unix"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(remains, "X_FOLDER", tmp_path)
    monkeypatch.setattr(remains, "X_SOCKETS", tmp_path / ".X11-unix")
    monkeypatch.setattr(remains, "ICE_SOCKETS", tmp_path / ".ICE-unix")
    return tmp_path


def lock(folder: Path, number: int, pid: int) -> Path:
    path = folder / f".X{number}-lock"
    path.write_text(f"{pid:>10}\n")
    return path


def bound(path: Path, *, listening: bool = False) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    if listening:
        server.listen()
    return server


@pytest.mark.parametrize("display", [7, None])
def test_lock_and_socket_of_a_dead_server_go(x_folder: Path, display: int | None) -> None:
    path = lock(x_folder, 7, dead_pid())
    bound(x_folder / ".X11-unix/X7").close()
    remains.clear_display_files(UID, set(), display)
    assert not path.exists() and not (x_folder / ".X11-unix/X7").exists()


@pytest.mark.parametrize("display", [7, None])
def test_those_of_a_living_server_stay(x_folder: Path, display: int | None) -> None:
    path = lock(x_folder, 7, os.getpid())
    with bound(x_folder / ".X11-unix/X7", listening=True):
        remains.clear_display_files(UID, set(), display)
        assert path.exists() and (x_folder / ".X11-unix/X7").exists()


def test_a_server_that_was_ended_may_still_look_alive(x_folder: Path) -> None:
    path = lock(x_folder, 7, os.getpid())
    with bound(x_folder / ".X11-unix/X7", listening=True):
        remains.clear_display_files(UID, {os.getpid()})
    assert not path.exists() and not (x_folder / ".X11-unix/X7").exists()


def test_those_of_another_user_stay(x_folder: Path) -> None:
    path = lock(x_folder, 7, dead_pid())
    bound(x_folder / ".X11-unix/X7").close()
    remains.clear_display_files(UID + 1, set(), 7)
    assert path.exists() and (x_folder / ".X11-unix/X7").exists()


def test_a_socket_without_lock_on_which_somebody_listens_stays(x_folder: Path) -> None:
    with bound(x_folder / ".X11-unix/X7", listening=True):
        remains.clear_display_files(UID, set(), 7)
        assert (x_folder / ".X11-unix/X7").exists()


def test_a_server_that_is_still_dying_is_waited_for(x_folder: Path) -> None:
    path = x_folder / ".X11-unix/X7"
    server = bound(path, listening=True)
    threading.Timer(0.2, server.close).start()
    remains.clear_display_files(UID, set(), 7)
    assert not path.exists()


def test_only_the_display_that_was_named(x_folder: Path) -> None:
    other = lock(x_folder, 8, dead_pid())
    remains.clear_display_files(UID, set(), 7)
    assert other.exists()


def test_a_lock_that_is_nonsense_or_a_trap_stays(x_folder: Path) -> None:
    (x_folder / ".X5-lock").write_text("hello")
    (x_folder / ".X6-lock").symlink_to("/etc/passwd")
    os.mkfifo(x_folder / ".X7-lock")
    began = time.monotonic()
    remains.clear_display_files(UID, set())
    assert time.monotonic() - began < 1
    assert Path("/etc/passwd").exists()


def test_what_the_session_manager_leaves(x_folder: Path) -> None:
    gone = dead_pid()
    for name, pid in ((".xfsm-ICE-AAAAAA", gone), (".xfsm-ICE-BBBBBB", os.getpid())):
        (x_folder / name).write_text(f'remove protoname=ICE protodata="" netid=local/vm:@/tmp/.ICE-unix/{pid} auth\n')
    older = dead_pid()
    for pid in (gone, older, os.getpid()):
        (x_folder / ".ICE-unix" / str(pid)).touch()
    remains.clear_display_files(UID, {gone}, 7)
    assert sorted(os.listdir(x_folder)) == [".ICE-unix", ".X11-unix", ".xfsm-ICE-BBBBBB"]
    assert os.listdir(x_folder / ".ICE-unix") == [str(os.getpid())]


def test_sockets_of_session_managers_of_other_users_only_as_root(x_folder: Path) -> None:
    (x_folder / ".ICE-unix" / str(dead_pid())).touch()
    remains.clear_session_managers(UID + 1, set())
    assert len(os.listdir(x_folder / ".ICE-unix")) == 1
    remains.clear_session_managers(None, set())
    assert not os.listdir(x_folder / ".ICE-unix")


def test_a_folder_with_everything_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/file").write_text("x")
    (folder / "a/b/c/.hidden").write_text("x")
    (folder / "bad\udcff name\n").write_text("x")
    os.mkfifo(folder / "fifo")
    bound(folder / "sock").close()
    (folder / "dangling").symlink_to("nowhere")
    assert remains.remove_folder(folder)
    assert not folder.exists()
    assert remains.remove_folder(folder)


def test_no_link_is_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    folder = tmp_path / "s"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(precious)
    (folder / "sub/link").symlink_to(precious)
    assert remains.remove_folder(folder)
    assert (precious / "file").read_text() == "keep"


def test_the_folder_itself_is_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    folder = tmp_path / "s"
    folder.symlink_to(precious)
    assert not remains.remove_folder(folder)
    assert (precious / "file").read_text() == "keep"


def test_folders_without_rights(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_text("x")
    (folder / "a/b").chmod(0)
    (folder / "a").chmod(0)
    assert remains.remove_folder(folder)


def test_nested_deeper_than_any_stack(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert remains.remove_folder(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_below_is_let_go_not_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    folder = tmp_path / "s"
    (folder / "run/a b").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(precious), str(folder / "run/a b")], check=True)
    assert remains.remove_folder(folder)
    assert (precious / "file").read_text() == "keep"
