"""The installer's own restart leads to the disk, in whatever order things happen and whoever is killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from madang.machines.hosts.shapes import BootOrder, Seen
from madang.machines.making import started
from madang.machines.model import Machine, State
from madang.machines.rules import Sight, Step, begun, decide, followed, plan_start
from madang.machines.work import Changes
from tests.unit.machines.made import ISO, T0, definition, machine, media
from tests.unit.machines.made import seen as seen_of

OFF = ("shut_off", "crashed")


class World:
    """A machine with an installer in its drive: the record, its one operation, and what libvirt has of it. What is
    between two `yield` happens at once."""

    def __init__(self) -> None:
        self.record = machine(media=media(ISO))
        self.open = False
        self.runs: list[BootOrder | None] = []
        self.running = False
        self.booted = False
        self.on_reboot = "restart"
        self.ran_for: int | None = None  # the operation whose run has begun
        self.operations = 0
        self.actors: dict[str, Iterator[None]] = {}

    def seen(self) -> Seen:
        if not self.running:
            return seen_of(self.record, "shut_off", reason="shutdown" if self.runs else "")
        live = definition(self.record, boot_order=self.runs[-1] or self.record.boot_order, on_reboot=self.on_reboot)
        device = "hd" if len(self.runs) > 1 else "cdrom"
        return seen_of(
            self.record,
            "running",
            live=live,
            since=T0 + 10 * len(self.runs),
            boot_device=device if self.booted else None,
        )

    def write(self, changes: object) -> None:
        assert isinstance(changes, dict)
        self.record = msgspec.structs.replace(self.record, **changes, version=self.record.version + 1)

    # Who does something.

    def ask_to_start(self) -> None:
        self.write({})
        self.open, self.operations = True, self.operations + 1
        self.actors["operation"] = self.start(again=False)

    def start(self, *, again: bool) -> Iterator[None]:
        yield
        before = self.record
        now = self.seen()
        yield
        if now.state not in OFF:
            outcome = started(before, followed(before, now, T0)["run"])
        else:
            outcome = self.begin(before, again=again)
        yield
        then = self.seen()
        yield
        self.write(dict(outcome(self.record, then)))
        self.open = False

    def begin(self, before: Machine, *, again: bool) -> Changes:
        plan = plan_start(before)
        if not (again and self.ran_for == self.operations):
            self.runs.append(plan.first)
            self.running, self.booted, self.on_reboot = True, False, plan.on_reboot
            self.ran_for = self.operations
        return started(before, begun(before, plan))

    def look(self) -> Iterator[None]:
        while True:
            record = self.record
            yield
            busy = self.open
            yield
            now = self.seen()
            yield
            decision = decide(record, Sight(True, seen=now, busy=busy), T0, 60.0)
            if decision.step is not Step.NOTHING and record.version == self.record.version:
                if decision.step is Step.NOTE:
                    self.write(decision.changes)
                elif not self.open:
                    self.write(decision.changes)
                    self.ask_to_start()
            yield

    def guest(self) -> Iterator[None]:
        """Boots, and when it is the installer, restarts the machine."""
        while True:
            if self.running and not self.booted:
                self.booted = True
            elif self.running and len(self.runs) == 1:
                self.running = self.on_reboot != "destroy"
            yield

    def kill_portal(self) -> None:
        self.actors.pop("operation", None)
        self.actors["look"] = self.look()
        if self.open:
            self.actors["operation"] = self.start(again=True)

    def step(self, who: str) -> None:
        if who == "kill":
            self.kill_portal()
        elif (actor := self.actors.get(who)) is not None:
            next(actor, None)  # the last of an operation does nothing


@given(st.lists(st.sampled_from(["operation", "operation", "look", "look", "guest", "kill"]), max_size=60))
@settings(max_examples=600, deadline=None)
def test_it_goes_on_from_the_disk(order: list[str]) -> None:
    world = World()
    world.actors = {"look": world.look(), "guest": world.guest()}
    world.ask_to_start()
    for who in order:
        world.step(who)
    for _ in range(12):  # and then everybody comes to their end
        for who in ("operation", "guest", "look"):
            for _ in range(6):
                world.step(who)
    assert world.running and world.runs == [None, "hd_cdrom"], "one run of the installer, then the disk"
    assert world.record.state is State.RUNNING and world.record.run is not None
    assert (world.record.boot_order, world.record.run.boot_device) == ("cdrom_hd", "hd")
