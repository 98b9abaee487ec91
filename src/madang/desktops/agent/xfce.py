"""XFCE on a display: its environment, the settings it starts from, its message bus and its session manager.

The pieces are started directly, not through startxfce4 and dbus-run-session: what those shell wrappers do (folders,
menus, X resources) is done here or by xfce4-session itself, and they would cost a fifth of the start.
"""

from __future__ import annotations

import contextlib
import locale
import os
import subprocess
import sys
from pathlib import Path

from madang.compute.order import AgentOrder
from madang.compute.remains import MARKER
from madang.desktops.agent import failures
from madang.desktops.agent.account import Account
from madang.desktops.agent.display import read_line
from madang.desktops.agent.failures import SessionFailed
from madang.desktops.agent.preflight import find, path_of

_USUAL_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/games", "/usr/games")

# Defaults for people who have not chosen otherwise: xfconf reads them before /etc/xdg, and after what people set.
_SESSION_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-session" version="1.0">
  <property name="general" type="empty">
    <property name="FailsafeSessionName" type="string" value="Failsafe"/>
    <property name="LockCommand" type="string" value=""/>
    <property name="SaveOnExit" type="bool" value="false"/>
  </property>
  <property name="startup" type="empty">
    <property name="ssh-agent" type="empty">
      <property name="enabled" type="bool" value="false"/>
    </property>
    <property name="gpg-agent" type="empty">
      <property name="enabled" type="bool" value="false"/>
    </property>
  </property>
  <property name="shutdown" type="empty">
    <property name="LockScreen" type="bool" value="false"/>
  </property>
  <property name="sessions" type="empty">
    <property name="Failsafe" type="empty">
      <property name="IsFailsafe" type="bool" value="true"/>
      <property name="Count" type="int" value="{count}"/>
{clients}
    </property>
  </property>
</channel>
"""
_SESSION_CLIENT = """      <property name="Client{n}_Command" type="array">
        <value type="string" value="{program}"/>
      </property>
      <property name="Client{n}_Priority" type="int" value="15"/>
      <property name="Client{n}_PerScreen" type="bool" value="false"/>"""
# Drawing shadows costs start time and pixels on the wire.
_WINDOW_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfwm4" version="1.0">
  <property name="general" type="empty">
    <property name="use_compositing" type="bool" value="false"/>
    <property name="vblank_mode" type="string" value="off"/>
  </property>
</channel>
"""
_DEVICES = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "OMP_NUM_THREADS")
# Programs that would lock or blank a screen nobody sits at, or manage hardware it does not have.
_NOT_STARTED = (
    "at-spi-dbus-bus",
    "blueman",
    "light-locker",
    "nm-applet",
    "xfce4-power-manager",
    "xfce4-screensaver",
    "xscreensaver",
)


def environment(order: AgentOrder, account: Account) -> dict[str, str]:
    """What every program of the session sees, but for DISPLAY. No secret is in it."""
    folder = Path(order.folder)
    return {
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.shell,
        "PATH": _path(),
        "LANG": _language(),
        "XAUTHORITY": str(folder / "Xauthority"),
        "ICEAUTHORITY": str(folder / "ICEauthority"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/run/bus",
        "XDG_CONFIG_DIRS": f"{folder}/xdg:/etc/xdg",
        "XDG_DATA_DIRS": "/usr/local/share:/usr/share",
        "XDG_SESSION_TYPE": "x11",
        "XDG_SESSION_DESKTOP": "xfce",
        "XDG_CURRENT_DESKTOP": "XFCE",
        "XDG_MENU_PREFIX": "xfce-",
        "DESKTOP_SESSION": "xfce",
        "NO_AT_BRIDGE": "1",
        MARKER: order.session,
    } | _of_job()


def _of_job() -> dict[str, str]:
    """In a job of a scheduler: which devices are its own, and what its commands (srun, sattach) know it by."""
    if "SLURM_JOB_ID" not in os.environ:
        return {}
    return {name: value for name, value in os.environ.items() if name in _DEVICES or name.startswith("SLURM_")}


def _path() -> str:
    """The usual folders, then those of the agent's own path that are meant for people: no administration, not ours."""
    own = os.path.join(sys.prefix, "")
    more = [
        entry
        for entry in os.environ.get("PATH", "").split(":")
        if entry.startswith("/") and not entry.endswith("/sbin") and not os.path.join(entry, "").startswith(own)
    ]
    return ":".join(dict.fromkeys([*_USUAL_PATH, *more]))


def _language() -> str:
    """The machine's language when it is UTF-8 and there, else C.UTF-8, so that Korean works in every terminal."""
    lines = []
    for path in (Path("/etc/locale.conf"), Path("/etc/default/locale")):
        with contextlib.suppress(OSError):
            lines += path.read_text().splitlines()
    for line in [*lines, f"LANG={os.environ.get('LANG', '')}"]:
        name, _, value = line.strip().partition("=")
        value = value.strip("\"'")
        if name == "LANG" and value.lower().replace("-", "").endswith("utf8") and _is_installed(value):
            return value
    return "C.UTF-8"


def _is_installed(language: str) -> bool:
    """A language that was never generated would leave every program with plain ASCII."""
    try:
        locale.setlocale(locale.LC_CTYPE, language)
    except locale.Error:
        return False
    return True


def write_settings(folder: Path) -> None:
    """The folder's run/ (XDG_RUNTIME_DIR) and xdg/ (defaults). Raises OSError."""
    (folder / "run").mkdir(mode=0o700)
    channels = folder / "xdg/xfce4/xfconf/xfce-perchannel-xml"
    autostart = folder / "xdg/autostart"
    channels.mkdir(parents=True)
    autostart.mkdir()
    (channels / "xfce4-session.xml").write_text(_session_settings())
    (channels / "xfwm4.xml").write_text(_WINDOW_SETTINGS)
    panel = Path("/etc/xdg/xfce4/panel/default.xml")
    if panel.is_file():
        # As settings the default layout is simply there: no first-start question and no migration step.
        (channels / "xfce4-panel.xml").write_bytes(panel.read_bytes())
    for name in _NOT_STARTED:
        (autostart / f"{name}.desktop").write_text("[Desktop Entry]\nType=Application\nHidden=true\n")


def _session_settings() -> str:
    # One priority for all: the session manager waits for each priority before it starts the next.
    # The file manager is not among them: xfdesktop has the message bus start it.
    programs = ("xfwm4", "xfsettingsd", "xfce4-panel", "xfdesktop")
    clients = "\n".join(_SESSION_CLIENT.format(n=n, program=program) for n, program in enumerate(programs))
    return _SESSION_SETTINGS.format(count=len(programs), clients=clients)


def start_bus(environment: dict[str, str], home: str, output: int, deadline: float) -> subprocess.Popen[bytes]:
    """The session's message bus, at the address the environment says; returns once it takes clients."""
    ready, ready_end = os.pipe()
    try:
        process = subprocess.Popen(
            [
                *[path_of("dbus-daemon"), "--session", "--nofork", "--nopidfile", "--nosyslog"],
                *[f"--address={environment['DBUS_SESSION_BUS_ADDRESS']}", f"--print-address={ready_end}"],
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home,
            env=environment,
            pass_fds=(ready_end,),
            start_new_session=True,
        )
        os.close(ready_end)
        ready_end = -1
        with contextlib.suppress(TimeoutError):
            if read_line(ready, deadline, process):
                return process
        process.kill()
        process.wait()
        raise SessionFailed(failures.desktop_lost("The session's message bus did not start."))
    finally:
        os.close(ready)
        if ready_end >= 0:
            os.close(ready_end)


def session_command(runtime_folder: str) -> list[str]:
    """The session manager, under an SSH agent if there is one.

    The agent that xfce4-session starts by itself would hide its mark (it is setgid), so that an ordinary user who
    sweeps could not find it; this one sees for itself when the session is gone. (gpg starts its own when needed.)
    """
    session = [path_of("xfce4-session")]
    agent = find("ssh-agent")
    return [agent, "-a", os.path.join(runtime_folder, "ssh-agent"), *session] if agent else session


def start_session(environment: dict[str, str], home: str, output: int) -> subprocess.Popen[bytes]:
    """The session manager, which starts window manager, settings, panel and desktop and brings them back."""
    return subprocess.Popen(
        session_command(environment["XDG_RUNTIME_DIR"]),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=home,
        env=environment,
        start_new_session=True,
    )
