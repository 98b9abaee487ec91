"""Slurm's programs: one method a question. Knows Slurm's command line and nothing of sessions."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from madang.compute.slurm import parse
from madang.compute.slurm.parse import Job, JobEnd
from madang.compute.slurm.settings import NODE_PATH, SlurmSettings
from madang.kernel import commands
from madang.kernel.commands import Completed
from madang.kernel.errors import CommandFailed

PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo")
PACKAGE = "slurm-client"
_UNKNOWN_JOB = re.compile(r"Invalid job id|already (finished|completed)", re.IGNORECASE)
_ANY = range(256)


class Refused(Exception):
    """The controller answered, and said no; the text is its own words."""


class Slurm:
    """Slurm's command line. Raises CommandFailed when the controller does not answer in time."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._environment = {
            "PATH": os.environ.get("PATH") or NODE_PATH,
            "LC_ALL": "C.UTF-8",
            # Seconds since the epoch: no time zone, no summer time.
            "SLURM_TIME_FORMAT": "%s",
        }
        if conf := settings.conf or os.environ.get("SLURM_CONF"):
            self._environment["SLURM_CONF"] = conf

    def program(self, name: str) -> str:
        return str(Path(self._settings.programs) / name) if self._settings.programs else name

    def missing(self) -> list[str]:
        """Programs that are not on this machine."""
        return [name for name in PROGRAMS if shutil.which(self.program(name), path=self._environment["PATH"]) is None]

    async def submit(self, arguments: Sequence[str], script: bytes, account: str | None) -> Completed:
        """sbatch as that account, its script, which holds secrets, on standard input. A refusal is no error here."""
        command = [self.program("sbatch"), *arguments]
        timeout = self._settings.submit_command_seconds
        return await commands.run(
            command, stdin=script, environment=self._environment, timeout=timeout, accept=_ANY, account=account
        )

    async def queue(self, *only: str) -> list[Job]:
        """Every job the controller knows, ended ones for MinJobAge; or those of `only` (squeue's options)."""
        word = secrets.token_hex(8)
        done = await self._run("squeue", "--noheader", "--states=all", f"--format={parse.queue_format(word)}", *only)
        jobs = parse.queue(done.stdout, word)
        # A hundred thousand lines would hold up the event loop.
        return await asyncio.to_thread(list, jobs) if len(done.stdout) > 1_000_000 else list(jobs)

    async def job(self, job: str) -> Job | None:
        """One job; None when the controller does not know it."""
        try:
            found = await self.queue(f"--jobs={job}")
        except CommandFailed as error:
            if _UNKNOWN_JOB.search(error.detail):
                return None
            raise
        return next((each for each in found if each.id == job), None)

    async def ended(self, job: str) -> JobEnd | None:
        """How a job is: asked of the controller, then, if it does not know it, of the accounting, if there is one.

        None: nobody knows how it ended. A controller that was killed may have forgotten a job, and the accounting then
        holds it for running for ever.
        """
        done = await self._run("scontrol", "--oneliner", "show", "job", job, accept=_ANY)
        if done.status == 0 and (end := parse.job_end(done.stdout)):
            return end
        if done.status and not _UNKNOWN_JOB.search(done.stderr):
            raise CommandFailed(done.stderr.strip() or "scontrol show job failed", exit_status=done.status)
        try:
            done = await self._run(
                "sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", f"--jobs={job}",
                "--format=State,ExitCode",
            )  # fmt: skip
        except CommandFailed:
            return None  # no accounting, or none that answers
        end = parse.accounted_end(done.stdout)
        return end if end is not None and end.over else None

    async def cancel(self, job: str) -> None:
        """Silent when the job is over or unknown."""
        done = await self._run("scancel", job, accept=_ANY)
        if done.status and not _UNKNOWN_JOB.search(done.stderr):
            raise CommandFailed(f"scancel {job}: {done.stderr.strip()}", exit_status=done.status)

    async def set_time_limit(self, job: str, minutes: int) -> None:
        """Raises Refused."""
        done = await self._run("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}", accept=_ANY)
        if done.status:
            words = done.stderr.strip() or done.stdout.strip()
            if "Unable to contact" in words or "timed out" in words:
                raise CommandFailed(words, exit_status=done.status)
            raise Refused(words)

    async def node_address(self, node: str) -> str | None:
        done = await self._run("scontrol", "--oneliner", "show", "node", node, accept=_ANY)
        found = parse.pairs(done.stdout) if done.status == 0 else {}
        return found.get("NodeAddr") if found.get("NodeName") == node else None

    async def show(self, what: str) -> list[dict[str, str]]:
        """partition, reservation: one dictionary each."""
        done = await self._run("scontrol", "--oneliner", "show", what)
        return [found for found in parse.blocks(done.stdout) if len(found) > 1]

    async def config(self, *keys: str) -> dict[str, str]:
        """Values of slurm.conf in force."""
        done = await self._run("scontrol", "show", "config")
        found = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition("=")
            found[key.strip()] = value.strip()
        return {key: found.get(key, "") for key in keys}

    async def idle_nodes(self) -> dict[str, tuple[int, int]]:
        """Per partition: nodes, and how many of them are idle."""
        done = await self._run("sinfo", "--noheader", "--format=%R|%F")
        found: dict[str, tuple[int, int]] = {}
        for line in done.stdout.splitlines():
            name, _, counts = line.rpartition("|")  # allocated/idle/other/total
            numbers = [int(number) for number in counts.split("/") if number.isdecimal()]
            if len(numbers) == 4:
                nodes, idle = found.get(name, (0, 0))
                found[name] = nodes + numbers[3], idle + numbers[1]
        return found

    async def whose(self, job: str) -> tuple[str, str]:
        """A job's user and account (Slurm's); both empty when the controller does not know it."""
        done = await self._run("squeue", "--noheader", f"--jobs={job}", "--format=%u|%a")
        user, _, account = done.stdout.partition("\n")[0].strip().partition("|")
        return user, account

    async def accounting(self, what: str, fields: str, *which: str) -> list[list[str]]:
        """`sacctmgr show`, of all or of `which` ("user=kim"); empty where there is no accounting."""
        if shutil.which(self.program("sacctmgr"), path=self._environment["PATH"]) is None:
            return []
        where = ["where", *which] if which else []
        try:
            done = await self._run(
                "sacctmgr", "--noheader", "--parsable2", "--readonly", "show", what, *where, f"format={fields}"
            )
        except CommandFailed as error:
            if error.extras.get("timed_out"):
                raise
            return []
        return parse.table(done.stdout)

    async def _run(self, program: str, *arguments: str, accept: Sequence[int] = (0,)) -> Completed:
        return await commands.run(
            [self.program(program), *arguments],
            environment=self._environment,
            timeout=self._settings.command_seconds,
            accept=accept,
        )
