"""The list of services: their claims, and the document of their settings."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang import services
from madang.kernel.claims import Claim, Range, overlaps
from madang.kernel.errors import NotFound, SettingError, SiteError
from madang.kernel.ground import Parts, Service
from madang.kernel.settings import Settings, load
from madang.settings_page import markdown

# What DESIGN.md gives to the service that comes next.
MOONLIGHT = [
    Claim("moonlight", kind, what)
    for kind, what in (
        ("display", Range(10, 99)),
        ("port", Range(8004, 8004)),
        ("port", Range(8005, 8005)),
        ("port", Range(47984, 48999)),
        ("key", "moonlight:session:*"),
        ("folder", "/scratch/sunshine_sandboxes"),
        ("folder", "/scratch/sunshine_sessions"),
        ("folder", "/scratch/sunshine_logs"),
        ("route", "/moonlight/"),
        ("route", "/moonlight/signaling"),
        ("route", "/api/moonlight/"),
    )
]


def loaded(tmp_path: Path, **variables: object) -> Settings:
    environ = {"HOME": str(tmp_path), "MADANG_SITE_STATE_FOLDER": str(tmp_path / "state")}
    return load(
        services.sections(), environ | {f"MADANG_{key.upper()}": str(value) for key, value in variables.items()}
    )


def test_the_services_as_they_are_take_nothing_of_each_other(tmp_path: Path):
    settings = loaded(tmp_path)
    assert list(overlaps(services.all_claims(settings))) == []
    services.refuse_overlaps(settings)


@pytest.mark.parametrize("root", [True, False])
def test_vnc_leaves_moonlight_what_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: bool):
    monkeypatch.setattr("madang.desktops.vnc.settings.as_root", lambda: root)
    ours = services.find("vnc").claims(loaded(tmp_path))
    assert {claim.kind for claim in ours} == {"display", "port", "key", "folder", "route"}
    assert list(overlaps([*ours, *MOONLIGHT])) == []


def test_as_root_vnc_takes_what_the_design_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("madang.desktops.vnc.settings.as_root", lambda: True)
    assert sorted(map(str, services.find("vnc").claims(loaded(tmp_path)))) == sorted(
        f"vnc: {claim}"
        for claim in (
            "display 1-9", "port 5900-5999", "port 6900-6999", "key vnc:session:*",
            "key vnc:measures:*", "key share:vnc:*", "key watch:vnc:*", "folder /scratch/vnc_sandboxes",
            "route /vnc", "route /vncproxy/", "route /api/vnc/",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    "variables",
    [{"vnc_last_display": 10}, {"vnc_folder": "/scratch/sunshine_logs/vnc"}, {"vnc_folder": "/scratch"}],
)
def test_a_setting_that_takes_what_is_moonlights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables):
    settings = loaded(tmp_path, **variables)
    moonlight = Service("moonlight", "the next one", lambda _ground: Parts(), claims=lambda _settings: MOONLIGHT)
    monkeypatch.setattr(services, "SERVICES", (*services.SERVICES, moonlight))
    with pytest.raises(SiteError) as caught:
        services.refuse_overlaps(settings)
    assert caught.value.code == "claims_overlap"
    assert "vnc: " in caught.value.detail and "moonlight: " in caught.value.detail


def test_a_service_is_found_by_its_name_and_others_are_listed_when_it_is_not_there():
    assert [services.find(name).name for name in ("identity", "vnc")] == ["identity", "vnc"]
    with pytest.raises(NotFound) as caught:
        services.find("vcn")
    assert "identity, vnc" in caught.value.hint


ranges = st.builds(lambda first, length: Range(first, first + length), st.integers(0, 99), st.integers(0, 20))


@given(ranges, ranges)
def test_two_ranges_overlap_when_they_have_a_number_in_common(one: Range, other: Range):
    common = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
    first, second = Claim("a", "port", one), Claim("b", "port", other)
    assert first.overlaps(second) == second.overlaps(first) == bool(common)


@pytest.mark.parametrize(
    ("kind", "one", "other", "collide"),
    [
        ("folder", "/scratch/vnc", "/scratch/vnc", True),
        ("folder", "/scratch", "/scratch/vnc", True),
        ("folder", "/scratch/vnc", "/scratch/vnc2", False),
        ("folder", "/scratch/vnc/", "/scratch/vnc", True),
        ("key", "vnc:session:*", "vnc:*", True),
        ("key", "vnc:session:*", "vnc:sessions:*", False),
        ("route", "/vnc", "/vncproxy/", True),
        ("route", "/api/vnc/", "/api/moonlight/", False),
    ],
)
def test_folders_collide_by_path_and_keys_and_routes_by_their_beginning(kind, one, other, collide):
    first, second = Claim("a", kind, one), Claim("b", kind, other)
    assert first.overlaps(second) == second.overlaps(first) == collide


def test_claims_of_one_service_or_of_different_kinds_never_collide():
    assert not Claim("a", "port", Range(1, 9)).overlaps(Claim("a", "port", Range(1, 9)))
    assert not Claim("a", "port", Range(1, 9)).overlaps(Claim("b", "display", Range(1, 9)))


def test_the_document_names_every_setting_with_its_default_and_what_it_does():
    document = markdown(services.sections())
    for section, kind in services.sections().items():
        assert f"\n## [{section}]\n" in document
        part = document.split(f"\n## [{section}]\n")[1].split("\n## [")[0]
        rows = [line for line in part.splitlines() if line.startswith("| `")]
        fields = msgspec.structs.fields(kind)
        assert [row.split("`")[1] for row in rows] == [field.name for field in fields]
        for row, field in zip(rows, fields, strict=True):
            cells = [cell.strip() for cell in row.replace("\\|", "/").strip("|").split("|")]
            assert len(cells) == 4 and all(cells), row
            if field.default is not msgspec.NODEFAULT:
                written = row.split(" | ")[1].strip("`").replace("\\|", "|")
                assert msgspec.convert(msgspec.json.decode(written), field.type) == field.default, row


def test_every_default_is_allowed_by_its_own_rules(tmp_path: Path):
    settings = loaded(tmp_path)
    for name, section in settings.sections.items():
        assert msgspec.convert(msgspec.to_builtins(section), type(section)) == section, name


def test_the_document_in_the_repository_is_the_newest():
    file = Path(__file__).parents[2] / "docs" / "settings.md"
    assert file.read_text(encoding="utf-8") == markdown(services.sections()), "madang settings --markdown writes it"


def test_the_document_is_the_same_for_everybody(monkeypatch: pytest.MonkeyPatch):
    first = markdown(services.sections())
    monkeypatch.setenv("HOME", "/home/somebody-else")
    monkeypatch.setattr("madang.kernel.settings.as_root", lambda: False)
    assert markdown(services.sections()) == first
    assert tomllib.loads("") == {}  # an empty file is a working site: all sections have defaults
    assert load(services.sections(), {"HOME": "/nonexistent"}).sections


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MADANG_VNC_FIRST_DISPLAY", "50", "last_display"),
        ("MADANG_VNC_HEARTBEAT_SECONDS", "15", "twice"),
        ("MADANG_VNC_WIDTH", "5000", "largest_width"),
        ("MADANG_VNC_TIME_LIMIT_SECONDS", "90000", "longest_time_limit_seconds"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(variable: str, value: str, said: str):
    with pytest.raises(SettingError) as refused:
        services.load_settings({variable: value})
    assert variable in refused.value.detail
    assert said in refused.value.detail
