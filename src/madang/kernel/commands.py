"""The one place where external programs are run: argument lists, a time-out, output captured, secrets masked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from madang.kernel import metrics
from madang.kernel.errors import CommandFailed

LAST_LINES = 20
MASK = "********"


class Completed(msgspec.Struct, frozen=True):
    """A finished command; output is text, undecodable bytes replaced."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def pasteable(arguments: Sequence[str], secrets: Sequence[str] = ()) -> str:
    """The command as one could paste it into a shell, its secrets masked."""
    return _masked(shlex.join(arguments), secrets)


async def run(
    arguments: Sequence[str],
    *,
    timeout: float = 30.0,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    accept: Sequence[int] = (0,),
) -> Completed:
    """Run a program to its end.

    Raises CommandFailed when it is missing, exits with another status than `accept`, or takes longer than `timeout`
    seconds (then it and its children are killed).
    """
    shown = pasteable(arguments, secrets)
    program = Path(arguments[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        metrics.command_failures.labels(program).inc()
        raise CommandFailed(f"{shown}: {error.strerror}.", hint=f"Is {arguments[0]} installed?") from error
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), timeout)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        metrics.command_failures.labels(program).inc()
        raise CommandFailed(f"{shown}: no end within {timeout:g} s; it was stopped.", timed_out=True) from error
    stdout, stderr = (_masked(part.decode(errors="replace"), secrets) for part in (out, err))
    status = process.returncode if process.returncode is not None else -1
    if status not in accept:
        metrics.command_failures.labels(program).inc()
        last = "\n".join((stderr or stdout).strip().splitlines()[-LAST_LINES:])
        raise CommandFailed(f"{shown}: exit status {status}.\n{last}".rstrip(), exit_status=status)
    return Completed(tuple(arguments), status, stdout, stderr)


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(shlex.quote(secret), MASK).replace(secret, MASK)
    return text
