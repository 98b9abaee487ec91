"""Settings: one typed struct a section, read from madang.toml, overridden by the environment.

Each slice declares its section as a frozen struct whose fields carry a default, limits and a description in
`msgspec.Meta`; `services.py` says which sections there are. MADANG_<SECTION>_<KEY> overrides a key, its value written
as in TOML (a bare word is taken as text). MADANG_CONFIG names the file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from madang.kernel.errors import SettingError

Section = TypeVar("Section", bound=msgspec.Struct)

ENVIRONMENT_PREFIX = "MADANG_"
CONFIG_VARIABLE = "MADANG_CONFIG"
# Variables of this prefix that are no settings: they belong to the command line (cli/client.py) and to sessions.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "MADANG_TOKEN", "MADANG_URL", "MADANG_PERSON", "MADANG_SESSION"})


def as_root() -> bool:
    """Whether the portal can start sessions as other Unix accounts."""
    return os.geteuid() == 0


def default_state_folder() -> str:
    if as_root():
        return "/var/lib/madang"
    return os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local/share")) + "/madang"


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The site as a whole."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80, description="Name shown in the page.")] = "Madang"
    state_folder: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="Where the database, the secret key and the logs of sessions are kept. Default: "
            "/var/lib/madang as root, ~/.local/share/madang otherwise.",
        ),
    ] = msgspec.field(default_factory=default_state_folder)
    log_format: Annotated[str, msgspec.Meta(pattern="^(text|json)$", description="`text` or `json`.")] = "text"
    log_level: Annotated[
        str,
        msgspec.Meta(pattern="^(debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`."),
    ] = "info"
    maintenance: Annotated[
        str, msgspec.Meta(max_length=300, description="Not empty: nothing new is started and people read this text.")
    ] = ""
    time_zone: Annotated[
        str,
        msgspec.Meta(
            max_length=64,
            description="Whose hours count for what comes at an hour of the day, as in `Asia/Seoul`. Empty: this "
            "machine's.",
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a zone that this machine does not know."""
        if self.time_zone:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, OSError, ValueError) as error:
                raise ValueError(f"there is no time zone {self.time_zone!r}") from error


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the portal listens and what it trusts."""

    host: Annotated[str, msgspec.Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="TCP port to listen on.")] = 8080
    public_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(https?://[^/?#]+)?$",
            description="How browsers reach the site, as in https://madang.example.org; empty: http://host:port.",
        ),
    ] = ""
    allowed_origins: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Further origins that may use the site's API and WebSockets, besides its own."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ("127.0.0.1",)
    largest_body_bytes: Annotated[
        int, msgspec.Meta(ge=1024, description="A larger request body is refused (bytes).")
    ] = 1_000_000
    ping_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0, description="A WebSocket is pinged this often, and dropped when it does not answer in time."
        ),
    ] = 20.0
    stall_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="A connection whose other side takes nothing for so long is cut."),
    ] = 30.0
    close_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="On stop, open connections get this long before they are cut.")
    ] = 1.0
    drain_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=600,
            description="On stop, `/ready` says no for so long before the portal stops to listen, so that a proxy that "
            "asks it sends people elsewhere first.",
        ),
    ] = 0.0


class Settings:
    """All sections, each found by its type."""

    def __init__(self, sections: Mapping[str, msgspec.Struct], file: Path | None = None) -> None:
        self._by_type = {type(section): section for section in sections.values()}
        self.sections = dict(sections)
        self.file = file

    def __getitem__(self, kind: type[Section]) -> Section:
        section = self._by_type[kind]
        assert isinstance(section, kind)
        return section

    @property
    def state_folder(self) -> Path:
        return Path(self[SiteSettings].state_folder).expanduser().absolute()

    @property
    def public_url(self) -> str:
        http = self[HttpSettings]
        if http.public_url:
            return http.public_url
        return self.local_url

    @property
    def local_url(self) -> str:
        """How this machine's own programs reach the portal."""
        http = self[HttpSettings]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(http.host, http.host)
        return f"http://{host}:{http.port}"


def find_file(environ: Mapping[str, str]) -> Path | None:
    """The settings file in force: MADANG_CONFIG, ./madang.toml, the person's own (not as root), /etc/madang."""
    if named := environ.get(CONFIG_VARIABLE):
        if not Path(named).is_file():
            raise SettingError(f"{CONFIG_VARIABLE} names {named}, which is not a file.", hint="Create it or unset it.")
        return Path(named)
    own = Path(environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "madang/madang.toml"
    for candidate in (Path("madang.toml"), own, Path("/etc/madang/madang.toml")):
        if candidate.is_file():
            return candidate
    return None


def load(kinds: Mapping[str, type[msgspec.Struct]], environ: Mapping[str, str] | None = None) -> Settings:
    """Read every section. Raises SettingError that names file or variable, key, value and what is allowed."""
    environ = os.environ if environ is None else environ
    file = find_file(environ)
    values = _read_file(file) if file else {}
    _refuse_unknown(values, kinds, str(file), "section")
    sources: dict[tuple[str, str], str] = {}
    for section, content in values.items():
        if not isinstance(content, dict):
            raise SettingError(f"{file}: [{section}] must be a table, not {content!r}.")
        _refuse_unknown(content, _fields(kinds[section]), f"{file}: [{section}]", "key")
        sources |= {(section, key): f"{file}: [{section}] {key}" for key in content}
    for name, text in environ.items():
        if name.startswith(ENVIRONMENT_PREFIX) and name not in OTHER_VARIABLES:
            section, key = _split_variable(name, kinds)
            values.setdefault(section, {})[key] = _value_of(text, _fields(kinds[section])[key])
            sources[section, key] = f"environment: {name}"
    return Settings({name: _convert(name, kind, values.get(name, {}), sources) for name, kind in kinds.items()}, file)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file}: {error}.", hint="The file must be valid TOML.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} cannot be read: {error}.") from error


def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], where: str, what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SettingError(
                f"{where}: there is no {what} {name!r}.",
                hint=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}.",
            )


def _split_variable(name: str, kinds: Mapping[str, type[msgspec.Struct]]) -> tuple[str, str]:
    rest = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    for section, kind in kinds.items():
        key = rest.removeprefix(section + "_")
        if key != rest and key in _fields(kind):
            return section, key
    known = [f"{ENVIRONMENT_PREFIX}{s}_{k}".upper() for s, kind in kinds.items() for k in _fields(kind)]
    near = difflib.get_close_matches(name, known, n=1)
    raise SettingError(
        f"environment: {name} names no setting.",
        hint=f"Did you mean {near[0]}?" if near else "docs/settings.md lists them all.",
    )


def _value_of(text: str, kind: Any) -> Any:
    plain = getattr(kind, "__origin__", kind)
    if plain is str or kind is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _convert(
    section: str, kind: type[msgspec.Struct], values: dict[str, Any], sources: Mapping[tuple[str, str], str]
) -> msgspec.Struct:
    for key, value in values.items():
        field = _fields(kind)[key]
        try:
            msgspec.convert(value, field, strict=True)
        except msgspec.ValidationError as error:
            raise SettingError(
                f"{sources[section, key]} is {value!r}: {str(error)[:1].lower()}{str(error)[1:]}.",
                hint=f"Allowed: {allowed(field)}.",
            ) from error
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        named = ", ".join(sources[section, key] for key in values)
        raise SettingError(f"{named}: [{section}]: {error}.", hint="docs/settings.md lists what is allowed.") from error


_BOUNDS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "pattern": "text that matches {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
}


def allowed(field: Any) -> str:
    """What a field takes, in words: `a whole number, at least 1, at most 65535`."""
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    meta = next((m for m in getattr(field, "__metadata__", ()) if isinstance(m, msgspec.Meta)), None)
    kind = getattr(field, "__origin__", field) if meta else field
    words = [names.get(kind, "a list" if "tuple" in str(kind) else str(kind))]
    for bound, words_for in _BOUNDS.items():
        limit = getattr(meta, bound, None)
        if limit is not None:
            words.append(words_for.format(limit))
    return ", ".join(words)


def description(field: Any) -> str:
    meta = next((m for m in getattr(field, "__metadata__", ()) if isinstance(m, msgspec.Meta)), None)
    return (meta.description or "") if meta else ""
