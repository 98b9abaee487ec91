"""Real programs through kernel/commands.py."""

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import uvloop

from madang.kernel import commands
from madang.kernel.errors import CommandFailed
from tests.support.accounts import AS_ROOT, make_account, remove_account


def lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


async def gone(pid: int) -> bool:
    """Whether a process that was killed disappears, within a second."""
    for _ in range(100):
        if not lives(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def written(file: Path) -> str:
    for _ in range(300):
        with contextlib.suppress(FileNotFoundError):
            if (text := file.read_text()).endswith("\n"):
                return text
        await asyncio.sleep(0.01)
    raise AssertionError(f"{file} was not written")


async def test_the_output_and_the_status_are_given():
    done = await commands.run(["sh", "-c", "echo out; echo err >&2; exit 3"], accept=(0, 3))
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


async def test_nothing_is_seen_by_a_shell():
    done = await commands.run(["echo", "$HOME; rm -rf *", "`id`"])
    assert done.stdout == "$HOME; rm -rf * `id`\n"


async def test_undecodable_output_is_replaced():
    assert (await commands.run(["printf", r"\377ok"])).stdout == "\ufffdok"


async def test_standard_input_is_given_whole_and_ends():
    data = os.urandom(300_000).hex().encode()
    assert (await commands.run(["cat"], stdin=data)).stdout == data.decode()


async def test_without_input_a_reader_sees_its_end_at_once():
    assert (await commands.run(["cat"], timeout=5)).stdout == ""


def test_a_program_that_ends_before_it_reads_its_input_is_no_error():
    async def many() -> None:
        for _ in range(30):
            await commands.run(["true"], stdin=b"x" * 200_000)
            await commands.run(["true"])

    uvloop.run(many())  # what the portal runs on; its pipes refuse a write to a program that is gone


async def test_only_the_given_environment_reaches_the_program():
    done = await commands.run(["/usr/bin/env"], environment={"ONLY": "this"})
    assert done.stdout == "ONLY=this\n"


async def test_a_failure_carries_the_command_to_paste_its_status_and_the_last_lines():
    script = "for i in $(seq 1 50); do echo line $i >&2; done; exit 7"
    with pytest.raises(CommandFailed) as caught:
        await commands.run(["sh", "-c", script, "a b"])
    error = caught.value
    assert error.extras["exit_status"] == 7
    assert error.detail.startswith(f"sh -c '{script}' 'a b': exit status 7.\nline 31\n")
    assert error.detail.endswith("line 50")


async def test_what_was_said_on_standard_output_is_shown_when_there_is_no_error_output():
    with pytest.raises(CommandFailed, match="no such pool"):
        await commands.run(["sh", "-c", "echo no such pool; exit 1"])


@pytest.mark.parametrize("secret", ["plain", "two words", "it's", '"quoted"', "$HOME`id`", "back\\slash"])
async def test_a_secret_is_nowhere_in_an_error(secret: str):
    script = 'echo "told $1"; echo "blamed $1" >&2; exit 1'
    with pytest.raises(CommandFailed) as caught:
        await commands.run(["sh", "-c", script, "name", f"--password={secret}"], secrets=[secret])
    shown = f"{caught.value} {caught.value.problem()} {caught.value.failure()}"
    assert secret not in shown
    command = caught.value.detail.partition(": exit status")[0]
    assert shlex.split(command) == ["sh", "-c", script, "name", f"--password={commands.MASK}"]
    assert f"blamed --password={commands.MASK}" in shown


async def test_a_secret_that_holds_another_is_masked_whole():
    done = await commands.run(["echo", "abc123 abc"], secrets=["abc", "abc123"])
    assert done.stdout == f"{commands.MASK} {commands.MASK}\n"


async def test_a_secret_is_masked_in_the_output_of_a_success():
    assert "s3cret" not in (await commands.run(["echo", "s3cret"], secrets=["s3cret"])).stdout


async def test_an_empty_secret_masks_nothing():
    assert (await commands.run(["echo", "text"], secrets=[""])).stdout == "text\n"


async def test_a_missing_program_is_named_with_a_hint():
    with pytest.raises(CommandFailed) as caught:
        await commands.run(["madang-has-no-such-program", "--version"])
    assert "madang-has-no-such-program --version: No such file or directory" in caught.value.detail
    assert "installed" in caught.value.hint


async def test_a_time_out_kills_the_program_and_its_children(tmp_path: Path):
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"
    with pytest.raises(CommandFailed) as caught:
        await commands.run(["sh", "-c", script], timeout=0.5)
    assert caught.value.extras["timed_out"]
    parent, child = map(int, pids.read_text().split())
    assert await gone(parent)
    assert await gone(child)


async def test_a_program_that_ignores_the_polite_signal_is_killed_too():
    begin = time.monotonic()
    with pytest.raises(CommandFailed, match=r"no end within 0\.3 s"):
        await commands.run(["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 60; done"], timeout=0.3)
    assert time.monotonic() - begin < 3


async def test_a_grandchild_that_left_the_group_and_holds_the_output_does_not_hold_us(tmp_path: Path):
    file = tmp_path / "pid"
    begin = time.monotonic()
    with pytest.raises(CommandFailed):
        await commands.run(["sh", "-c", f"setsid sh -c 'echo $$ > {file}; exec sleep 20' & sleep 60"], timeout=0.3)
    assert time.monotonic() - begin < 5
    os.kill(int(file.read_text()), 9)
    await asyncio.sleep(0.1)  # the pipes end with it


async def test_whoever_is_cancelled_leaves_no_program_behind(tmp_path: Path):
    file = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > {file}; wait"
    task = asyncio.create_task(commands.run(["sh", "-c", script]))
    parent, child = map(int, (await written(file)).split())
    assert lives(parent) and lives(child)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(parent)
    assert await gone(child)


@pytest.mark.skipif(not AS_ROOT, reason="only root can run programs as somebody else")
async def test_runs_a_program_as_another_account() -> None:
    name = make_account("mdgcmdrun")
    try:
        words = "id -un; id -Gn; pwd; cat; env"
        done = await commands.run(["/bin/sh", "-c", words], account=name, stdin=b"said\n", environment={"A": "b"})
        lines = done.stdout.splitlines()
        assert lines[:4] == [name, name, "/", "said"]
        assert {"HOME=/home/mdgcmdrun", "USER=mdgcmdrun", "A=b"} <= set(lines)
        assert {line.partition("=")[0] for line in lines[4:]} <= {"HOME", "USER", "LOGNAME", "PATH", "A", "PWD"}
    finally:
        remove_account(name)


@pytest.mark.parametrize("other", [False, pytest.param(True, marks=pytest.mark.skipif(not AS_ROOT, reason="root's"))])
async def test_what_is_tied_to_a_process_dies_with_it(other: bool) -> None:
    name = make_account("mdgtied") if other else None
    folder = Path(tempfile.mkdtemp(prefix="mdg-", dir="/tmp"))  # where other accounts get
    folder.chmod(0o777)
    work = ["/bin/sh", "-c", f"echo $$ > {folder}/pid; exec sleep 60"]
    code = (
        f"import asyncio; from madang.kernel.commands import run; asyncio.run(run({work}, account={name!r}, tied=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        pid = int(await written(folder / "pid"))
        assert lives(pid)
        process.kill()
        process.wait()
        assert await gone(pid)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)
        if name is not None:
            remove_account(name)


async def test_an_account_that_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="no Unix account nobody-at-all"):
        await commands.run(["/bin/true"], account="nobody-at-all")


async def test_a_program_that_prints_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(commands, "MOST_BYTES", 1_000_000)
    for where in ("", ">&2"):
        with pytest.raises(CommandFailed, match="printed more than"):
            await commands.run(["/bin/sh", "-c", f"exec yes {where}"], timeout=20)


async def test_who_holds_the_pipes_of_a_program_that_was_stopped_holds_nothing_of_ours(tmp_path: Path):
    file = tmp_path / "pid"
    before = len(os.listdir("/proc/self/fd"))
    program = f"setsid sh -c 'echo $$ > {file}; exec sleep 60' & sleep 60"
    with pytest.raises(CommandFailed, match="no end within"):
        await commands.run(["/bin/sh", "-c", program], timeout=0.5)
    holder = int(await written(file))
    try:
        await asyncio.sleep(0.1)
        assert lives(holder) and len(os.listdir("/proc/self/fd")) == before
    finally:
        os.kill(holder, 9)
