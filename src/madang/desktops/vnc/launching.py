"""How desktops over VNC are launched: by which launchers, and what their agents are told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from madang.compute.launcher import Launcher
from madang.compute.local import LocalLauncher
from madang.compute.order import AgentOrder, Instruction
from madang.compute.slurm import settings as slurm
from madang.compute.slurm.launcher import SlurmLauncher
from madang.compute.slurm.settings import SlurmSettings
from madang.desktops.model import Session
from madang.desktops.preset import STANDARD, Preset
from madang.desktops.supervisor import granted_seconds
from madang.desktops.vnc.settings import NATIVE_PORTS, VncSettings, session_folder
from madang.kernel.ground import Ground
from madang.kernel.settings import Settings

AGENT = "madang.desktops.agent"


def launchers_of(ground: Ground) -> dict[str, Launcher]:
    """The launchers that presets may name."""
    logs = ground.state_folder / "logs"
    local = LocalLauncher(folder_root=Path(session_folder(ground.settings)), log_folder=logs, agent_module=AGENT)
    cluster = SlurmLauncher(
        ground.settings[SlurmSettings],
        log_folder=logs,
        agent_folder=slurm.agent_folder(ground.settings),
        agent_module=AGENT,
    )
    return {"local": local, "slurm": cluster}


def standard_preset(settings: VncSettings) -> Preset:
    """What is offered while operators have made no preset."""
    return Preset(
        id=STANDARD,
        name="Standard",
        launcher=settings.launcher,
        width=settings.width,
        height=settings.height,
        time_limit_seconds=settings.time_limit_seconds,
        longest_time_limit_seconds=settings.longest_time_limit_seconds,
    )


def portals(settings: Settings, session: Session) -> Instruction:
    """Where the agent of a session reaches the site from now on."""
    if session.launcher == "local":
        return Instruction("portals", portals=(settings.local_url,))
    return Instruction(
        "portals", portals=slurm.portal_urls(settings), portal_certificates=slurm.portal_certificates(settings)
    )


def order(settings: Settings, session: Session, agent_secret: str, door_key: str) -> AgentOrder:
    """What the agent of a session is told."""
    vnc = settings[VncSettings]
    assert session.folder is not None
    away = session.launcher != "local"
    where = portals(settings, session)
    resources = session.terms.resources if session.terms else None
    if resources is not None:
        resources = msgspec.structs.replace(resources, time_limit_seconds=round(granted_seconds(session)))
    return AgentOrder(
        session=session.id,
        service="vnc",
        account=session.account,
        folder=session.folder,
        make_folder=away,
        portal=where.portals[0],
        portals=where.portals[1:],
        portal_certificates=where.portal_certificates,
        door_ports=settings[SlurmSettings].door_ports if away else None,
        native_ports=NATIVE_PORTS if session.terms and session.terms.native else None,
        resources=resources,
        agent_secret=agent_secret,
        door_key=door_key,
        displays=(vnc.first_display, vnc.last_display),
        width=session.width,
        height=session.height,
        ends_at=session.ends_at,
        heartbeat_seconds=vnc.heartbeat_seconds,
        start_seconds=vnc.start_seconds,
        minimum_free_bytes=vnc.minimum_free_bytes,
        log_bytes=vnc.log_bytes,
        largest_upload_bytes=vnc.largest_upload_bytes,
    )
