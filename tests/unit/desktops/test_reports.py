"""What agents say, over links that come and go."""

import asyncio

import msgspec
import pytest

from madang.compute.order import Pulse, Report
from madang.desktops.links import LONGEST_REPORT
from madang.desktops.model import State
from madang.kernel.errors import Failure, Unavailable
from tests.unit.desktops.house import House, session


async def test_a_heartbeat_with_nothing_new_changes_no_record_and_is_shown(house: House):
    ready, agent = await house.ready()
    house.events.clear()
    seen: list[float] = []
    async with house.ground.events.listen(lambda event: True) as listener:
        for cpu in (5.0, 6.0):
            agent.say(house.report(ready.id, "ready", pulse=Pulse(at=1_000_001.0, cpu_percent=cpu)))
            async with asyncio.timeout(5):
                await listener.next()
            seen.append(house.events[-1][1]["session"]["pulse"]["cpu_percent"])
    assert seen == [5.0, 6.0]
    assert await house.store.get(ready.id) == ready


async def test_a_pulse_tells_how_many_look(house: House):
    ready, _agent = await house.ready()
    pulse = await house.desktops.pulses.get(ready.id)
    assert pulse is not None and pulse.viewers == 2


async def test_an_agent_that_connects_anew_replaces_its_old_link(house: House):
    ready, agent = await house.ready()
    again = house.connect(ready.id)
    async with asyncio.timeout(5):
        await agent.closed.wait()
    await asyncio.sleep(0)
    assert house.links.linked(ready.id)
    await house.desktops.want_end(ready, "asked")
    assert (await again.hear()).do == "end"
    assert agent.told.empty()


async def test_a_link_that_ends_is_no_link_any_more(house: House):
    ready, agent = await house.ready()
    agent.leave()
    await asyncio.gather(*house._connections)
    assert not house.links.linked(ready.id)


async def test_an_agent_of_a_session_that_is_over_is_told_to_end(house: House):
    await house.store.add(session(1, state=State.ENDED, ended_at=1.0), most=9)
    agent = house.connect("s1")
    agent.say(house.report("s1", "ready"))
    assert (await agent.hear()).do == "end"
    agent.say(house.report("s1", "ended"))
    assert (await agent.hear()).do == "bye"


async def test_an_agent_of_no_session_is_told_to_end(house: House):
    agent = house.connect("nobody's")
    agent.say(Report(state="starting"))
    assert (await agent.hear()).do == "end"


async def test_a_session_that_ended_by_itself_keeps_the_agents_reason(house: House):
    ready, agent = await house.ready()
    agent.say(house.report(ready.id, "ending", end_reason="logged_out"))
    ending = await house.until(ready.id, lambda s: s.state is State.ENDING)
    assert (ending.wanted, ending.end_reason) == (False, "logged_out")
    agent.say(house.report(ready.id, "ended", end_reason="logged_out"))
    assert (await house.until(ready.id, lambda s: s.over)).end_reason == "logged_out"
    assert house.over == [ready.id]


async def test_the_pulse_goes_with_its_session(house: House):
    ready, agent = await house.ready()
    agent.say(house.report(ready.id, "ended"))
    await house.until(ready.id, lambda s: s.over)
    assert await house.desktops.pulses.get(ready.id) is None


async def test_two_changes_at_once_both_arrive(house: House):
    """A report that meets a change of somebody else is taken again on the newer record."""
    ready, agent = await house.ready()
    changing = house.desktops.change(ready, name="renamed")
    agent.say(house.report(ready.id, "ready", display=5))
    await changing
    found = await house.until(ready.id, lambda s: s.display == 5)
    assert found.name == "renamed"


NONSENSE = [
    {"stages": [{"name": "agent", "started_at": 1e18}]},
    {"stages": [{"name": "agent", "started_at": -1e18}]},
    {"stages": [{"name": "x" * 300, "started_at": 1.0}]},
    {"pulse": {"at": 1e300}},
    {"pid": 2**64},
    {"display": -1},
    {"node": "n" * 300},
    {"state": "anything"},
]


@pytest.mark.parametrize("values", NONSENSE)
async def test_an_agent_in_a_persons_hands_cannot_store_what_breaks_the_list(house: House, values: dict):
    ready, agent = await house.ready()
    agent.say_plainly(msgspec.json.encode({"state": "ready"} | values))
    with pytest.raises(msgspec.ValidationError):
        await house._connections[-1]
    assert await house.store.get(ready.id) == ready
    assert not house.links.linked(ready.id)


async def test_a_report_that_is_too_long_is_not_taken(house: House):
    ready, agent = await house.ready()
    failure = Failure("display_lost", "It is gone", "x" * LONGEST_REPORT)
    agent.say(house.report(ready.id, "failed", failure=failure))
    with pytest.raises(msgspec.ValidationError):
        await house._connections[-1]
    assert await house.store.get(ready.id) == ready


async def test_a_report_that_cannot_be_stored_now_is_taken_after_the_agent_connected_again(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    ready, agent = await house.ready()

    async def busy(*_given: object, **_values: object) -> None:
        raise Unavailable("busy", code="database_busy")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "change", busy)
        agent.say(house.report(ready.id, "ending", end_reason="logged_out"))
        async with asyncio.timeout(5):
            await agent.closed.wait()
    again = house.connect(ready.id)
    again.say(house.report(ready.id, "ending", end_reason="logged_out"))
    await house.until(ready.id, lambda s: s.state is State.ENDING)
