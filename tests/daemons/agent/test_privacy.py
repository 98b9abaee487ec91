"""Who else can reach a session: nobody."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest

from tests.daemons.agent.desk import Desk

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(sys.argv[1])
except OSError as error:
    sys.exit(f"{error.errno}")
"""


def as_other(stranger: pwd.struct_passwd, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=stranger.pw_uid,
        group=stranger.pw_gid,
        extra_groups=[],
        env={"PATH": os.environ["PATH"], "HOME": stranger.pw_dir} | environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=20,
    )


@root_only
@pytest.mark.parametrize("name", ["door.sock", "rfb.sock", "run/bus"])
async def test_another_user_cannot_open_the_sockets(desk: Desk, stranger: pwd.struct_passwd, name: str) -> None:
    assert (desk.folder / name).is_socket()
    found = as_other(stranger, "/usr/bin/python3", "-c", CONNECT, str(desk.folder / name))
    assert (found.returncode, found.stderr.strip()) == (1, "13")


@root_only
async def test_another_user_cannot_use_the_display(desk: Desk, stranger: pwd.struct_passwd) -> None:
    found = as_other(stranger, "xdpyinfo", DISPLAY=f":{desk.display}")
    assert found.returncode != 0
    assert "unable to open display" in found.stderr
    assert desk.run("xdpyinfo").returncode == 0


@root_only
async def test_another_user_cannot_read_cookie_or_log(desk: Desk, stranger: pwd.struct_passwd) -> None:
    assert as_other(stranger, "cat", str(desk.folder / "Xauthority")).returncode != 0
    assert as_other(stranger, "ls", str(desk.folder)).returncode != 0
    assert as_other(stranger, "cat", str(desk.site.launcher.log_file(desk.session))).returncode != 0


async def test_nothing_listens_on_tcp(desk: Desk) -> None:
    inodes = set()
    for pid in desk.processes():
        try:
            handles = list(Path(f"/proc/{pid}/fd").iterdir())
        except PermissionError:
            # The agent and ssh-agent hide theirs from their own user; as root the test sees all.
            assert os.geteuid() != 0
            continue
        for handle in handles:
            try:
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(handle)):
                    inodes.add(match[1])
            except OSError:
                continue
    assert inodes
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == "0A" or table.startswith("udp")
            assert not (listens and fields[9] in inodes), line


async def test_no_secret_is_on_a_command_line_or_in_an_environment(desk: Desk) -> None:
    cookie = (desk.folder / "Xauthority").read_bytes()[-16:]
    secrets = [desk.order.agent_secret.encode(), desk.order.door_key.encode(), cookie, cookie.hex().encode()]
    seen = 0
    for pid in desk.processes():
        for name in ("cmdline", "environ"):
            if pid in (desk.keeper, desk.worker) and name == "environ" and os.geteuid() != 0:
                continue
            data = Path(f"/proc/{pid}/{name}").read_bytes()
            seen += 1
            assert not any(secret in data for secret in secrets), (pid, name)
    assert seen > 15
    assert not any(secret.decode() in desk.log for secret in secrets[:2])


async def test_the_session_cannot_look_into_its_agent(desk: Desk) -> None:
    if desk.uid == 0:
        pytest.skip("root looks into everything")
    for pid in (desk.keeper, desk.worker):
        for name in ("mem", "environ", "fd/2"):
            script = f"open('/proc/{pid}/{name}', 'rb').read(1)"
            found = desk.run("/usr/bin/python3", "-c", script, check=False)
            assert "PermissionError" in found.stderr, (pid, name)


async def test_the_agent_starts_with_a_bare_environment(desk: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("the agent's environment is hidden from its own user")
    words = Path(f"/proc/{desk.keeper}/environ").read_text().strip("\0").split("\0")
    assert {word.split("=")[0] for word in words} <= {"PATH", "LANG", "LC_CTYPE"}


@root_only
async def test_folders_for_all_sessions_belong_to_root(desk: Desk) -> None:
    for folder in (Path("/tmp/.X11-unix"), Path("/tmp/.ICE-unix"), desk.site.launcher.folder_root):
        assert folder.stat().st_uid == 0
    assert desk.folder.stat().st_mode & 0o777 == 0o700
    assert desk.folder.stat().st_uid == desk.uid
