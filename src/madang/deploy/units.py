"""systemd units: one for a portal that runs everything, one a service when they run apart, a template for several.

Desktops are started by a portal and stay in its unit's control group, and they outlive it. That rules much: only the
main process is ever killed, a program of a desktop that runs out of memory must not take the portal along, and nothing
may be set that a desktop would inherit and suffer from (a private /tmp hides its X socket from the next portal,
NoNewPrivileges takes sudo away). Options as in systemd 252 (Debian 12).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from madang.deploy.layout import Layout, ServiceProcess

FOLDER = "etc/systemd/system"
DEFAULT_STATE_FOLDER = "/var/lib/madang"
# Cutting connections and closing stores, beyond what the settings allow for.
STOP_MARGIN_SECONDS = 10

UNIT = """[Unit]
Description={description}
Wants=network-online.target
After=network-online.target nss-user-lookup.target remote-fs.target time-sync.target
After=mariadb.service postgresql.service redis-server.service munge.service
# It comes back as often as it has to.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} {arguments}
Environment=MADANG_CONFIG={settings_file}
{account}UMask=0022
Restart=always
RestartSec=1
TimeoutStartSec=300
TimeoutStopSec={stop_seconds}
# A portal whose loop hangs is killed and started again.
WatchdogSec=30
WatchdogSignal=SIGKILL
LimitNOFILE=65536:524288
{more}
[Install]
WantedBy=multi-user.target
"""

WITH_DESKTOPS = """# Desktops go on when the portal stops, restarts or is killed.
KillMode=process
# One of their programs that runs out of memory is its person's matter.
OOMPolicy=continue
TasksMax=infinity
"""

# What no program of the portal needs and no desktop inherits, because none is started here.
ALONE = """KillMode=mixed
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
"""


def render(layout: Layout) -> Mapping[str, str]:
    """The units by path below the root folder."""
    if layout.separate:
        return {
            f"{FOLDER}/madang-{service.name}.service": _of_service(layout, service, number)
            for number, service in enumerate(layout.services)
        }
    if layout.several_on_a_host:
        text = _unit(layout, "Madang, the portal on port %i", "up --shared --port %i", with_desktops=True)
        return {f"{FOLDER}/madang@.service": text}
    return {f"{FOLDER}/madang.service": _unit(layout, "Madang", "up", with_desktops=True)}


def names(layout: Layout) -> list[str]:
    """The units to enable, on every host that has a portal."""
    if layout.separate:
        return [f"madang-{service.name}" for service in layout.services]
    if layout.several_on_a_host:
        return sorted({f"madang@{portal.port}" for portal in layout.portals})
    return ["madang"]


def _of_service(layout: Layout, service: ServiceProcess, number: int) -> str:
    arguments = f"serve {service.name} --port {layout.portals[0].port + number}"
    return _unit(layout, f"Madang: {service.summary}", arguments, with_desktops=service.starts_desktops)


def _unit(layout: Layout, description: str, arguments: str, *, with_desktops: bool) -> str:
    return UNIT.format(
        description=description,
        program=layout.program,
        arguments=arguments,
        settings_file=layout.settings_file,
        account="" if layout.user == "root" else f"User={layout.user}\n",
        stop_seconds=math.ceil(layout.stop_seconds) + STOP_MARGIN_SECONDS,
        more=_state(layout) + (WITH_DESKTOPS if with_desktops else ALONE),
    )


def _state(layout: Layout) -> str:
    """systemd makes the state folder, for the account that runs the portal."""
    if layout.state_folder != DEFAULT_STATE_FOLDER:
        return ""
    return "StateDirectory=madang\nStateDirectoryMode=0700\n"
