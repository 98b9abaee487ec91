"""What a portal's machine needs for the hosts that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.kernel.settings import load
from madang.machines import local_host
from madang.services import sections


@pytest.mark.parametrize(
    ("hosts", "missing"),
    [
        ("[]", ["libvirtd", "qemu-img", "qemu-system-x86_64"]),
        ('["here=qemu:///system"]', ["libvirtd", "qemu-img", "qemu-system-x86_64"]),
        ('["far=qemu+tls://node/system"]', ["qemu-img"]),
        ('["far=qemu+ssh://node/system"]', ["qemu-img", "ssh"]),
        (
            '["far=qemu+ssh://node/system", "here=qemu:///session"]',
            ["libvirtd", "qemu-img", "qemu-system-x86_64", "ssh"],
        ),
    ],
)
def test_programs_that_are_missing(
    hosts: str, missing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_host, "SEARCHED", str(tmp_path))
    settings = load(sections(), {"MADANG_MACHINES_HOSTS": hosts})
    assert local_host.programs_missing(settings) == missing
