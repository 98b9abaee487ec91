"""Root and ordinary users; an installation that the account cannot read."""

from __future__ import annotations

import os
import shutil
import site as python_site
import subprocess
import sys
from pathlib import Path

import pytest

import madang
from tests.daemons.agent.desk import Desk, Site
from tests.daemons.agent.portal import Portal
from tests.support.accounts import needs_readable_checkout

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

ROOT = Path(__file__).parents[3]
# One of each kind: life, kill of the worker, of both, a failed start, the door.
SAMPLE = (
    "test_starts_stage or test_ends_when_the_portal or test_worker_killed or test_both_killed "
    "or test_swept_while_it_runs or test_package_missing or test_a_ticket_opens "
    "or test_portal_restarted or test_the_session_cannot_look"
)


def test_an_ordinary_user_needs_no_root(account_name: str, short_folder: Path) -> None:
    who = {"user": account_name, "group": account_name, "extra_groups": []}
    needs_readable_checkout(who)
    folder = short_folder / "user"
    folder.mkdir()
    shutil.chown(folder, account_name, account_name)
    options = ["-q", "-x", "-p", "no:cacheprovider", "-k", SAMPLE, f"--basetemp={folder}/t"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/daemons/agent", *options],
        **who,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": f"/home/{account_name}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    assert " passed" in found.stdout


async def test_an_installation_only_root_can_read(
    short_folder: Path, portal: Portal, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an administrator runs the portal from a checkout under /root."""
    private = short_folder / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(Path(madang.__file__).parent, private / "madang", ignore=shutil.ignore_patterns("page", "*.pyc"))
    packages = next(path for path in python_site.getsitepackages() if path.endswith("site-packages"))
    (private / "packages").symlink_to(packages)
    # The environment of the tests is readable for all; this Python has nothing but what lies in the private folder.
    launcher = private / "python"
    launcher.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH={private}:{private}/packages\n"
        'exec /usr/bin/python3 -S "$@"\n'
    )  # fmt: skip
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    desk = await site.start()
    await desk.until("ready")
    await desk.site.portal.wait(desk.session, lambda report: bool(report["pulse"]))
    await portal.stop()
    seen = len(desk.reports)
    await portal.start()
    await desk.until("ready", 5, since=seen)
    await desk.end()
    await desk.assert_nothing_left()
    assert "Traceback" not in desk.log


async def test_supplementary_groups_are_the_accounts(desk: Desk) -> None:
    status = Path(f"/proc/{desk.pid_of('xfwm4')}/status").read_text()
    groups = next(line.split()[1:] for line in status.splitlines() if line.startswith("Groups:"))
    assert {int(group) for group in groups} == set(os.getgrouplist(desk.site.account or "", desk.gid))
    for pid in (desk.worker, desk.pid_of("Xvnc")):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        for name in ("Uid:", "Gid:"):
            values = {int(value) for line in lines if line.startswith(name) for value in line.split()[1:]}
            assert values == {desk.uid if name == "Uid:" else desk.gid}
