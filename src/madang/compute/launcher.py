"""What every launcher can do: put an agent on a node, see how it is, end what is left of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from madang.compute.order import AgentOrder, Failure
from madang.compute.sight import WAITING_REASONS, JobEnd, Placement, Seen, Waiting

__all__ = ["WAITING_REASONS", "JobEnd", "LaunchFailed", "LaunchUnsure", "Launcher", "Placement", "Seen", "Waiting"]


class LaunchFailed(Exception):
    """No agent was started and nothing is left behind; failure says why, for the session's card."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.title} {failure.detail}".strip())
        self.failure = failure


class LaunchUnsure(Exception):
    """Nobody knows whether the launch was taken: the answer was lost. `look` finds it by its session, or says gone."""


class Launcher(Protocol):
    """Starts agents. Every method can be repeated; none blocks the event loop."""

    name: str  # local or slurm
    queues: bool  # whether an agent may have to wait for a node
    on_exit: Callable[[str], None] | None  # called with the session once its agent is gone; may be set at any time

    async def prepare(self) -> None:
        """Makes and checks the folders all sessions need. Raises LaunchFailed."""

    def folder(self, session: str) -> Path:
        """Where a session of this launcher keeps its files: the order's folder must be this one."""

    def log_file(self, session: str) -> Path:
        """What the agent and the session's programs printed, on the portal's side; outlives the session."""

    async def start(self, order: AgentOrder, name: str) -> Placement:
        """Returns as soon as the agent's process runs or its job is queued. `name`: what people call the session.

        Raises LaunchFailed, and then leaves nothing half-made; LaunchUnsure.
        """

    async def refresh(self) -> None:
        """Look at the world once for all sessions, before a round of `look`s. Silent when it does not answer."""

    async def look(self, session: str, placement: Placement | None) -> Seen:
        """How the session's agent is. Without a placement (its launch was unsure) it is searched for by its session."""

    async def extend(self, session: str, placement: Placement, ends_at: float) -> float:
        """Have the scheduler let it run until then; gives when it will really end. Raises MadangError."""

    async def adopt(self, session: str, placement: Placement) -> bool:
        """Watches an agent that an earlier process of the portal started, so that on_exit comes for it too.

        False: it runs no more (on_exit will not come).
        """

    async def sweep(
        self, session: str, account: str | None, folder: Path, display: int | None, placement: Placement | None
    ) -> bool:
        """Ends whatever is left of a session, an agent included, and removes its files.

        True: nothing is left; False: something is, or it cannot be told, and it should be tried again.
        """

    def close(self) -> None:
        """Stops watching; the agents go on."""
