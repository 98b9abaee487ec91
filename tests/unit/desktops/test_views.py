"""Sessions as JSON: joined from what was encoded before, it is what plain encoding gives."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.compute.order import Pulse, Stage
from madang.desktops.model import Session, State
from madang.desktops.pulses import Pulses
from madang.desktops.views import EncodedViews, PulseView, SessionView, join, view
from madang.kernel.errors import Failure
from madang.kernel.ground import Ground
from tests.unit.desktops.house import session

moments = st.none() | st.floats(0, 4e9)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
pulses = st.builds(
    PulseView,
    at=st.just("2026-11-20T15:04:05.123Z"),
    idle_seconds=st.none() | st.floats(0, 1e6),
    cpu_percent=st.none() | st.floats(0, 100),
    memory_bytes=st.none() | st.integers(0, 2**40),
    width=st.just(1440),
    height=st.just(900),
    viewers=st.integers(0, 5),
)


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[Session], dict[str, PulseView]]:
    found = [
        session(
            number,
            version=draw(st.integers(1, 3)),
            name=draw(texts),
            state=draw(st.sampled_from(State)),
            unknown_since=draw(moments),
            ready_at=draw(moments),
            stages=tuple(Stage("agent", 1.0, None) for _ in range(draw(st.integers(0, 2)))),
            failure=draw(st.none() | st.builds(Failure, code=texts, title=texts, detail=texts)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    return found, {each.id: draw(pulses) for each in found if draw(st.booleans())}


def wanted_of(found: list[Session]) -> list[tuple[str, int]]:
    return [(each.id, each.version) for each in found]


@given(lists(), st.data())
def test_the_joined_list_is_what_plain_encoding_gives(drawn, data: st.DataObject):
    found, by_id = drawn
    encoded = EncodedViews()
    encoded.keep([each for each in found if data.draw(st.booleans())])
    # Some that are kept are of an older version by now.
    found = [msgspec.structs.replace(e, version=e.version + data.draw(st.integers(0, 1)), width=7) for e in found]
    wanted = wanted_of(found)
    bodies = encoded.known(wanted)
    bodies |= encoded.keep([each for each in found if each.id not in bodies])
    joined = join(wanted, bodies, {key: msgspec.json.encode(value) for key, value in by_id.items()})
    shown = msgspec.json.decode(joined, type=list[SessionView])
    assert msgspec.json.encode(shown) == joined  # JSON, with the keys in the order of a single view
    for given_one, expected in zip(shown, [view(each, by_id.get(each.id)) for each in found], strict=True):
        if given_one.width == 7:
            assert msgspec.json.encode(given_one) == msgspec.json.encode(expected)
        assert given_one.version == expected.version


def test_a_session_that_disappeared_in_between_is_left_out():
    encoded = EncodedViews()
    bodies = encoded.keep([session(1)])
    assert [each["id"] for each in msgspec.json.decode(join([("s0", 1), ("s1", 1)], bodies, {}))] == ["s1"]


def test_an_empty_list_is_an_empty_list():
    assert join([], {}, {}) == b"[]"


def test_an_older_version_is_not_shown():
    encoded = EncodedViews()
    encoded.keep([session(1, version=1)])
    assert encoded.known([("s1", 2)]) == {}
    assert list(encoded.known([("s1", 1)])) == ["s1"]


def test_no_session_is_missing_from_a_list_when_there_are_more_than_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(EncodedViews, "MOST", 10)
    encoded = EncodedViews()
    for size in (8, 14, 20, 21):
        found = [session(number) for number in range(size)]
        wanted = wanted_of(found)
        bodies = encoded.known(wanted)
        bodies |= encoded.keep([each for each in found if each.id not in bodies])
        assert len(msgspec.json.decode(join(wanted, bodies, {}))) == size
    assert len(encoded._kept) <= 21


def test_times_are_told_in_utc_to_the_millisecond():
    shown = view(session(1, created_at=1_795_186_245.1239, ended_at=None), None)
    assert (shown.created_at, shown.ended_at) == ("2026-11-20T14:50:45.123Z", None)


def test_no_secret_of_a_session_is_shown():
    body = msgspec.json.encode(view(session(1, door_key="DOOR", agent_secret_hash="HASH", folder="/run/x"), None))
    assert not any(secret in body for secret in (b"DOOR", b"HASH", b"/run/x"))


async def test_pulses_are_kept_by_session_and_shown_alike_alone_and_in_lists(ground: Ground):
    kept = Pulses(ground.live, "vnc")
    pulse = Pulse(at=1_795_186_245.5, idle_seconds=3.5, cpu_percent=12.345, memory_bytes=10, width=1440, height=900)
    await kept.put("s1", pulse, 2, 60)
    await Pulses(ground.live, "moonlight").put("s2", pulse, 0, 60)
    alone = await kept.get("s1")
    assert alone == PulseView("2026-11-20T14:50:45.500Z", 3.5, 12.3, 10, 1440, 900, 2)
    assert await kept.encoded() == {"s1": msgspec.json.encode(alone)}
    await kept.delete("s1")
    assert await kept.get("s1") is None and await kept.encoded() == {}


async def test_pulses_are_written_together_and_never_after_their_end(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("madang.desktops.pulses.GATHER_SECONDS", 0.05)
    kept, elsewhere = Pulses(ground.live, "vnc"), Pulses(ground.live, "vnc")
    for session_id in ("s1", "s2", "s3"):
        await kept.put(session_id, Pulse(at=1.0), 0, 60)
    assert await elsewhere.encoded() == {}
    await kept.delete("s3")
    async with asyncio.timeout(5):
        while await elsewhere.encoded() == {}:
            await asyncio.sleep(0.01)
    assert set(await elsewhere.encoded()) == set(await kept.encoded()) == {"s1", "s2"}
    await kept.put("s1", Pulse(at=2.0), 0, 60)
    await kept.stop()
    assert (await elsewhere.get("s1")) == PulseView("1970-01-01T00:00:01.000Z", None, 0.0, 0, 0, 0, 0)
