"""Settings and claims of desktops over VNC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from madang.kernel.claims import Claim, Range
from madang.kernel.settings import Settings, as_root

ROUTES = ("/vnc", "/vncproxy/", "/api/vnc/")
LIVE_PREFIXES = ("vnc:session:", "vnc:measures:", "watch:vnc:", "share:vnc:")
# Native clients, and the doors of agents on the nodes of a cluster; nothing listens there by default.
PORTS = (Range(5900, 5999), Range(6900, 6999))
# Where an agent opens a listener for a native client, where a preset allows that and its person asks for it.
NATIVE_PORTS = (5900, 5999)


class VncSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Desktops over VNC."""

    first_display: Annotated[int, msgspec.Meta(ge=1, le=999, description="First X display of the service's range.")] = 1
    last_display: Annotated[int, msgspec.Meta(ge=1, le=999, description="Last X display of the service's range.")] = 9
    folder: Annotated[
        str,
        msgspec.Meta(
            max_length=70,
            description="Where sessions have their folders. Empty: /scratch/vnc_sandboxes as root, vnc_sandboxes in "
            "the state folder otherwise. Keep it short: paths of sockets hold few characters.",
        ),
    ] = ""
    sessions_per_person: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="Running desktops that one person may have.")
    ] = 3
    launcher: Annotated[
        str,
        msgspec.Meta(
            pattern="^(local|slurm)$",
            description="What starts desktops while operators have made no presets: `local` or `slurm`.",
        ),
    ] = "local"
    width: Annotated[int, msgspec.Meta(ge=320, le=7680, description="Width of a new desktop (pixels).")] = 1440
    height: Annotated[int, msgspec.Meta(ge=240, le=4320, description="Height of a new desktop (pixels).")] = 900
    largest_width: Annotated[int, msgspec.Meta(ge=320, le=7680, description="Largest width (pixels).")] = 3840
    largest_height: Annotated[int, msgspec.Meta(ge=240, le=4320, description="Largest height (pixels).")] = 2160
    time_limit_seconds: Annotated[
        int, msgspec.Meta(ge=60, le=31_536_000, description="A new desktop ends after so long unless chosen otherwise.")
    ] = 28_800
    longest_time_limit_seconds: Annotated[
        int, msgspec.Meta(ge=60, le=31_536_000, description="The longest time a person may choose.")
    ] = 86_400
    launch_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="A launch that nobody carries on is begun again after so long."),
    ] = 3.0
    start_seconds: Annotated[float, msgspec.Meta(gt=0, description="A start that takes longer has failed.")] = 30.0
    heartbeat_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="An agent reports this often when nothing changes.")
    ] = 8.0
    silent_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="An agent that was not heard for so long is shown as unknown.")
    ] = 20.0
    call_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="An agent that was not heard for so long is told where the portal is."),
    ] = 10.0
    end_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="An agent gets this long to end its session before it is ended by force.")
    ] = 10.0
    idle_warning_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="A desktop that is to be stopped for idleness is announced so long before."),
    ] = 300.0
    look_seconds: Annotated[float, msgspec.Meta(gt=0, description="The loop looks at all sessions this often.")] = 3.0
    door_seconds: Annotated[float, msgspec.Meta(gt=0, description="A door has to open within this time.")] = 5.0
    retention_hours: Annotated[
        float, msgspec.Meta(gt=0, description="Ended desktops and their logs are kept so long.")
    ] = 24.0
    minimum_free_bytes: Annotated[
        int, msgspec.Meta(ge=0, description="Free space that home and session folder need for a start (bytes).")
    ] = 50_000_000
    largest_upload_bytes: Annotated[
        int, msgspec.Meta(ge=0, description="Largest file that may be uploaded into a desktop (bytes); 0: none.")
    ] = 2_147_483_648
    picture_seconds: Annotated[
        float, msgspec.Meta(ge=0, description="A desktop's small picture is at most this old.")
    ] = 4.0
    repair_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="Repairing a desktop has to be done within this time.")
    ] = 30.0
    native_seconds: Annotated[
        float, msgspec.Meta(ge=10, le=3600, description="A native client has to connect within this time.")
    ] = 300.0
    log_bytes: Annotated[
        int, msgspec.Meta(ge=4096, description="Programs of a session may write this much into its log (bytes).")
    ] = 1_000_000

    share_guests: Annotated[
        bool, msgspec.Meta(description="Links to a desktop may be made for people who cannot sign in here.")
    ] = False
    share_hours_most: Annotated[
        float, msgspec.Meta(gt=0, le=8760, description="A link to a desktop is good for this long at most.")
    ] = 168.0
    shares_per_session: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="Links that one desktop may have at a time.")
    ] = 20
    share_attempts: Annotated[
        int,
        msgspec.Meta(ge=1, le=100_000, description="Wrong links from one address, within ten minutes, before a pause."),
    ] = 50
    view_minutes_most: Annotated[
        int, msgspec.Meta(ge=1, le=1440, description="An operator whom a person lets look may do so for this long.")
    ] = 60
    view_ask_minutes: Annotated[
        int, msgspec.Meta(ge=1, le=1440, description="An operator's question whether to look waits for this long.")
    ] = 10
    pool_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="The pools of ready desktops are looked at this often.")
    ] = 15.0
    pool_rest_seconds: Annotated[
        float,
        msgspec.Meta(ge=0, description="After one of the pool was taken, the next is made no sooner than this."),
    ] = 5.0
    pool_recent_days: Annotated[
        float, msgspec.Meta(gt=0, description="Ready desktops are made for people who were here so lately.")
    ] = 14.0
    pool_pause_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="After a ready desktop failed at its start, its pool waits for so long.")
    ] = 300.0
    usage_days: Annotated[int, msgspec.Meta(ge=1, le=36500, description="Who used how much is kept for this long.")] = (
        1095
    )

    def __post_init__(self) -> None:
        """What two settings must be to each other. Raises ValueError."""
        if self.first_display > self.last_display:
            raise ValueError(f"first_display {self.first_display} is above last_display {self.last_display}")
        if self.heartbeat_seconds * 2 > self.silent_seconds:
            raise ValueError("silent_seconds must be at least twice heartbeat_seconds")
        if self.width > self.largest_width or self.height > self.largest_height:
            raise ValueError("width and height must not be above largest_width and largest_height")
        if self.time_limit_seconds > self.longest_time_limit_seconds:
            raise ValueError("time_limit_seconds must not be above longest_time_limit_seconds")


def session_folder(settings: Settings) -> str:
    """The folder root in force."""
    chosen = settings[VncSettings].folder
    if chosen:
        return chosen
    return "/scratch/vnc_sandboxes" if as_root() else str(settings.state_folder / "vnc_sandboxes")


def claims(settings: Settings) -> Sequence[Claim]:
    vnc = settings[VncSettings]
    stated: list[tuple[str, Range | str]] = [
        ("display", Range(vnc.first_display, vnc.last_display)),
        *(("port", ports) for ports in PORTS),
        *(("key", prefix + "*") for prefix in LIVE_PREFIXES),
        ("folder", session_folder(settings)),
        *(("route", route) for route in ROUTES),
    ]
    return [Claim("vnc", kind, what) for kind, what in stated]
