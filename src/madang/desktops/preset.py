"""A preset: what operators offer people to start. Pure values and rules."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from madang.compute.order import Resources
from madang.desktops.model import Terms
from madang.identity.model import PERMISSIONS, Person, is_name
from madang.kernel.errors import InvalidInput

STANDARD = "standard"  # the built-in one, offered while operators have made none
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
# What Slurm takes of names: no blanks, no control characters, nothing that could be read as another option.
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:&|*()\[\]=@+-]*")

Text = Annotated[str, msgspec.Meta(max_length=500)]
Word = Annotated[str, msgspec.Meta(max_length=120)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a desktop started from it gets. None and "" leave the choice to the cluster."""

    id: Annotated[str, msgspec.Meta(max_length=20)] = ""
    name: Annotated[str, msgspec.Meta(max_length=80)]
    description: Text = ""
    launcher: Annotated[str, msgspec.Meta(pattern="^(local|slurm)$")] = "local"
    width: Annotated[int, msgspec.Meta(ge=320, le=7680)] = 1440
    height: Annotated[int, msgspec.Meta(ge=240, le=4320)] = 900
    time_limit_seconds: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)] = 28_800
    longest_time_limit_seconds: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)] = 86_400
    cpus: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    memory_bytes: Annotated[int, msgspec.Meta(ge=1_048_576, le=2**50)] | None = None
    gpus: Annotated[str, msgspec.Meta(max_length=60, pattern=r"^([A-Za-z0-9_.-]+:)?\d{1,4}$|^$")] = ""
    partition: Word = ""
    qos: Word = ""
    charge: Word = ""
    features: Word = ""
    reservation: Word = ""
    image: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(/[^\x00-\x1f]*)?$")] = ""
    requeue: bool = False
    # Who may use it; with neither roles nor people: everybody.
    roles: Annotated[tuple[Word, ...], msgspec.Meta(max_length=20)] = ()
    people: Annotated[tuple[Word, ...], msgspec.Meta(max_length=2000)] = ()
    enabled: bool = True
    position: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    pool_size: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    pool_from: Annotated[str, msgspec.Meta(max_length=5)] = ""
    pool_to: Annotated[str, msgspec.Meta(max_length=5)] = ""
    # 0 is Monday; none: every day.
    pool_days: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=6)], ...], msgspec.Meta(max_length=7)] = ()
    pool_expiry_seconds: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)] = 14_400
    idle_stop_seconds: Seconds = 0
    idle_cpu_percent: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 5.0
    native: bool = False
    version: Annotated[int, msgspec.Meta(ge=1, le=2_000_000_000)] = 1

    def allows(self, person: Person) -> bool:
        """Whether somebody may use it."""
        if not self.roles and not self.people:
            return True
        return person.name in self.people or any(role in self.roles for role in person.roles)

    def terms(self, time_limit_seconds: int) -> Terms:
        """What a session of this preset keeps of it."""
        return Terms(
            resources=Resources(
                time_limit_seconds=time_limit_seconds,
                cpus=self.cpus,
                memory_bytes=self.memory_bytes,
                gpus=self.gpus,
                partition=self.partition,
                qos=self.qos,
                charge=self.charge,
                features=self.features,
                reservation=self.reservation,
                image=self.image,
                requeue=self.requeue,
            ),
            longest_seconds=self.longest_time_limit_seconds,
            idle_stop_seconds=self.idle_stop_seconds,
            idle_cpu_percent=self.idle_cpu_percent,
            native=self.native,
        )


def checked(preset: Preset) -> Preset:
    """The preset, if it makes sense as a whole. Raises InvalidInput that names the fields."""
    wrong: list[tuple[str, str]] = []
    if not preset.name.strip():
        wrong.append(("name", "is empty"))
    for field in ("name", "description", "image"):
        if not _printable(getattr(preset, field)):
            wrong.append((field, "holds characters that cannot be shown"))
    if unknown := [role for role in preset.roles if role not in PERMISSIONS]:
        wrong.append(("roles", f"{unknown[0]!r} is no role"))
    if bad := [name for name in preset.people if not is_name(name)]:
        wrong.append(("people", f"{bad[0]!r} is nobody's name"))
    if preset.time_limit_seconds > preset.longest_time_limit_seconds:
        wrong.append(("time_limit_seconds", "is above longest_time_limit_seconds"))
    for field in ("partition", "qos", "charge", "features", "reservation"):
        value = getattr(preset, field)
        if value and not _WORD.fullmatch(value):
            wrong.append((field, "has characters that a scheduler does not take"))
    for field in ("pool_from", "pool_to"):
        value = getattr(preset, field)
        if value and not _TIME.fullmatch(value):
            wrong.append((field, "is a time of day as 08:30"))
    if bool(preset.pool_from) != bool(preset.pool_to):
        wrong.append(("pool_to", "needs both ends, or neither"))
    if preset.idle_stop_seconds and preset.idle_stop_seconds < 60:
        wrong.append(("idle_stop_seconds", "is at least 60, or 0 for never"))
    if preset.launcher == "local":
        for field in ("gpus", "partition", "qos", "charge", "features", "reservation"):
            if getattr(preset, field):
                wrong.append((field, "is for the launcher slurm"))
    if wrong:
        said = "; ".join(f"{field} {message}" for field, message in wrong)
        raise InvalidInput(f"{said}.", fields=[{"field": f, "message": m} for f, m in wrong])
    return preset


def _printable(text: str) -> bool:
    return not any(ord(one) < 32 or 0xD800 <= ord(one) <= 0xDFFF or ord(one) == 127 for one in text)
