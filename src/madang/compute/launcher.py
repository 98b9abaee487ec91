"""What every launcher can do: put an agent on a node, see whether it lives, end what is left of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from madang.compute.order import AgentOrder, Failure


class Placement(msgspec.Struct, frozen=True):
    """Where an agent runs. pid_started (clock ticks since boot) tells it from a later process of the same pid."""

    node: str
    pid: int
    pid_started: int


class LaunchFailed(Exception):
    """No agent was started and nothing is left behind; failure says why, for the session's card."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.title} {failure.detail}".strip())
        self.failure = failure


class Launcher(Protocol):
    """Starts agents. Every method can be repeated; none blocks the event loop."""

    on_exit: Callable[[str], None] | None  # called with the session once its agent is gone; may be set at any time

    async def prepare(self) -> None:
        """Makes and checks the folders all sessions need. Raises LaunchFailed."""

    def folder(self, session: str) -> Path:
        """Where a session of this launcher keeps its files: the order's folder must be this one."""

    def log_file(self, session: str) -> Path:
        """What the agent and the session's programs printed; exists from the start on, outlives the session."""

    async def start(self, order: AgentOrder) -> Placement:
        """Returns as soon as the agent's process runs. Raises LaunchFailed, and then leaves nothing half-made."""

    async def alive(self, placement: Placement) -> bool | None:
        """Whether the agent runs; None: cannot be seen from here."""

    async def adopt(self, session: str, placement: Placement) -> bool:
        """Watches an agent that an earlier process of the portal started, so that on_exit comes for it too.

        False: it runs no more (on_exit will not come).
        """

    async def sweep(self, session: str, account: str | None, folder: Path, display: int | None) -> bool:
        """Ends whatever is left of a session, an agent included, and removes its files. True: nothing is left."""
