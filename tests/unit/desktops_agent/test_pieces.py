"""The small parts of the agent, each by itself."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
import Xlib.xauth

from madang.compute.order import AgentOrder, Failure, Instruction, Report
from madang.desktops.agent import display, failures, link, preflight, xfce
from madang.desktops.agent.account import Account, look_up
from madang.desktops.agent.failures import SessionFailed
from madang.desktops.agent.output import Output
from madang.desktops.agent.pulse import Meter

KIM = Account("kim", 1000, 1000, "/home/kim", "/bin/bash")


def order(folder: Path, **changes: object) -> AgentOrder:
    needed = {"session": "s1", "folder": str(folder), "portal": "http://p:8080", "agent_secret": "as", "door_key": "dk"}
    return AgentOrder(**(needed | changes))  # type: ignore[arg-type]


def test_an_order_survives_the_wire_and_shows_no_secret(tmp_path: Path) -> None:
    one = order(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(one), type=AgentOrder) == one
    assert "as" not in repr(one).replace("class", "") and "dk" not in repr(one)


def test_newer_ends_may_say_more() -> None:
    assert msgspec.json.decode(b'{"state":"ready","weather":"fine"}', type=Report).state == "ready"
    assert msgspec.json.decode(b'{"do":"end","reason":"asked","why":1}', type=Instruction).reason == "asked"


def test_the_display_listens_on_no_port_and_carries_no_secret(tmp_path: Path) -> None:
    command = display.command(order(tmp_path, width=1111, height=777), 5, 9)
    text = " ".join(command)
    for part in (":5", "-rfbport -1", "-nolisten tcp", "-rfbunixmode 0600", "-geometry 1111x777", "-noreset", "-s 0"):
        assert part in text
    assert str(tmp_path / "rfb.sock") in command


def test_the_cookie_file_is_what_clients_read(tmp_path: Path) -> None:
    path = tmp_path / "Xauthority"
    display.write_cookie(path, 5)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = Xlib.xauth.Xauthority(str(path))
    name, cookie = first.get_best_auth(256, os.uname().nodename.encode(), 5)
    assert name == b"MIT-MAGIC-COOKIE-1" and len(cookie) == 16
    assert len(first) == 2
    display.write_cookie(path, 5)
    assert Xlib.xauth.Xauthority(str(path)).get_best_auth(256, os.uname().nodename.encode(), 5)[1] != cookie


def test_two_agents_never_try_one_display() -> None:
    number = 990
    with display.take_lock(number) as lock:
        assert lock is not None
        assert display.take_lock(number) is None
    with display.take_lock(number) as again:
        assert again is not None


def test_the_environment_has_what_programs_need_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/site/bin:/usr/sbin:/usr/bin:relative")
    found = xfce.environment(order(tmp_path), KIM)
    assert (found["HOME"], found["USER"], found["SHELL"]) == ("/home/kim", "kim", "/bin/bash")
    assert found["PATH"] == "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games:/opt/site/bin"
    assert found["MADANG_SESSION"] == "s1"
    assert found["LANG"].lower().replace("-", "").endswith("utf8")
    assert not {"as", "dk"} & set(found.values())


@pytest.mark.parametrize("language", ["xx_YY.UTF-8", "en_US.ISO-8859-1", "", "C"])
def test_a_language_that_is_not_there_becomes_plain_utf8(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("LANG", language)
    monkeypatch.setattr(Path, "read_text", lambda *_: f'LANG="{language}"\n')
    assert xfce._language() == "C.UTF-8"


def test_the_settings_are_xml_and_start_no_screen_saver(tmp_path: Path) -> None:
    xfce.write_settings(tmp_path)
    channels = list((tmp_path / "xdg/xfce4/xfconf/xfce-perchannel-xml").iterdir())
    assert {"xfce4-session.xml", "xfwm4.xml"} <= {path.name for path in channels}
    for path in channels:
        root = ElementTree.parse(path).getroot()
        assert root.get("name") == path.stem
    assert "Hidden=true" in (tmp_path / "xdg/autostart/xscreensaver.desktop").read_text()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@pytest.mark.parametrize(("away", "wait"), [(0, 0.25), (5, 0.5), (10, 0.75), (35, 2.0), (3600, 2.0)])
def test_the_pause_grows_with_the_portals_absence(away: float, wait: float) -> None:
    assert link.pause(away) == pytest.approx(wait)


def test_where_the_link_goes() -> None:
    assert link.address("http://p:8080", "s1") == "ws://p:8080/api/vnc/agents/s1"
    assert link.address("https://p/", "s1") == "wss://p/api/vnc/agents/s1"


def test_programs_that_are_missing_are_named_with_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SessionFailed) as caught:
        preflight.check_programs()
    failure = caught.value.failure
    assert failure.code == "package_missing"
    assert all(program in failure.detail for program in preflight.PROGRAMS)
    assert all(package in failure.hint for package in preflight.PROGRAMS.values())


@pytest.mark.parametrize("kind", ["missing", "file", "dangling"])
def test_a_home_that_is_none(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    if kind == "file":
        home.write_text("")
    elif kind == "dangling":
        home.symlink_to("nowhere")
    with pytest.raises(SessionFailed) as caught:
        preflight.check_home(str(home), 0)
    assert caught.value.failure.code == "home_missing"


def test_looking_at_a_home_leaves_nothing_in_it(tmp_path: Path) -> None:
    preflight.check_home(str(tmp_path), 0)
    assert os.listdir(tmp_path) == []


def test_too_little_space(tmp_path: Path) -> None:
    with pytest.raises(SessionFailed) as caught:
        preflight.check_space(str(tmp_path), 2**62, "free some")
    assert caught.value.failure == Failure("disk_full", "The disk is full.", caught.value.failure.detail, "free some")


@pytest.mark.parametrize(
    "failure",
    [
        failures.account_gone("kim", "n1"),
        failures.no_free_display(1, 9),
        failures.start_timeout(30, "display"),
        failures.package_missing(["Xvnc"], ["tigervnc-standalone-server"]),
        failures.of_error("/s", OSError(28, "No space left on device")),
        failures.of_error("/s", OSError(13, "Permission denied")),
    ],
)
def test_every_failure_says_what_happened_and_what_to_do(failure: Failure) -> None:
    assert failure.code and failure.title.endswith(".") and failure.detail and failure.hint


def test_accounts() -> None:
    assert look_up(None).uid == os.geteuid()
    assert look_up("root").home == "/root"
    with pytest.raises(KeyError):
        look_up("no-such-account")


async def test_output_stops_at_its_limit(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output(1000)
    output.follow()
    for _ in range(10):
        os.write(output.end, b"x" * 300)
        await asyncio.sleep(0.01)
    said = capfd.readouterr().err
    assert said.count("x" * 100) == 10
    assert said.count("the rest is left out") == 1
    assert "x" not in said.partition("left out")[2]


def test_the_meter_sees_children_and_their_work() -> None:
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pass
        os._exit(0)
    try:
        meter = Meter(os.getpid())
        assert meter.read()[0] == 0
        time.sleep(0.5)
        cpu, memory = meter.read()
        assert cpu > 10
        assert memory > 1_000_000
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
