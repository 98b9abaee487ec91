"""Why a session failed, where the portal is the one to say it. An agent brings its own words."""

from __future__ import annotations

from madang.compute.sight import Seen
from madang.kernel.errors import Failure

NEW_ONE = "Start a new one. Files that were saved in the home folder are still there."

AGENT_LOST = Failure(
    code="agent_lost",
    title="The desktop was ended from outside",
    detail="Its agent disappeared: somebody ended its process, or the machine ran out of memory.",
    hint=NEW_ONE,
)
START_TIMEOUT = Failure(
    code="start_timeout",
    title="The desktop did not start in time",
    detail="Its agent gave no sign of life.",
    hint="Try again; if it stays, the log says how far it came.",
)
AGENT_UNHEARD = Failure(
    code="agent_unheard",
    title="The desktop runs, but cannot reach the portal",
    detail="Its job has begun, and its agent was not heard in time.",
    hint="Tell the site's operator: nodes must reach slurm.portal_urls, and trust its certificate (slurm.portal_ca).",
)
NO_ACCOUNT = Failure(
    code="no_account",
    title="You have no Unix account on this site",
    detail="A desktop runs as its person's own account.",
    hint="Ask an administrator to give you one.",
)
NOT_LAUNCHED = Failure(
    code="launch_failed",
    title="The desktop could not be started",
    detail="The portal met an error that it did not expect; it is in its log.",
    hint="Try again; if it stays, tell the site's operator.",
)
NO_LAUNCHER = Failure(
    code="launcher_gone",
    title="The desktop's launcher is not there any more",
    detail="This site no longer starts desktops in the way that this one was asked for.",
    hint="Choose another preset.",
)
NODE_LOST = Failure(
    code="node_lost",
    title="The node of the desktop was lost",
    detail="The cluster no longer reaches it: it crashed, was switched off, or left the network.",
    hint=NEW_ONE,
)
OUT_OF_MEMORY = Failure(
    code="out_of_memory",
    title="The desktop needed more memory than it had",
    detail="The cluster ended it when its programs reached the memory of its job.",
    hint="Start one with more memory.",
)
PREEMPTED = Failure(
    code="preempted",
    title="The desktop had to make room",
    detail="The cluster gave its node to a job of higher priority.",
    hint=NEW_ONE,
)
JOB_FAILED = Failure(
    code="job_failed",
    title="The job of the desktop failed",
    detail="It ended before its agent could say anything.",
    hint="Tell the site's operator: the agent may be missing on that node.",
)
JOB_GONE = Failure(
    code="job_gone",
    title="The job of the desktop is gone",
    detail="The scheduler does not know it (any more).",
    hint="Start a new one; if it happens again, tell the site's operator.",
)

_BY_CODE = {
    failure.code: failure
    for failure in (AGENT_LOST, AGENT_UNHEARD, START_TIMEOUT, NODE_LOST, OUT_OF_MEMORY, PREEMPTED, JOB_FAILED, JOB_GONE)
}


def failure_of(code: str, seen: Seen | None = None) -> Failure:
    """The failure of that code, with what the launcher saw."""
    failure = _BY_CODE[code]
    if seen is None or not seen.detail:
        return failure
    return Failure(failure.code, failure.title, f"{failure.detail} ({seen.detail})", failure.hint)
