"""The one place where external programs are run: argument lists, a time-out, output captured, secrets masked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from madang.kernel import metrics
from madang.kernel.errors import CommandFailed

LAST_LINES = 20
MASK = "********"
# What is killed is gone at once; only a program that left its group may still hold the pipes.
REAP_SECONDS = 1.0
# Far more than any of our programs prints; one that runs as somebody else is theirs, and may print without end.
MOST_BYTES = 100_000_000
_PART_BYTES = 65_536
# The kernel's prctl(2), PR_SET_PDEATHSIG.
_TIE = ("setpriv", "--pdeathsig", "KILL", "--")


class Completed(msgspec.Struct, frozen=True):
    """A finished command; output is text, undecodable bytes replaced."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def pasteable(arguments: Sequence[str], secrets: Sequence[str] = ()) -> str:
    """The command as one could paste it into a shell, its secrets masked."""
    # Masked before they are quoted: quoting takes a secret apart.
    return shlex.join(_masked(argument, secrets) for argument in arguments)


async def run(
    arguments: Sequence[str],
    *,
    timeout: float = 30.0,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    accept: Sequence[int] = (0,),
    account: str | None = None,
    tied: bool = False,
) -> Completed:
    """Run a program to its end; as root, with the identity and groups of another Unix `account` if one is named.

    It then has no environment but that account's HOME, USER, LOGNAME and what `environment` says, and starts in "/".
    One that is `tied` is killed when this process is: it would go on, and somebody else begins with the same anew.
    Raises CommandFailed when it is missing, exits with another status than `accept`, takes longer than `timeout`
    seconds or prints more than MOST_BYTES (then it and its children are killed).
    """
    program = Path(arguments[0]).name
    become: Sequence[str] = ()
    if account is not None:
        become, environment = _as_account(account, environment)
    shown = pasteable((*become, *arguments), secrets)
    # The tie comes last: who becomes another account loses it.
    arguments = (*become, *(_TIE if tied else ()), *arguments)
    try:
        with _source(stdin) as source:
            process = _start(arguments, source, environment, "/" if account is not None else None)
    except OSError as error:
        metrics.command_failures.labels(program).inc()
        raise CommandFailed(f"{shown}: {error.strerror}.", hint=f"Is {arguments[0]} installed?") from error
    try:
        out, err = await asyncio.wait_for(_output(process), timeout)
    except (TimeoutError, _TooMuch, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_ended(process), REAP_SECONDS)
        if isinstance(error, asyncio.CancelledError):
            raise
        metrics.command_failures.labels(program).inc()
        if isinstance(error, _TooMuch):
            raise CommandFailed(f"{shown}: printed more than {MOST_BYTES} bytes; it was stopped.") from error
        raise CommandFailed(f"{shown}: no end within {timeout:g} s; it was stopped.", timed_out=True) from error
    stdout, stderr = (_masked(part.decode(errors="replace"), secrets) for part in (out, err))
    status = process.returncode
    if status not in accept:
        metrics.command_failures.labels(program).inc()
        last = "\n".join((stderr or stdout).strip().splitlines()[-LAST_LINES:])
        raise CommandFailed(f"{shown}: exit status {status}.\n{last}".rstrip(), exit_status=status)
    return Completed(tuple(_masked(each, secrets) for each in arguments), status, stdout, stderr)


def _start(
    arguments: Sequence[str], source: int, environment: Mapping[str, str] | None, folder: str | None
) -> subprocess.Popen[bytes]:
    """Not by uvloop: that forks, which for a process of our size takes longer than most programs run, and holds up all
    else meanwhile. This has the kernel lend our memory until the program is there (vfork), as long as nothing is asked
    for that is to be done in between."""
    return subprocess.Popen(
        arguments,
        bufsize=0,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environment is None else dict(environment),
        start_new_session=True,
        cwd=folder,
    )


class _TooMuch(Exception):
    """A program prints more than can be kept."""


async def _output(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it prints until its end. Raises _TooMuch."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    readers: list[asyncio.Task[bytes]] = []
    try:
        for pipe in (process.stdout, process.stderr):
            stream = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(stream)
            transports.append((await loop.connect_read_pipe(lambda protocol=protocol: protocol, pipe))[0])  # type: ignore[misc]
            readers.append(asyncio.create_task(_read(stream)))
        out, err = await asyncio.gather(*readers)
        await _ended(process)
        return out, err
    finally:
        for reader in readers:
            reader.cancel()
        # A program that left its group may hold the pipes for ever.
        for transport in transports:
            transport.close()


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Returns once it is gone, which is mostly at once: it has closed what it prints to."""
    if process.poll() is None:
        await asyncio.to_thread(process.wait)


async def _read(stream: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while part := await stream.read(_PART_BYTES):
        found += part
        if len(found) > MOST_BYTES:
            raise _TooMuch
    return bytes(found)


def _as_account(account: str, environment: Mapping[str, str] | None) -> tuple[Sequence[str], Mapping[str, str]]:
    """What runs a program as that account, and its environment. Raises CommandFailed when there is none."""
    try:
        entry = pwd.getpwnam(account)
    except KeyError as error:
        raise CommandFailed(f"There is no Unix account {account} on this machine.") from error
    own = {"HOME": entry.pw_dir, "USER": account, "LOGNAME": account, "PATH": os.defpath} | dict(environment or {})
    if entry.pw_uid == os.geteuid():
        return (), own
    # uvloop has no user= for its children, and code between fork and exec may hang a process that has threads.
    return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", "--"), own


@contextlib.contextmanager
def _source(data: bytes) -> Iterator[int]:
    """The program's standard input: a file in memory, because writing to a pipe fails when the program ends early."""
    if not data:
        yield subprocess.DEVNULL
        return
    file = os.memfd_create("stdin")
    try:
        os.write(file, data)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
