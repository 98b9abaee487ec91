"""One portal's desktops, put together for a test: real records, and agents that exist in memory only."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from madang.compute.launcher import LaunchFailed, Placement
from madang.compute.order import AgentOrder, Failure, Instruction, Pulse, Report
from madang.compute.sight import Seen
from madang.desktops.links import Links
from madang.desktops.model import Session, State
from madang.desktops.preset import STANDARD, Preset
from madang.desktops.presets import Presets
from madang.desktops.reach import Reach
from madang.desktops.reports import Reports
from madang.desktops.rules import Patience
from madang.desktops.service import Desktops, Limits, Wish
from madang.desktops.supervisor import Supervisor
from madang.identity.audit import Audit
from madang.identity.model import Person, Visitor
from madang.kernel.events import Event
from madang.kernel.ground import Ground
from madang.kernel.sockets import WebSocket

SECONDS = 10.0  # no test waits longer


def session(number: int = 1, **values: object) -> Session:
    """A session as it is stored when it is asked for."""
    base = Session(
        id=f"s{number}",
        service="vnc",
        person_id="p1",
        person_name="kim",
        name="Desktop",
        state=State.REQUESTED,
        width=1440,
        height=900,
        time_limit_seconds=3600,
        created_at=1_000_000.0 + number,
    )
    return msgspec.structs.replace(base, **values)


def visitor(name: str = "kim", *roles: str) -> Visitor:
    person = Person(
        id=f"id-{name}",
        name=name,
        display_name=name,
        roles=tuple(roles or ("member",)),
        account=None,
        language=None,
        disabled=False,
        created_at=0.0,
        last_sign_in_at=None,
        version=1,
    )
    return Visitor(person, "cookie", "sign-in")


class Agents:
    """A launcher in memory: agents are entries of a dictionary. With `queues` they are jobs, seen as `seen` says."""

    node = "here"

    def __init__(self, folder: Path, *, queues: bool = False) -> None:
        self.name = "slurm" if queues else "local"
        self.queues = queues
        self.seen: dict[str, Seen] = {}
        self.refreshed = 0
        self.extended: list[tuple[str, float]] = []
        self.extend_fails: Exception | None = None
        self.on_exit: Callable[[str], None] | None = None
        self.orders: list[AgentOrder] = []
        self.running: dict[str, Placement] = {}
        self.swept: list[str] = []
        self.adopted: list[str] = []
        self.fails: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self._folder = folder

    async def prepare(self) -> None: ...

    def folder(self, session: str) -> Path:
        return self._folder / session

    def log_file(self, session: str) -> Path:
        return self._folder / f"{session}.log"

    async def start(self, order: AgentOrder, name: str) -> Placement:
        self.orders.append(order)
        await self.hold.wait()
        if self.fails:
            raise self.fails
        number = 1000 + len(self.orders)
        placement = Placement(None, None, None, str(number)) if self.queues else Placement(self.node, number, 7)
        self.running[order.session] = placement
        return placement

    async def refresh(self) -> None:
        self.refreshed += 1

    async def look(self, session: str, placement: Placement | None) -> Seen:
        if session in self.seen:
            return self.seen[session]
        if self.queues:
            return Seen(alive=session in self.running, job=placement.job if placement else None)
        return Seen(alive=placement in self.running.values() if placement and placement.node == self.node else None)

    async def extend(self, session: str, placement: Placement, ends_at: float) -> float:
        if self.extend_fails:
            raise self.extend_fails
        self.extended.append((session, ends_at))
        return ends_at

    async def adopt(self, session: str, placement: Placement) -> bool:
        self.adopted.append(session)
        return placement in self.running.values()

    async def sweep(
        self, session: str, account: str | None, folder: Path, display: int | None, placement: Placement | None
    ) -> bool:
        assert folder == self.folder(session)
        self.swept.append(session)
        self.running.pop(session, None)
        return True

    def close(self) -> None: ...

    def kill(self, session: str) -> None:
        del self.running[session]
        if self.on_exit:
            self.on_exit(session)

    def fail_with(self, code: str) -> None:
        self.fails = LaunchFailed(Failure(code, "It cannot be started", "why", "what to do"))


class AgentSocket(WebSocket):
    """An agent's end of its WebSocket."""

    def __init__(self) -> None:
        super().__init__({"headers": []}, self._next, self._take)
        self.open = True
        self.told: asyncio.Queue[Instruction] = asyncio.Queue()
        self.closed = asyncio.Event()
        self._said: asyncio.Queue[dict] = asyncio.Queue()

    def say(self, report: Report) -> None:
        self._said.put_nowait(
            {"type": "websocket.receive", "bytes": None, "text": msgspec.json.encode(report).decode()}
        )

    def say_plainly(self, data: bytes) -> None:
        self._said.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self._said.put_nowait({"type": "websocket.disconnect"})

    async def hear(self) -> Instruction:
        async with asyncio.timeout(SECONDS):
            return await self.told.get()

    async def _next(self) -> dict:
        return await self._said.get()

    async def _take(self, message: dict) -> None:
        if message["type"] == "websocket.close":
            self.closed.set()
            self.leave()
        else:
            self.told.put_nowait(msgspec.json.decode(message["text"], type=Instruction))


class House:
    """One portal's desktops, put together as the service `vnc` does it."""

    def __init__(self, ground: Ground, agents: Agents, patience: Patience) -> None:
        self.agents = agents
        self.links = Links()
        limits = Limits(1440, 900, 3840, 2160, 3600, 7200, 3, 3600.0)
        standard = Preset(id=STANDARD, name="Standard", time_limit_seconds=3600, longest_time_limit_seconds=7200)
        standard = msgspec.structs.replace(standard, launcher=agents.name)
        self.presets = Presets(ground.database, "vnc", standard)
        self.desktops = Desktops(ground, "vnc", limits, {agents.name: agents}, Audit(ground), self.presets)
        self.store = self.desktops.store
        self.reports = Reports(self.desktops, lambda _session: 2, 60.0)
        self.supervisor = Supervisor(
            self.desktops,
            Reach(self.links, 0.5),
            patience,
            self._order,
            look_seconds=3600,
            call_seconds=3600,
            portals=lambda _session: Instruction("portals", portals=("http://p",)),
            news_again=self.reports.forget,
        )
        self.over: list[str] = []
        self.desktops.after_end += [self.over.append, self.links.forget, self.reports.forget]
        self.events: list[tuple[str, dict]] = []
        ground.events.on("vnc.session", self._keep)
        self.ground = ground
        self._connections: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def _keep(self, event: Event) -> None:
        self.events.append((event.name, msgspec.json.decode(event.data)))
        self._changed.set()

    def _order(self, session: Session, agent_secret: str, door_key: str) -> AgentOrder:
        return AgentOrder(
            session=session.id, folder=session.folder, portal="http://p", agent_secret=agent_secret, door_key=door_key
        )

    async def ask(self) -> Session:
        return await self.desktops.create(visitor(), Wish(), "127.0.0.1")

    async def until(self, session_id: str, condition: Callable[[Session], object]) -> Session:
        """The session once it is so."""
        async with asyncio.timeout(SECONDS):
            while True:
                self._changed.clear()
                found = await self.store.get(session_id)
                if found is not None and condition(found):
                    return found
                await self._changed.wait()

    async def settled(self) -> None:
        """All steps that were begun are done."""
        async with asyncio.timeout(SECONDS):
            while self.supervisor._steps:
                await asyncio.gather(*self.supervisor._steps.values(), return_exceptions=True)
                await asyncio.sleep(0)

    async def look(self) -> None:
        await self.supervisor.cycle()
        await self.settled()

    def connect(self, session_id: str) -> AgentSocket:
        socket = AgentSocket()
        self._connections.append(asyncio.create_task(self.links.serve(session_id, socket, self.reports.take)))
        return socket

    def report(self, session_id: str, state: str, **values: object) -> Report:
        placement = self.agents.running.get(session_id, Placement(self.agents.node, 1001, 7))
        given = {"pid": placement.pid, "pid_started": placement.pid_started, "node": placement.node, "display": 1}
        return Report(state=state, **(given | values))

    async def ready(self) -> tuple[Session, AgentSocket]:
        """A session that runs, and its agent."""
        asked = await self.ask()
        await self.until(asked.id, lambda s: s.pid is not None)
        agent = self.connect(asked.id)
        agent.say(self.report(asked.id, "ready", pulse=Pulse(at=1_000_000.0, cpu_percent=1.5)))
        return await self.until(asked.id, lambda s: s.state is State.READY), agent

    async def stop(self) -> None:
        await self.supervisor.stop()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
