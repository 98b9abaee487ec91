"""Slurm's words for why a job waits, how it ended and why it was refused, in ours."""

from __future__ import annotations

import re

from madang.compute.launcher import JobEnd as End
from madang.compute.order import Failure
from madang.compute.slurm.parse import JobEnd

# Slurm's reasons are many and grow: what is not here is found by how it begins or ends.
_REASONS = {
    "Priority": "priority",
    "Resources": "resources",
    "Dependency": "dependency",
    "DependencyNeverSatisfied": "cannot_run",
    "BeginTime": "begin_time",
    "Cleaning": "begin_time",
    "Prolog": "resources",
    "Licenses": "licenses",
    "PartitionDown": "partition_closed",
    "PartitionInactive": "partition_closed",
    "PartitionNodeLimit": "partition_limit",
    "PartitionTimeLimit": "partition_limit",
    "PartitionConfig": "partition_limit",
    "Reservation": "reservation",
    "ReservationDeleted": "held",
    "ReqNodeNotAvail": "nodes_unavailable",
    "NodeDown": "nodes_unavailable",
    "FrontEndDown": "nodes_unavailable",
    "BadConstraints": "cannot_run",
    "AccountNotAllowed": "cannot_run",
    "QOSNotAllowed": "cannot_run",
    "InvalidAccount": "cannot_run",
    "InvalidQOS": "cannot_run",
    "JobHeldUser": "held",
    "JobHeldAdmin": "held",
    "JobArrayTaskLimit": "person_limit",
    "None": "resources",
}
_PATTERNS = (
    (re.compile(r"^(launch_failed_)?requeued_held|^JobHold|held", re.IGNORECASE), "held"),
    (re.compile(r"^Nodes required for job are|UnavailableNodes|^ReqNodeNotAvail"), "nodes_unavailable"),
    (re.compile(r"^Reserved for|^Reservation"), "reservation"),
    (re.compile(r"^QOS.*(PerUser|PU)"), "person_limit"),
    (re.compile(r"^QOS"), "qos_limit"),
    (re.compile(r"^(Assoc|Account)"), "account_limit"),
    (re.compile(r"^Max.*PerAccount"), "account_limit"),
    (re.compile(r"^Partition"), "partition_limit"),
    (re.compile(r"^Licenses?"), "licenses"),
)
# Who waits for one of these is before nobody: a free node would not help.
NOT_IN_LINE = frozenset(
    {
        "account_limit",
        "begin_time",
        "cannot_run",
        "dependency",
        "held",
        "licenses",
        "partition_limit",
        "person_limit",
        "qos_limit",
        "reservation",
    }
)

_ENDS: dict[str, End] = {
    "COMPLETED": "completed",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "TIMEOUT": "time_limit",
    "DEADLINE": "time_limit",
    "NODE_FAIL": "node_lost",
    "BOOT_FAIL": "node_lost",
    "OUT_OF_MEMORY": "out_of_memory",
    "PREEMPTED": "preempted",
}

# Exit statuses of the batch script and of the agent's first file (see script.py and bundle.py).
NO_AGENT = 127
OTHER_PYTHON = 126


def waiting_reason(said: str) -> str:
    """One of WAITING_REASONS."""
    word = said.partition(",")[0].strip()
    if reason := _REASONS.get(word):
        return reason
    return next((reason for pattern, reason in _PATTERNS if pattern.search(said)), "other")


def job_end(state: str) -> End:
    return _ENDS.get(state, "failed")


def end_detail(end: JobEnd, node: str) -> str:
    """For the session's card: what is known beyond the state."""
    where = node or "the node"
    if end.exit_status == NO_AGENT:
        return f"The agent's code or /usr/bin/python3 is not on {where} (exit status {NO_AGENT})."
    if end.exit_status == OTHER_PYTHON:
        return f"{where} has another version of Python than the portal (exit status {OTHER_PYTHON})."
    if end.exit_status:
        return f"Exit status {end.exit_status}."
    if end.signal and end.state not in ("TIMEOUT", "CANCELLED"):
        return f"Signal {end.signal}."
    return {"NODE_FAIL": f"Node {node} was lost.", "BOOT_FAIL": f"Node {node} did not start."}.get(end.state, "")


# sbatch did not get through: nothing was taken.
_NOT_SENT = re.compile(r"Unable to contact slurm controller \(connect failure\)|Connection refused", re.IGNORECASE)
# It got through, and its answer was lost.
_UNSURE = re.compile(
    r"timed out|send/recv|Zero Bytes were transmitted|Unexpected message|Unable to contact slurm controller|"
    r"Slurm backup controller in standby|Communication connection failure",
    re.IGNORECASE,
)
_REFUSALS = (
    (
        re.compile(r"MaxWall|time limit is invalid|Requested time limit|TimeLimit", re.IGNORECASE),
        "scheduler_time_limit",
        "The cluster does not give a desktop so much time.",
        "Choose a shorter time.",
    ),
    (
        re.compile(r"QOSMax|QOSGrp|AssocMax|AssocGrp|MaxSubmit|accounting/QOS policy", re.IGNORECASE),
        "scheduler_limit",
        "A limit of the cluster is reached.",
        "End a desktop or a job that you no longer need, or ask an operator.",
    ),
    (
        re.compile(r"Invalid account|account/partition", re.IGNORECASE),
        "scheduler_account",
        "The cluster does not let your account submit jobs.",
        "Ask an operator to add your account to Slurm (sacctmgr add user).",
    ),
    (
        re.compile(r"Invalid partition|invalid partition|access permission to partition|not in partition"),
        "scheduler_partition",
        "There is no such partition for you.",
        "An operator has to correct the preset.",
    ),
    (
        re.compile(r"Invalid qos", re.IGNORECASE),
        "scheduler_qos",
        "There is no such QoS for you.",
        "An operator has to correct the preset.",
    ),
    (
        re.compile(r"reservation", re.IGNORECASE),
        "scheduler_reservation",
        "The reservation cannot be used.",
        "An operator has to correct the preset.",
    ),
    (
        re.compile(
            r"node configuration|Memory specification|feature specification|\(gres\)|count per node|(node|cpu) count",
            re.IGNORECASE,
        ),
        "scheduler_cannot_run",
        "No node of the cluster has what was asked for.",
        "Choose less, or ask an operator.",
    ),
    (
        re.compile(r"not permitted|Access/permission denied|User.s group|Invalid user id", re.IGNORECASE),
        "scheduler_denied",
        "The cluster does not let you do this.",
        "Ask an operator.",
    ),
)


def not_sent(said: str) -> bool:
    """Whether these words of sbatch mean that the controller was never reached."""
    return bool(_NOT_SENT.search(said))


def unsure(said: str) -> bool:
    """Whether these words of sbatch leave open if the job was taken."""
    return bool(_UNSURE.search(said))


def refusal(said: str) -> Failure:
    """Why a job was refused, from what sbatch printed."""
    words = plain(said)
    for pattern, code, title, hint in _REFUSALS:
        if pattern.search(said):
            return Failure(code, title, words, hint)
    return Failure("scheduler_refused", "The cluster did not take the desktop.", words, "Ask an operator.")


def plain(said: str) -> str:
    """Slurm's words without the program's name before each line."""
    lines = [re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()) for line in said.strip().splitlines()]
    return " ".join(line for line in lines if line)
