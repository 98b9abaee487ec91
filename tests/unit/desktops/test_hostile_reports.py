"""An agent is its person's process: what it says grows nothing, and reaches neither a terminal nor a command."""

from __future__ import annotations

import msgspec
import pytest

from madang.compute.order import Report, Stage
from madang.desktops.model import State
from madang.desktops.rules import finished, reported
from madang.kernel.errors import Failure
from tests.unit.desktops.house import House, session

NOW = 1_000_000.0


@pytest.mark.parametrize("state", [State.WAITING, State.STARTING, State.READY])
def test_stages_that_are_the_portals_do_not_pile_up(state: State) -> None:
    found = session(state=state, stages=(Stage("request", 1.0, 0.5), Stage("queue", 1.5)))
    for number in range(10):
        stages = [Stage("request", NOW), Stage("queue", NOW + number), Stage("agent", NOW + number)]
        found = msgspec.structs.replace(found, **reported(found, Report(stages=stages), NOW))
    assert [stage.name for stage in found.stages] == ["request", "queue", "agent"]
    assert found.stages[0] == Stage("request", 1.0, 0.5)


def test_a_failures_words_can_be_shown_anywhere() -> None:
    said = Failure("x" * 100, "\x1b]0;owned\x07title", "one\ntwo\x9b2J\0", "h" * 5000)
    failure = reported(session(state=State.STARTING), Report(state="failed", failure=said), NOW)["failure"]
    assert failure == Failure("x" * 64, "\ufffd]0;owned\ufffdtitle", "one\ntwo\ufffd2J\ufffd", "h" * 1000)


@pytest.mark.parametrize(
    "said",
    [
        {"node": "node\x1b[2J"},
        {"node": "node\n"},
        {"job": "--all"},
        {"job": "12\n"},
        {"end_reason": "x" * 33},
        {"display": 10**6},
        {"pid": 2**31},
        {"restarts": 2**40},
        {"stages": [{"name": "agent", "started_at": 1.0}] * 33},
        {"pulse": {"at": 1.0, "cpu_percent": 1e300}},
        {"door": {"port": 6900, "fingerprint": "0" * 64 + "\n"}},
    ],
)
def test_what_could_not_be_stored_or_shown_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(said), type=Report)


async def test_what_another_portal_ended_is_forgotten_here_too(house: House) -> None:
    ready, agent = await house.ready()
    assert ready.id in house.reports._taken and ready.id in house.desktops.measures._rings
    await house.store.change(ready, **finished(ready, "job_cancelled", NOW))
    agent.leave()
    house.supervisor.wake(ready.id)  # as the end of its agent's connection does
    await house.settled()
    assert ready.id not in house.reports._taken and ready.id not in house.desktops.measures._rings
