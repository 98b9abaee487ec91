"""The batch script of a session's job, and the words sbatch is given."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from madang.compute import remains
from madang.compute.order import AgentOrder, Resources
from madang.compute.slurm.reasons import NO_AGENT
from madang.compute.slurm.settings import SlurmSettings

_NAME = "madang-"
_MEBIBYTE = 1024 * 1024
# The order is one line of JSON, which this cannot be.
_END = "THE END OF THE ORDER"


def job_name(session: str) -> str:
    """By it a job is found again whose number nobody has heard."""
    return f"{_NAME}{session}"


def arguments(session: str, resources: Resources) -> list[str]:
    """The options of sbatch. Nothing secret: they are seen in the list of processes."""
    options = {
        "job-name": job_name(session),
        "time": str(minutes(resources.time_limit_seconds)),
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": resources.cpus,
        "mem": f"{math.ceil(resources.memory_bytes / _MEBIBYTE)}M" if resources.memory_bytes else None,
        "gres": f"gpu:{resources.gpus}" if resources.gpus else None,
        "partition": resources.partition,
        "qos": resources.qos,
        "account": resources.charge,
        "constraint": resources.features,
        "reservation": resources.reservation,
        "chdir": "/",
        "input": "/dev/null",
        "output": "/dev/null",
        "error": "/dev/null",
        # Nothing of the portal's environment and limits; NONE would have the node run a login shell first.
        "export": "NIL",
        "propagate": "NONE",
    }
    return [
        "--parsable",
        "--requeue" if resources.requeue else "--no-requeue",
        *(f"--{name}={value}" for name, value in options.items() if value not in (None, "")),
    ]


def minutes(seconds: float) -> int:
    """Slurm counts in whole minutes: rounded up, so that nobody gets less than was promised."""
    return max(1, math.ceil(seconds / 60))


def batch_script(order: AgentOrder, agent: Path, settings: SlurmSettings) -> bytes:
    """What the job runs: the agent, with its order on standard input.

    slurmd keeps it readable for the person alone, the controller for Slurm's administrators.
    """
    command = agent_command(order.session, agent, settings)
    needs_agent = any("{agent}" in word for word in settings.agent_command)
    if order.resources and order.resources.image:
        command = in_image(order.resources.image, agent, command)
    lines = ["#!/bin/sh", f"export PATH={shlex.quote(settings.node_path)}"]
    if needs_agent:
        lines.append(f"[ -r {shlex.quote(str(agent / 'agent.py'))} ] || exit {NO_AGENT}")
    # exec: the signals of Slurm reach the agent itself, and its exit status becomes the job's.
    lines += [f"exec {shlex.join(command)} <<'{_END}'", msgspec.json.encode(order).decode(), _END, ""]
    return "\n".join(lines).encode()


def agent_command(session: str, agent: Path, settings: SlurmSettings) -> list[str]:
    words = {"{agent}": str(agent), "{marker}": remains.marker(session)}
    command = []
    for part in settings.agent_command:
        for word, meaning in words.items():
            part = part.replace(word, meaning)
        command.append(part)
    return command


def in_image(image: str, agent: Path, command: Sequence[str]) -> list[str]:
    """The same inside an Apptainer image. Only the text of this is tested: no image has been run by a job yet.

    Home, /tmp and /dev are the node's, so that sessions' folders, displays and devices are where they are without it;
    processes share the node's process ids, which the agent's search for its own processes counts on.
    """
    return ["apptainer", "exec", "--cleanenv", "--bind", f"{agent}:{agent}:ro", image, *command]


def readable_order(script: bytes) -> dict[str, object]:
    """The order in a batch script."""
    lines = script.decode().splitlines()
    document = json.loads(lines[lines.index(_END) - 1])
    assert isinstance(document, dict)
    return document
