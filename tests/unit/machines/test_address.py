"""Where a host is, by its URI."""

from __future__ import annotations

import pytest

from madang.machines.hosts import address


@pytest.mark.parametrize(
    "uri",
    ["qemu:///system", "qemu:///session", "qemu+unix:///session?socket=/run/x/libvirt-sock", "test:///default"],
)
def test_this_machine(uri: str) -> None:
    found = address.parse(uri)
    assert found.local and found.ssh is None and found.shown == uri.partition("?")[0]
    assert found.system == uri.startswith("qemu:///system")


def test_another_machine_by_ssh() -> None:
    found = address.parse("qemu+ssh://kim%40x@Node-1:2222/system?keyfile=/k&no_verify=1&command=/opt/ssh")
    assert not found.local and found.system and found.ssh is not None
    assert found.shown == "qemu+ssh://kim%40x@node-1:2222/system", "neither keys nor options"
    assert found.ssh.arguments("-N") == [
        "/opt/ssh", "-T", "-e", "none", "-o", "BatchMode=yes", "-p", "2222", "-l", "kim@x", "-i", "/k",
        "-o", "StrictHostKeyChecking=no", "-N", "--", "Node-1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("qemu+ssh://node/session", "node", None),
        ("qemu+ssh://[fd00::1]/system", "fd00::1", None),
        ("qemu+ssh://root@[fd00::1]:22/system", "fd00::1", 22),
    ],
)
def test_hosts_as_they_are_written(uri: str, host: str, port: int | None) -> None:
    found = address.parse(uri)
    assert found.ssh is not None and (found.ssh.host, found.ssh.port, found.ssh.verify) == (host, port, True)


def test_another_machine_by_something_else() -> None:
    found = address.parse("qemu+tls://node/system?pkipath=/secret")
    assert not found.local and found.ssh is None and found.shown == "qemu+tls://node/system"


def test_no_password_is_shown() -> None:
    assert "hunter2" not in address.parse("qemu+ssh://kim:hunter2@node/system").shown
