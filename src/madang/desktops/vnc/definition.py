"""The service `vnc`: desktops over VNC, started by the local launcher."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources

import msgspec

from madang.compute.order import Instruction
from madang.compute.slurm.client import Slurm
from madang.compute.slurm.settings import SlurmSettings
from madang.desktops import inside_routes
from madang.desktops.agent.preflight import PROGRAMS, find
from madang.desktops.inside import Inside
from madang.desktops.links import Links
from madang.desktops.presets import Presets
from madang.desktops.reach import Reach
from madang.desktops.reports import Reports
from madang.desktops.routes import router
from madang.desktops.rules import Patience
from madang.desktops.service import Desktops, Limits
from madang.desktops.sockets import SESSION_ENDED, agent_socket
from madang.desktops.supervisor import Supervisor
from madang.desktops.vnc.launching import launchers_of, order, portals, standard_preset
from madang.desktops.vnc.rooms import rooms_of
from madang.desktops.vnc.settings import VncSettings, claims
from madang.identity.audit import Audit
from madang.identity.settings import IdentitySettings
from madang.identity.sign_on import SignOn
from madang.kernel.events import Event
from madang.kernel.ground import Ground, Missing, Parts, Service
from madang.kernel.loops import Loop
from madang.kernel.settings import Settings, as_root
from madang.kernel.sockets import NO_LONGER_ALLOWED


def missing(settings: Settings) -> Sequence[Missing]:
    """What VNC desktops need and this machine lacks."""
    if settings[VncSettings].launcher == "slurm":
        # The desktops' programs are its nodes' business.
        return _missing(Slurm(settings[SlurmSettings]).missing(), ["slurm-client"])
    groups = tomllib.loads(resources.files("madang").joinpath("packages.toml").read_text(encoding="utf-8"))
    # The whole group, as set-up brings it: apt passes over what is there.
    return _missing([program for program in PROGRAMS if find(program) is None], groups["vnc"]["packages"])


def _missing(lacking: Sequence[str], packages: Sequence[str]) -> Sequence[Missing]:
    if not lacking:
        return ()
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    return [Missing(", ".join(lacking), command if as_root() else f"sudo {command}")]


def assemble(ground: Ground) -> Parts:
    settings = ground.settings[VncSettings]
    sign_on = SignOn(ground)
    launchers = launchers_of(ground)
    presets = Presets(ground.database, "vnc", standard_preset(settings))
    desktops = Desktops(ground, "vnc", limits(settings), launchers, Audit(ground), presets)
    links = Links(
        desktops.pulses,
        fresh_seconds=settings.heartbeat_seconds * 2,
        keep_seconds=settings.heartbeat_seconds + settings.silent_seconds,
        look_seconds=settings.look_seconds,
    )
    reach = Reach(links, settings.door_seconds)
    inside = Inside(
        desktops,
        reach,
        largest_upload_bytes=settings.largest_upload_bytes,
        picture_seconds=settings.picture_seconds,
        repair_seconds=settings.repair_seconds,
        native_seconds=settings.native_seconds,
    )
    rooms = rooms_of(ground, desktops, sign_on, lambda: missing(ground.settings))
    doors = rooms.doors
    reports = Reports(desktops, rooms.viewers, settings.heartbeat_seconds + settings.silent_seconds)
    supervisor = Supervisor(
        desktops,
        reach,
        patience(settings),
        lambda session, agent_secret, door_key: order(ground.settings, session, agent_secret, door_key),
        look_seconds=settings.look_seconds,
        call_seconds=settings.call_seconds,
        portals=lambda session: portals(ground.settings, session),
        news_again=reports.forget,
    )
    desktops.after_end += [
        lambda session: doors.open.close_where(
            lambda door: door.session == session, SESSION_ENDED, "the desktop is over"
        ),
        links.forget,
        inside.forget,
        reports.forget,
    ]
    doors.open.close_for_who_leaves(ground.events, NO_LONGER_ALLOWED)
    _cut_native_clients_of_disabled_people(ground, desktops)

    async def stop() -> None:
        await rooms.stop()
        await supervisor.stop()
        for launcher in launchers.values():
            launcher.close()

    return Parts(
        routes=[router(desktops, sign_on, [*inside_routes.routes(inside), *rooms.routes])],
        sockets={"/vncproxy/": doors.serve, "/api/vnc/agents/": agent_socket(desktops, links, reports)},
        loops=[
            supervisor.loop,
            Loop("vnc doors", doors.check, ground.settings[IdentitySettings].recheck_seconds),
            *rooms.loops,
        ],
        start=supervisor.start,
        stop=stop,
    )


def _cut_native_clients_of_disabled_people(ground: Ground, desktops: Desktops) -> None:
    """They came in without the portal, so none of its doors is theirs. Programs go on: they may be at work."""

    async def disabled(event: Event) -> None:
        person = msgspec.json.decode(event.data)["person"]
        for session in await desktops.store.running():
            if session.person_id == person and session.has_door and session.terms and session.terms.native:
                desktops.instruct(session, Instruction("shut"))

    ground.events.on("person.disabled", disabled)


def patience(settings: VncSettings) -> Patience:
    return Patience(
        launch=settings.launch_seconds,
        start=settings.start_seconds,
        silent=settings.silent_seconds,
        end=settings.end_seconds,
        idle_warning=settings.idle_warning_seconds,
    )


def limits(settings: VncSettings) -> Limits:
    return Limits(
        width=settings.width,
        height=settings.height,
        largest_width=settings.largest_width,
        largest_height=settings.largest_height,
        time_limit_seconds=settings.time_limit_seconds,
        longest_time_limit_seconds=settings.longest_time_limit_seconds,
        sessions_per_person=settings.sessions_per_person,
        retention_seconds=settings.retention_hours * 3600,
    )


vnc = Service(
    name="vnc",
    summary="Desktops over VNC (TigerVNC, XFCE)",
    assemble=assemble,
    settings={"vnc": VncSettings, "slurm": SlurmSettings},
    claims=claims,
    missing=missing,
)
