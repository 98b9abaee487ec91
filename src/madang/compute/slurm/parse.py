"""What Slurm's programs print, read without calling any of them. Seen: 22.05 and 24.11.

Times are printed as seconds since the epoch (SLURM_TIME_FORMAT=%s). Names of jobs come from people and may hold
anything, a separator or a line's end too: the name is the last field, and a line counts only with the word that its
caller made up for this one call in front of it. So nobody can slip in a line about somebody else's job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Job, state, reason, uid, partitions, QoS, priority, submitted, begun or expected, end, node, name.
_FIELDS = "%i|%T|%r|%U|%P|%q|%Q|%V|%S|%e|%B|%j"
_COUNT = _FIELDS.count("|") + 1

_WAITS = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
                    "RESV_DEL_HOLD", "POWER_UP_NODE"})  # fmt: skip
_RUNS = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "UPDATE_DB"})

_NO_NODE = frozenset({"n/a", "N/A", "(null)", "None", "None assigned"})
_PAIR = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)")


class Job(NamedTuple):
    """One line of squeue."""

    id: str
    state: str
    reason: str
    uid: int
    partitions: str  # several, as in "viz,debug", while it waits
    qos: str
    priority: int
    submitted: float | None
    begins: float | None  # begun, or expected to begin
    ends: float | None
    node: str
    name: str

    @property
    def waits(self) -> bool:
        return self.state in _WAITS

    @property
    def runs(self) -> bool:
        return self.state in _RUNS

    @property
    def over(self) -> bool:
        return not self.waits and not self.runs


def queue_format(word: str) -> str:
    """What `squeue --format` is given."""
    return f"{word}|{_FIELDS}"


def queue(text: str, word: str) -> Iterator[Job]:
    """The jobs in squeue's output, called with queue_format(word)."""
    start = f"{word}|"
    for line in text.split("\n"):
        if not line.startswith(start):
            continue
        fields = line[len(start) :].split("|", _COUNT - 1)
        if len(fields) != _COUNT:
            continue
        job, state, reason, uid, partitions, qos, priority, submitted, begins, ends, node, name = fields
        try:
            yield Job(
                job, state, reason, int(uid), partitions, qos, int(priority), moment(submitted), moment(begins),
                moment(ends), "" if node in _NO_NODE else node, name,
            )  # fmt: skip
        except ValueError:
            continue


def moment(text: str) -> float | None:
    """Seconds since the epoch; None for N/A, Unknown, None, NONE."""
    return float(text) if text.isdecimal() and text != "0" else None


def pairs(line: str) -> dict[str, str]:
    """One line of `scontrol --oneliner show`. A value ends at a space; of a key that comes twice the first counts.

    Not to be trusted for a job: its name comes before most of it. job_end() says what can be.
    """
    found: dict[str, str] = {}
    for key, value in _PAIR.findall(line):
        found.setdefault(key, value)
    return found


def blocks(text: str) -> list[dict[str, str]]:
    """All lines of `scontrol --oneliner show`."""
    return [found for line in text.splitlines() if (found := pairs(line))]


class JobEnd(NamedTuple):
    """What is left of a job that squeue forgot. Only its own person could have made it say something else."""

    state: str
    exit_status: int = 0
    signal: int = 0

    @property
    def over(self) -> bool:
        return self.state not in _WAITS | _RUNS


def job_end(text: str) -> JobEnd | None:
    """Of `scontrol --oneliner show job ID`."""
    found = pairs(text)
    return _end(found["JobState"], found.get("ExitCode", "")) if "JobState" in found else None


def accounted_end(text: str) -> JobEnd | None:
    """Of `sacct --format=State,ExitCode`; the last line is the last run of a job that was started anew."""
    lines = [line.split("|") for line in text.splitlines() if line.count("|") == 1]
    if not lines:
        return None
    state, code = lines[-1]
    return _end(state.partition(" ")[0], code)  # "CANCELLED by 0"


def _end(state: str, code: str) -> JobEnd:
    status, _, number = code.partition(":")
    return JobEnd(state, int(status) if status.isdecimal() else 0, int(number) if number.isdecimal() else 0)


def submitted(text: str) -> str | None:
    """The job's number that `sbatch --parsable` printed: 4711, or 4711;cluster."""
    number = text.strip().partition(";")[0]
    return number if number.isdecimal() else None


def seconds(text: str) -> int | None:
    """A duration ([days-]hours:minutes:seconds, minutes:seconds, minutes); None without limit."""
    days, dash, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts) or (dash and not days.isdecimal()):
        return None
    numbers = [int(part) for part in parts]
    if dash:  # days-hours[:minutes[:seconds]]
        hours, minutes, rest_seconds = [*numbers, 0, 0][:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + rest_seconds
    if len(numbers) == 1:
        return numbers[0] * 60
    total = 0
    for number in numbers:
        total = total * 60 + number
    return total


def table(text: str) -> list[list[str]]:
    """What sacctmgr and sacct print with --parsable2: fields between bars."""
    return [line.split("|") for line in text.splitlines() if line]
