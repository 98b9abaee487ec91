"""scripts/without-daemons: for the time of an installation nothing is started, afterwards all is as it was."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "without-daemons"
# What an installation does: brings a unit, asks whether it may start it.
INSTALL = 'touch "$DESTDIR/usr/lib/systemd/system/new.service"; "$DESTDIR/usr/sbin/policy-rc.d"; echo "says $?"; '


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for folder in ("usr/sbin", "usr/lib/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/system/old.service").touch()
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\necho "$@" >>"$DESTDIR/asked"\n')
    systemctl.chmod(0o755)
    return tmp_path


def start(machine: Path, install: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"DESTDIR": str(machine), "SYSTEMCTL": str(machine / "systemctl")}
    # Whoever runs the tests may ignore these (nohup, a job in the background), and bash cannot take that back.
    command = ["env", "--default-signal=HUP,INT,TERM", SCRIPT, "old new never", "bash", "-c", install]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=20)
    return process.returncode, said


def policy(machine: Path) -> Path:
    return machine / "usr/sbin/policy-rc.d"


def assert_tidy(machine: Path) -> None:
    assert not policy(machine).exists()
    assert (machine / "asked").read_text() == "disable --quiet new\n", "only what came along"


def test_nothing_is_started_and_nothing_stays(machine: Path) -> None:
    assert finish(start(machine, INSTALL)) == (0, "says 101\n")
    assert_tidy(machine)


def test_a_failure_is_handed_on(machine: Path) -> None:
    assert finish(start(machine, INSTALL + "exit 7"))[0] == 7
    assert_tidy(machine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_nothing(machine: Path, number: signal.Signals) -> None:
    process = start(machine, INSTALL + "sleep 20")
    assert process.stdout and process.stdout.readline() == "says 101\n"
    # As a terminal does: to the whole group.
    os.killpg(process.pid, number)
    assert finish(process)[0] != 0
    assert_tidy(machine)


def test_a_signal_to_it_alone_waits_for_the_command(machine: Path) -> None:
    process = start(machine, INSTALL + '"sleep" 0.5; "$DESTDIR/usr/sbin/policy-rc.d"; echo "still $?"')
    assert process.stdout and process.stdout.readline() == "says 101\n"
    process.terminate()
    assert finish(process) == (143, "still 101\n")
    assert_tidy(machine)


def test_a_policy_of_the_machine_decides_and_stays(machine: Path) -> None:
    policy(machine).write_text("#!/bin/sh\nexit 104\n")
    policy(machine).chmod(0o755)
    assert finish(start(machine, INSTALL)) == (0, "says 104\n")
    assert policy(machine).read_text().endswith("exit 104\n")


def test_what_a_killed_one_left_is_removed(machine: Path) -> None:
    process = start(machine, INSTALL + "sleep 20")
    assert process.stdout and process.stdout.readline() == "says 101\n"
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    assert policy(machine).exists()
    time.sleep(0.05)
    assert finish(start(machine, INSTALL)) == (0, "says 101\n")
    assert not policy(machine).exists()
