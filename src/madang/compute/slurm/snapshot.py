"""The queue at one moment: which jobs there are, and who is before whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from madang.compute.sight import Waiting
from madang.compute.slurm.parse import Job
from madang.compute.slurm.reasons import NOT_IN_LINE, waiting_reason


class Snapshot:
    """taken_at: when squeue was asked (monotonic), so all that was done before is in it."""

    def __init__(self, jobs: Iterable[Job], taken_at: float) -> None:
        self.taken_at = taken_at
        self.jobs = {job.id: job for job in jobs}

    @cached_property
    def _by_name(self) -> dict[str, list[Job]]:
        found: dict[str, list[Job]] = {}
        for job in self.jobs.values():
            found.setdefault(job.name, []).append(job)
        return found

    def named(self, name: str, uid: int | None) -> list[Job]:
        """Jobs of this name, the oldest first. Anybody may give a job any name: with uid, only that user's."""
        found = [job for job in self._by_name.get(name, ()) if uid is None or job.uid == uid]
        return sorted(found, key=_number)

    @cached_property
    def _positions(self) -> dict[str, int]:
        """In the scheduler's order: by priority, by age, by number. One that waits in two partitions has the better."""
        lines: dict[str, int] = {}
        positions: dict[str, int] = {}
        waiting = [job for job in self.jobs.values() if job.waits and waiting_reason(job.reason) not in NOT_IN_LINE]
        waiting.sort(key=lambda job: (-job.priority, job.submitted or 0.0, _number(job)))
        for job in waiting:
            for partition in job.partitions.split(","):
                lines[partition] = position = lines.get(partition, 0) + 1
                positions[job.id] = min(position, positions.get(job.id, position))
        return positions

    def waiting(self, job: Job, now: float) -> Waiting:
        """Why it waits; now (epoch s): a moment that is over is nothing to expect."""
        reason = waiting_reason(job.reason)
        expected = job.begins if job.begins is not None and job.begins > now else None
        return Waiting(reason, job.reason, job.partitions, expected, self._positions.get(job.id))


def _number(job: Job) -> int:
    """Jobs are numbered as they come; of an array ("12_[1-20]") the array's number counts."""
    number = job.id.partition("_")[0]
    return int(number) if number.isdecimal() else 0
