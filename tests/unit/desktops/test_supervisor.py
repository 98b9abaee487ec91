"""How sessions are carried on. Real agents: tests/daemons."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from madang.compute.order import Pulse
from madang.desktops.model import Session, State
from madang.kernel.errors import NotFound
from tests.unit.desktops.house import Agents, House, session, visitor


async def test_a_desktop_that_is_asked_for_is_launched_at_once(house: House):
    asked = await house.ask()
    found = await house.until(asked.id, lambda s: s.pid is not None)
    assert (found.state, found.node, found.pid) == (State.STARTING, "here", 1001)
    assert found.ends_at == pytest.approx(found.launched_at + found.time_limit_seconds)
    assert [stage.name for stage in found.stages] == ["request", "agent"]
    [order] = house.agents.orders
    assert found.door_key == order.door_key
    assert found.agent_secret_hash == hashlib.sha256(order.agent_secret.encode()).hexdigest()


async def test_a_desktop_becomes_ready_when_its_agent_says_so(house: House):
    ready, _agent = await house.ready()
    assert ready.ready_at is not None
    states = [data["session"]["state"] for _, data in house.events]
    assert states == sorted(states, key=["requested", "starting", "ready"].index)


async def test_looking_again_at_what_runs_changes_nothing(house: House):
    ready, _agent = await house.ready()
    for _ in range(3):
        await house.look()
    assert await house.store.get(ready.id) == ready
    assert len(house.agents.orders) == 1


async def test_a_launch_that_fails_is_shown_with_its_reason(house: House):
    house.agents.fail_with("disk_full")
    asked = await house.ask()
    found = await house.until(asked.id, lambda s: s.over)
    assert (found.state, found.failure.code, found.failure.hint) == (State.FAILED, "disk_full", "what to do")
    assert house.over == [asked.id]


async def test_a_bug_in_a_launch_ends_it_sweeps_it_and_does_not_begin_it_again(make_house):
    house = await make_house(launch=0.0)
    house.agents.fails = RuntimeError("a bug")
    asked = await house.ask()
    found = await house.until(asked.id, lambda s: s.over)
    assert (found.state, found.failure.code) == (State.FAILED, "launch_failed")
    assert house.agents.swept == [asked.id]
    await house.look()
    assert len(house.agents.orders) == 1


async def test_nobody_without_an_account_gets_a_desktop_of_root(house: House, monkeypatch: pytest.MonkeyPatch):
    for module in ("service", "supervisor"):
        monkeypatch.setattr(f"madang.desktops.{module}.as_root", lambda: True)
    asked = await house.ask()
    found = await house.until(asked.id, lambda s: s.over)
    assert (found.state, found.failure.code) == (State.FAILED, "no_account")
    assert house.agents.orders == []


async def test_an_agent_that_is_killed_is_noticed_and_swept_after(house: House):
    ready, agent = await house.ready()
    agent.leave()
    house.agents.kill(ready.id)
    await house.settled()
    house.supervisor.wake(ready.id)  # as the end of its connection does
    found = await house.until(ready.id, lambda s: s.over)
    assert (found.state, found.failure.code, found.end_reason) == (State.FAILED, "agent_lost", "agent_lost")
    assert house.agents.swept == [ready.id]
    assert found.door_key is None


async def test_an_agent_that_is_silent_is_unknown_and_seen_again(make_house):
    house = await make_house(silent=0.2)
    ready, agent = await house.ready()
    await asyncio.sleep(0.25)
    await house.look()
    unknown = await house.until(ready.id, lambda s: s.unknown_since is not None)
    assert unknown.state is State.READY
    agent.say(house.report(ready.id, "ready"))
    seen = await house.until(ready.id, lambda s: s.unknown_since is None)
    assert seen.state is State.READY
    assert house.agents.swept == []


async def test_a_link_that_is_lost_ends_nothing_while_the_agent_lives(house: House):
    ready, agent = await house.ready()
    agent.leave()
    await asyncio.sleep(0.05)
    for _ in range(3):
        await house.look()
    assert await house.store.get(ready.id) == ready


async def test_the_end_is_asked_of_the_agent_and_recorded_when_it_says_so(house: House):
    ready, agent = await house.ready()
    ending = await house.desktops.end(visitor(), ready.id, "127.0.0.1")
    assert (ending.state, ending.end_reason) == (State.ENDING, "asked")
    assert (await agent.hear()).do == "end"
    agent.say(house.report(ready.id, "ending", end_reason="asked"))
    agent.say(house.report(ready.id, "ended", end_reason="asked"))
    assert (await agent.hear()).do == "bye"
    found = await house.store.get(ready.id)
    assert (found.state, found.end_reason, found.failure) == (State.ENDED, "asked", None)
    assert house.agents.swept == []
    assert house.over == [ready.id]


async def test_an_agent_that_does_not_end_is_ended_by_force(make_house):
    house = await make_house(end=0.1)
    ready, agent = await house.ready()
    await house.desktops.end(visitor(), ready.id, "127.0.0.1")
    assert (await agent.hear()).do == "end"
    await asyncio.sleep(0.15)
    await house.look()
    found = await house.until(ready.id, lambda s: s.over)
    assert found.state is State.ENDED
    assert house.agents.swept == [ready.id]


async def test_an_end_that_is_asked_for_during_the_launch_is_kept(make_house):
    house = await make_house()
    house.agents.hold.clear()
    asked = await house.ask()
    starting = await house.until(asked.id, lambda s: s.state is State.STARTING)
    await house.desktops.end(visitor(), starting.id, "127.0.0.1")
    house.agents.hold.set()
    await house.settled()
    agent = house.connect(asked.id)
    agent.say(house.report(asked.id, "starting"))
    assert (await agent.hear()).do == "end"
    agent.say(house.report(asked.id, "ended"))
    assert (await house.until(asked.id, lambda s: s.over)).end_reason == "asked"


async def test_the_time_limit_ends_a_session(house: House):
    ready, agent = await house.ready()
    await house.desktops.change(ready, ends_at=1.0)
    await house.look()
    instruction = await agent.hear()
    assert (instruction.do, instruction.reason) == ("end", "time_limit")
    assert (await house.store.get(ready.id)).end_reason == "time_limit"


async def test_a_portal_that_comes_back_takes_up_what_runs(make_house, house: House):
    ready, _agent = await house.ready()
    await house.stop()
    again = await make_house(house.agents)
    assert house.agents.adopted == [ready.id]
    await again.look()
    reconnected = again.connect(ready.id)
    reconnected.say(again.report(ready.id, "ready", pulse=Pulse(at=1.0)))
    async with asyncio.timeout(5):
        while await again.desktops.pulses.get(ready.id) is None:
            await asyncio.sleep(0.01)
    assert (await again.store.get(ready.id)).state is State.READY
    assert len(house.agents.orders) == 1


async def test_a_portal_that_comes_back_notices_what_died_meanwhile(make_house, house: House):
    ready, _agent = await house.ready()
    await house.stop()
    house.agents.on_exit = None
    house.agents.kill(ready.id)
    again = await make_house(house.agents)
    await again.look()
    assert (await again.until(ready.id, lambda s: s.over)).failure.code == "agent_lost"


async def test_what_a_killed_portal_asked_for_or_half_launched_is_launched_anew(make_house):
    house = await make_house(launch=0.0)
    half = session(2, state=State.STARTING, launched_at=1.0, folder=str(house.agents.folder("s2")))
    await house.store.add(session(1), most=9)
    await house.store.add(half, most=9)
    await house.look()
    for key in ("s1", "s2"):
        assert (await house.until(key, lambda s: s.pid is not None)).state is State.STARTING
    assert house.agents.swept == ["s2"]
    assert sorted(order.session for order in house.agents.orders) == ["s1", "s2"]


async def test_a_session_is_launched_once_however_often_it_is_looked_at(make_house):
    house = await make_house(launch=0.0)
    house.agents.hold.clear()
    asked = await house.ask()
    for _ in range(5):
        house.supervisor.wake(asked.id)
        await house.supervisor.cycle()
    house.agents.hold.set()
    await house.until(asked.id, lambda s: s.pid is not None)
    await house.settled()
    assert len(house.agents.orders) == 1


async def test_two_portals_that_look_at_once_launch_it_once(make_house):
    first, second = await make_house(launch=0.0), await make_house(launch=0.0)
    await first.store.add(session(1), most=9)
    await asyncio.gather(first.look(), second.look())
    assert len(first.agents.orders) + len(second.agents.orders) == 1


async def test_a_late_placement_does_not_replace_that_of_a_newer_launch(house: House):
    house.agents.hold.clear()
    asked = await house.ask()
    launching = await house.until(asked.id, lambda s: s.launched_at is not None)
    newer = await house.store.change(launching, launched_at=launching.launched_at + 1, door_key="newer")
    house.agents.hold.set()
    await house.settled()
    assert await house.store.get(asked.id) == newer


async def test_what_ended_long_ago_is_forgotten_with_its_log(house: House, tmp_path):
    old = session(1, state=State.ENDED, ended_at=1.0)
    await house.store.add(old, most=9)
    log = house.agents.log_file("s1")
    log.parent.mkdir()
    log.write_text("log")
    await house.look()
    assert await house.store.get("s1") is None
    assert not log.exists()


async def test_after_the_stop_nothing_is_begun_any_more(house: House):
    asked = await house.ask()
    await house.stop()
    house.supervisor.wake(asked.id)
    assert not house.supervisor._steps


async def test_a_step_that_fails_does_not_stop_the_next(house: House, monkeypatch: pytest.MonkeyPatch):
    async def no_sweep(*_given: object) -> bool:
        raise RuntimeError("another bug")

    monkeypatch.setattr(house.agents, "sweep", no_sweep)
    house.agents.fails = RuntimeError("a bug")
    first = await house.ask()
    await house.settled()
    house.agents.fails = None
    second = await house.ask()
    assert (await house.until(second.id, lambda s: s.pid is not None)).state is State.STARTING
    assert (await house.store.get(first.id)).state is State.STARTING


async def test_nobody_ends_or_sees_somebody_elses_desktop(house: House):
    ready, _agent = await house.ready()
    for other in (visitor("lee"), visitor("boss", "admin", "operator")):
        with pytest.raises(NotFound):
            await house.desktops.get(other, ready.id)
        with pytest.raises(NotFound):
            await house.desktops.end(other, ready.id, "127.0.0.1")
    assert (await house.store.get(ready.id)).wanted


async def test_ending_what_is_over_forgets_it(house: House):
    await house.store.add(session(1, person_id="id-kim", state=State.ENDED, ended_at=9e9), most=9)
    assert await house.desktops.end(visitor(), "s1", "127.0.0.1") is None
    assert await house.store.get("s1") is None


async def test_a_launcher_that_hangs_keeps_nobody_elses_sessions_waiting(house: House, tmp_path: Path):
    hangs = asyncio.Event()

    class Hanging(Agents):
        async def refresh(self) -> None:
            await hangs.wait()

    house.desktops.launchers["hanging"] = Hanging(tmp_path)  # type: ignore[index]
    house.supervisor._look_seconds = 0.05
    await house.store.add(session(1, launcher="hanging", launched_at=1.0, state=State.STARTING), most=9)
    await house.store.add(session(2), most=9)
    async with asyncio.timeout(5):
        await house.supervisor.cycle()
        while (await house.store.get("s2")).state is State.REQUESTED:
            await asyncio.sleep(0.01)
    assert (await house.store.get("s1")).state is State.STARTING
    hangs.set()
    await house.supervisor.stop()


async def test_what_a_launcher_says_between_two_cycles_is_not_asked_anew(house: House):
    """It takes longer than a cycle waits, each time: were it given up each time, nobody's session would be seen."""
    asked: list[asyncio.Event] = []

    async def refresh() -> None:
        asked.append(asyncio.Event())
        await asked[-1].wait()

    looked: list[str] = []

    async def look_at(session: Session) -> None:
        looked.append(session.id)

    house.agents.refresh = refresh  # type: ignore[method-assign]
    house.supervisor._look_at = look_at  # type: ignore[method-assign]
    house.supervisor._look_seconds = 0.05
    await house.store.add(session(1, launched_at=1.0, state=State.STARTING), most=9)
    await house.supervisor.cycle()
    assert house.agents.name in house.supervisor._refreshing and not looked
    asked[0].set()
    while house.agents.name in house.supervisor._refreshing:
        await asyncio.sleep(0.001)
    await house.supervisor.cycle()
    assert len(asked) == 1 and looked == ["s1"]
    await house.supervisor.cycle()
    assert len(asked) == 2 and looked == ["s1"], "and then it is asked again"
    asked[1].set()
