"""Agents as jobs on a real cluster: submitted as their person, seen, ended."""

from __future__ import annotations

import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

from madang.compute.sight import Placement
from tests.support.slurm import OTHER, PERSON, make_launcher, make_order, seen, until


async def test_a_job_runs_as_its_person_and_ends(cluster: Any, place: Path) -> None:
    notes = Path(pwd.getpwnam(PERSON).pw_dir) / "said.json"
    tell = f"cat > {notes}; id -un >> {notes}; env >> {notes}; ulimit -c >> {notes}; sleep 300"
    launcher = make_launcher(cluster, place, "/bin/sh", "-c", tell)
    await launcher.prepare()
    order = make_order(launcher, PERSON, cpus=2, memory_bytes=300_000_000, partition="viz", qos="moonlight")
    placement = await launcher.start(order, "My desktop")
    assert placement.job is not None and placement.node is None
    sight = await seen(launcher, order.session, placement, lambda s: s.alive)
    assert sight.job == placement.job and sight.node in cluster.node_names and sight.host == "127.0.0.1"
    assert sight.ends_at - sight.started_at == 600 and sight.waiting is None and sight.silent is None

    said = (await until(lambda: _read(notes), lambda text: "PATH=" in text)).splitlines()
    assert json.loads(said[0])["agent_secret"] == order.agent_secret
    assert said[1] == PERSON
    names = {line.partition("=")[0] for line in said[2:]}
    assert "SLURM_JOB_ID" in names and not {n for n in names if n.startswith(("MADANG", "PYTEST", "VIRTUAL"))}
    shown = cluster.run("scontrol", "-o", "show", "job", placement.job)
    assert "QOS=moonlight" in shown and "NumCPUs=2" in shown and "mem=287M" in shown and "Requeue=0" in shown

    assert await launcher.sweep(order.session, PERSON, Path(order.folder), None, placement) is True
    sight = await seen(launcher, order.session, placement, lambda s: s.alive is False)
    assert sight.end == "cancelled"


async def test_no_other_account_can_read_the_order(cluster: Any, place: Path) -> None:
    launcher = make_launcher(cluster, place, "/bin/sleep", "60")
    await launcher.prepare()
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    await seen(launcher, order.session, placement, lambda s: s.alive)
    scripts = [
        Path(folder) / name
        for folder, _, names in os.walk(cluster.folder)
        for name in names
        if order.agent_secret in _text(Path(folder) / name)
    ]
    assert scripts
    for script in scripts:
        private = [part for part in (script, *script.parents) if not stat.S_IMODE(part.stat().st_mode) & 0o007]
        assert private, f"{script} can be read by everybody"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            assert order.agent_secret not in _text(Path("/proc") / pid / what), (pid, what)
    done = cluster.run("scontrol", "write", "batch_script", placement.job, "-", account=OTHER, check=False)
    assert order.agent_secret not in done


async def test_ends_are_told_apart(cluster: Any, place: Path) -> None:
    for command, end, detail in (
        (("/bin/true",), "completed", ""),
        (("/bin/sh", "-c", "exit 3"), "failed", "Exit status 3."),
        (("/bin/sh", "-c", "kill -9 $$"), "failed", "Signal 9."),
        (("/nowhere/python3",), "failed", "The agent's code or /usr/bin/python3 is not on"),
    ):
        launcher = make_launcher(cluster, place, *command)
        await launcher.prepare()
        order = make_order(launcher, PERSON)
        placement = await launcher.start(order, "")
        sight = await seen(launcher, order.session, placement, lambda s: s.alive is False)
        assert sight.end == end and sight.detail.startswith(detail), command


async def test_a_job_cancelled_from_outside_is_told_at_once(cluster: Any, place: Path) -> None:
    launcher = make_launcher(cluster, place, "/bin/sleep", "300")
    await launcher.prepare()
    left: list[str] = []
    launcher.on_exit = left.append
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    await seen(launcher, order.session, placement, lambda s: s.alive)
    cluster.run("scancel", placement.job)
    sight = await seen(launcher, order.session, placement, lambda s: s.alive is False)
    assert sight.end == "cancelled" and left == [order.session]
    await launcher.refresh()
    assert left == [order.session]


async def test_another_portal_takes_over_and_forgotten_jobs_are_still_known(cluster: Any, place: Path) -> None:
    launcher = make_launcher(cluster, place, "/bin/sh", "-c", "sleep 2; exit 5")
    await launcher.prepare()
    order = make_order(launcher, PERSON)
    placement = await launcher.start(order, "")
    other = make_launcher(cluster, place, "/bin/true")
    left: list[str] = []
    other.on_exit = left.append
    assert await other.adopt(order.session, placement) is True
    await seen(other, order.session, placement, lambda s: s.alive)
    sight = await seen(other, order.session, placement, lambda s: s.alive is False)
    assert (sight.end, sight.detail) == ("failed", "Exit status 5.") and left == [order.session]
    assert await other.adopt(order.session, placement) is False

    await until(lambda: _gone(cluster, placement.job), bool, 90)
    late = make_launcher(cluster, place, "/bin/true")
    sight = await seen(late, order.session, placement, lambda s: s.alive is False)
    assert (sight.end, sight.detail) == ("failed", "Exit status 5.")  # the accounting knows
    sight = await seen(late, "neverthere00", Placement(None, None, None, "99999"), lambda s: s.alive is False)
    assert sight.end == "gone"


async def _gone(cluster: Any, job: str) -> bool:
    return not cluster.run("squeue", "-h", "-t", "all", "-j", job, check=False).strip()


async def _read(path: Path) -> str:
    return _text(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
