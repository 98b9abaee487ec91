"""The batch script and its options."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from madang.compute.order import AgentOrder, Resources
from madang.compute.slurm import script
from madang.compute.slurm.settings import SlurmSettings

AGENT = Path("/opt/madang/agent/0123456789abcdef")
EVERYTHING = Resources(
    time_limit_seconds=3601,
    cpus=4,
    memory_bytes=1_000_000_000,
    gpus="a100:2",
    partition="viz",
    qos="moonlight",
    charge="physics",
    features="fast&gpu",
    reservation="lesson",
    requeue=True,
)


def order(**more: object) -> AgentOrder:
    values = {
        "session": "abcdef123456",
        "folder": "/tmp/madang-abcdef123456",
        "portal": "http://portal",
        "agent_secret": "the agent's secret",
        "door_key": "the door's $KEY `id` \\ '\n",
        "resources": EVERYTHING,
    }
    return msgspec.convert(values | more, AgentOrder)


def test_every_wish_is_an_option() -> None:
    assert script.arguments("abcdef123456", EVERYTHING) == [
        "--parsable",
        "--requeue",
        "--job-name=madang-abcdef123456",
        "--time=61",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=4",
        "--mem=954M",
        "--gres=gpu:a100:2",
        "--partition=viz",
        "--qos=moonlight",
        "--account=physics",
        "--constraint=fast&gpu",
        "--reservation=lesson",
        "--chdir=/",
        "--input=/dev/null",
        "--output=/dev/null",
        "--error=/dev/null",
        "--export=NIL",
        "--propagate=NONE",
    ]


def test_no_wish_leaves_the_choice_to_the_cluster() -> None:
    given = script.arguments("abcdef123456", Resources(time_limit_seconds=60))
    names = {word.partition("=")[0] for word in given}
    assert "--no-requeue" in given and "--time=1" in given
    assert names.isdisjoint({"--cpus-per-task", "--mem", "--gres", "--partition", "--qos", "--account"})


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 1), (60, 1), (61, 2), (3600, 60), (3600.5, 61)])
def test_time_in_whole_minutes(seconds: float, minutes: int) -> None:
    assert script.minutes(seconds) == minutes


def test_the_order_reaches_the_program_as_it_is(tmp_path: Path) -> None:
    """Run by a real shell: nothing of the order is expanded, and the program takes the shell's place."""
    told = SlurmSettings(agent_command=("/bin/sh", "-c", 'cat; printf "%s" "$0"', "{marker}"))
    text = script.batch_script(order(), AGENT, told)
    done = subprocess.run(["/bin/sh", "-s"], input=text, capture_output=True, check=True, cwd=tmp_path)
    document, _, marker = done.stdout.decode().partition("\n")
    assert msgspec.json.decode(document, type=AgentOrder) == order()
    assert marker == "MADANG_SESSION=abcdef123456"
    assert script.readable_order(text)["door_key"] == order().door_key


def test_secrets_are_in_the_script_alone() -> None:
    words = " ".join(script.arguments("abcdef123456", EVERYTHING))
    assert "secret" not in words and "KEY" not in words
    for line in script.batch_script(order(), AGENT, SlurmSettings()).decode().splitlines():
        assert ("secret" in line) == line.startswith("{")


def test_a_missing_agent_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    text = script.batch_script(order(), tmp_path / "nowhere", SlurmSettings())
    assert subprocess.run(["/bin/sh", "-s"], input=text, check=False).returncode == 127


def test_inside_an_image() -> None:
    asked = msgspec.structs.replace(EVERYTHING, image="/opt/images/desk top.sif")
    lines = script.batch_script(order(resources=asked), AGENT, SlurmSettings()).decode().splitlines()
    assert lines[3] == (
        f"exec apptainer exec --cleanenv --bind {AGENT}:{AGENT}:ro '/opt/images/desk top.sif' "
        f"/usr/bin/python3 -I {AGENT}/agent.py MADANG_SESSION=abcdef123456 <<'THE END OF THE ORDER'"
    )
