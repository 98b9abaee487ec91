"""Extending and keeping desktops, taking one from the pool, limits, ends with a message."""

import asyncio
import time

import msgspec
import pytest

from madang.compute.order import Pulse
from madang.desktops.lifetime import Lifetime, NotRunning
from madang.desktops.model import Session, State
from madang.desktops.policies import Notice, PersonLimit, SiteLimits
from madang.desktops.preset import STANDARD
from madang.desktops.service import Wish
from madang.kernel.errors import Forbidden, InvalidInput, LimitReached, NotFound, Unavailable
from madang.kernel.events import Event
from tests.unit.desktops.house import Agents, House, visitor


async def test_a_desktop_is_extended_and_its_agent_told(house: House):
    ready, agent = await house.ready()
    changed = await Lifetime(house.desktops).extend(visitor(), ready.id, 600, "127.0.0.1")
    assert ready.ends_at is not None
    assert changed.ends_at == ready.ends_at + 600
    assert house.agents.extended == [(ready.id, ready.ends_at + 600)]
    told = await agent.hear()
    assert (told.do, told.ends_at) == ("time", changed.ends_at)


async def test_nobody_gets_more_than_the_preset_allows(house: House):
    ready, _agent = await house.ready()
    with pytest.raises(InvalidInput) as caught:
        await Lifetime(house.desktops).extend(visitor(), ready.id, 3601, "")
    assert caught.value.code == "too_long"
    assert 3590 <= caught.value.extras["most"] <= 3600
    await Lifetime(house.desktops).extend(visitor(), ready.id, caught.value.extras["most"], "")
    assert house.agents.extended and len(house.agents.extended) == 1


async def test_what_the_scheduler_refuses_changes_nothing(house: House):
    ready, _agent = await house.ready()
    house.agents.extend_fails = Unavailable("slurmctld does not answer", code="scheduler_silent")
    with pytest.raises(Unavailable):
        await Lifetime(house.desktops).extend(visitor(), ready.id, 600, "")
    assert await house.store.get(ready.id) == ready


async def test_only_its_own_person_extends_and_keeps_it(house: House):
    ready, _agent = await house.ready()
    for other in (visitor("lee"), visitor("boss", "operator")):
        with pytest.raises(NotFound):
            await Lifetime(house.desktops).extend(other, ready.id, 60, "")
        with pytest.raises(NotFound):
            await Lifetime(house.desktops).keep(other, ready.id)


async def test_what_is_over_is_neither_extended_nor_kept(house: House):
    ready, _agent = await house.ready()
    await house.desktops.want_end(ready, "asked")
    with pytest.raises(NotRunning):
        await Lifetime(house.desktops).extend(visitor(), ready.id, 60, "")
    with pytest.raises(NotRunning):
        await Lifetime(house.desktops).keep(visitor(), ready.id)


async def test_an_idle_desktop_that_is_kept_is_not_warned_any_more(house: House):
    ready, _agent = await house.ready()
    await house.store.change(ready, idle_warned_at=5.0)
    kept = await Lifetime(house.desktops).keep(visitor(), ready.id)
    assert kept.idle_warned_at is None and kept.kept_at is not None
    assert kept.kept_at == pytest.approx(time.time(), abs=5)


async def test_several_are_made_as_far_as_the_limit_goes(house: House):
    made = await house.desktops.create_several(visitor(), Wish(name="class"), 5, "")
    assert [session.name for session in made] == ["class 1", "class 2", "class 3"]
    with pytest.raises(LimitReached):
        await house.desktops.create_several(visitor(), Wish(), 2, "")


async def test_limits_of_a_person_and_of_the_site(house: House):
    await house.desktops.policies.set_limits(SiteLimits(2, 3, (PersonLimit("lee", 1),)))
    for name, fits in (("lee", True), ("lee", False), ("kim", True), ("kim", True), ("park", False)):
        if fits:
            await house.desktops.create(visitor(name), Wish(), "")
        else:
            with pytest.raises(LimitReached):
                await house.desktops.create(visitor(name), Wish(), "")


async def test_while_the_site_is_maintained_nothing_starts(house: House):
    now = time.time()
    await house.desktops.policies.set_notice(Notice("later", True, now + 60))
    await house.ask()
    await house.desktops.policies.set_notice(Notice("now", True, now - 60, now + 60))
    with pytest.raises(Unavailable) as caught:
        await house.ask()
    assert (caught.value.code, caught.value.detail) == ("maintenance", "now")
    await house.desktops.policies.set_notice(Notice("over", True, now - 60, now - 1))
    await house.ask()


async def test_who_has_no_desktops_by_role_starts_none(house: House):
    with pytest.raises(Forbidden):
        await house.desktops.create(visitor("eye", "monitor"), Wish(), "")


async def test_an_operator_ends_a_desktop_with_a_message(house: House):
    ready, agent = await house.ready()
    with pytest.raises(NotFound):
        await house.desktops.end_with_message(visitor("lee"), ready.id, "", "")
    ended = await house.desktops.end_with_message(visitor("boss", "operator"), ready.id, "The node is repaired.", "")
    assert (ended.end_reason, ended.end_message) == ("operator", "The node is repaired.")
    agent.say(house.report(ready.id, "ended", end_reason="operator"))
    over = await house.until(ready.id, lambda s: s.over)
    assert (over.state, over.end_reason, over.end_message) == (State.ENDED, "operator", "The node is repaired.")
    assert await house.desktops.end_with_message(visitor(), ready.id, "", "") == over


async def pooled(house: House, **values: object) -> Session:
    """One that stands ready for kim."""
    draft = house.desktops.draft(visitor().person, await house.presets.get(STANDARD), Wish())
    one = await house.store.add(msgspec.structs.replace(draft, pooled_until=time.time() + 900, **values), most=0)
    house.supervisor.wake(one.id)
    await house.settled()  # no event tells of it
    agent = house.connect(one.id)
    agent.say(house.report(one.id, "ready", pulse=Pulse(at=1.0)))
    async with asyncio.timeout(5):
        while (found := await house.store.get(one.id)) is None or found.state is not State.READY:
            await asyncio.sleep(0.01)
    return found


async def test_a_click_takes_a_ready_one_and_nobody_saw_it_before(house: House):
    took: list[bool] = []

    async def take(_event: Event) -> None:
        took.append(True)

    house.ground.events.on("vnc.pool", take)
    ready = await pooled(house)
    assert house.events == []
    with pytest.raises(NotFound):
        await house.desktops.get(visitor(), ready.id)
    assert await house.desktops.list(visitor(), everybody=False, ended=True, limit=9, offset=0) == b"[]"
    taken = await house.desktops.create(visitor(), Wish(name="mine"), "")
    assert (taken.id, taken.name, taken.state, taken.pooled_until) == (ready.id, "mine", State.READY, None)
    assert taken.ends_at == pytest.approx(time.time() + taken.time_limit_seconds, abs=5)
    assert took == [True]
    another = await house.desktops.create(visitor(), Wish(), "")
    assert another.id != ready.id


async def test_what_stands_ready_takes_nobodys_place(house: House):
    await house.desktops.policies.set_limits(SiteLimits(sessions_of_site=1))
    ready = await pooled(house)
    with pytest.raises(LimitReached):
        await house.store.add(msgspec.structs.replace(ready, id="another"), most=0, most_of_site=1)
    await house.desktops.create(visitor("lee"), Wish(), "")


async def test_one_that_does_not_last_long_enough_is_not_taken(house: House):
    ready = await pooled(house)
    assert (await house.desktops.create(visitor(), Wish(time_limit_seconds=7200), "")).id != ready.id


async def test_nobody_takes_somebody_elses_and_nobody_more_than_their_limit(house: House):
    ready = await pooled(house)
    assert (await house.desktops.create(visitor("lee"), Wish(), "")).id != ready.id
    await house.desktops.policies.set_limits(SiteLimits(0))
    with pytest.raises(LimitReached):
        await house.desktops.create(visitor(), Wish(), "")


async def test_a_queueing_launcher_decides_what_the_new_end_is(make_house, tmp_path):
    house = await make_house(Agents(tmp_path / "jobs", queues=True))
    asked = await house.ask()
    waiting = await house.until(asked.id, lambda s: s.job is not None)
    with pytest.raises(NotRunning):
        await Lifetime(house.desktops).extend(visitor(), waiting.id, 60, "")
