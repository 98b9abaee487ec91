"""The list of Debian packages: scripts/setup reads it with awk, before any Python is there, and must read the same."""

import subprocess
import tomllib
from pathlib import Path

from madang.desktops.agent.preflight import COMPANIONS, PROGRAMS

ROOT = Path(__file__).resolve().parents[3]
GROUPS = tomllib.loads((ROOT / "src" / "madang" / "packages.toml").read_text())


def from_the_scripts(*command: str) -> list[str]:
    script = 'source "$0/scripts/lib.sh"; "$@"'
    done = subprocess.run(["bash", "-c", script, ROOT, *command], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_both_readers_find_the_same_packages() -> None:
    for name, group in GROUPS.items():
        assert from_the_scripts("packages_of", name) == group["packages"], name


def test_both_readers_find_the_same_groups() -> None:
    for level in ("run", "test", "asked", "unpacked"):
        assert from_the_scripts("groups_for", level) == [n for n, g in GROUPS.items() if g["setup"] == level]
    assert from_the_scripts("groups_for", "run test") == [n for n, g in GROUPS.items() if g["setup"] in ("run", "test")]


def test_both_readers_find_the_same_daemons() -> None:
    for name, group in GROUPS.items():
        assert from_the_scripts("daemons_of", name) == group.get("daemons", "").split(), name
    assert from_the_scripts("daemons_of", "slurm", "portals") == " ".join(
        GROUPS[name]["daemons"] for name in ("slurm", "portals")
    ).split(" ")


def test_every_group_is_complete_and_in_order() -> None:
    for name, group in GROUPS.items():
        assert set(group) - {"daemons"} == {"title", "setup", "packages"}, name
        assert group["packages"] == sorted(set(group["packages"])), name


def test_what_an_agent_asks_for_is_what_set_up_brings() -> None:
    assert {*PROGRAMS.values(), *COMPANIONS} <= set(GROUPS["vnc"]["packages"])
