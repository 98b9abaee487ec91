"""The cookie of a link, the notice as it is sent, and the small charts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.compute.order import Pulse
from madang.desktops.measures import POINTS, Measures
from madang.desktops.notices import NoticeView, notice_view, parsed
from madang.desktops.policies import Notice
from madang.desktops.share import Pass, find_cookie, opened, set_cookie, signed
from madang.kernel.errors import InvalidInput
from madang.kernel.ground import Ground

KEY, NOW = b"k" * 32, 1_000_000.0
texts = st.text(st.characters(codec="utf-8"), max_size=80)


@given(texts, texts, st.none() | texts)
def test_a_cookie_says_what_was_signed(share: str, name: str, person: str | None):
    one = Pass(share, "s1", name, NOW + 1, person)
    value = signed(KEY, one)
    assert opened(KEY, value, "s1", NOW) == one
    assert value.isascii() and not set(value) & set('; ,"\\')


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_cookie_that_was_touched_says_nothing(at: int, by: int):
    value = signed(KEY, Pass("a", "s1", "n", NOW + 1)).encode()
    at %= len(value)
    touched = value[:at] + bytes([value[at] ^ by]) + value[at + 1 :]
    assert opened(KEY, touched.decode("latin-1"), "s1", NOW) is None


def test_a_cookie_is_of_one_session_one_site_and_its_time():
    value = signed(KEY, Pass("a", "s1", "n", NOW + 1))
    assert opened(KEY, value, "s2", NOW) is None
    assert opened(b"o" * 32, value, "s1", NOW) is None
    assert opened(KEY, value, "s1", NOW + 1) is None
    for nonsense in ("", ".", "a.b", "=.=", "é.é"):
        assert opened(KEY, nonsense, "s1", NOW) is None


def test_the_cookie_is_found_among_others():
    header = set_cookie("s1", "value.mac", 60, secure=True)
    assert header.endswith("; Secure")
    headers = {"cookie": f"a=b; {header.partition(';')[0]}; madang_share_s2=other"}
    assert find_cookie(headers, "s1") == "value.mac"
    assert find_cookie(headers, "s3") is None and find_cookie({}, "s1") is None


def test_a_notice_is_read_until_its_end_and_in_force_from_its_begin():
    notice = parsed(NoticeView("  down ", True, "1970-01-02T00:00:00Z", "1970-01-03T00:00:00+00:00"))
    assert (notice.text, notice.begins_at, notice.ends_at) == ("down", 86_400.0, 172_800.0)
    before, during = notice_view(notice, 0.0), notice_view(notice, 90_000.0)
    assert before is not None and not before.in_force
    assert during is not None and during.in_force
    assert notice_view(notice, 172_800.0) is None
    assert notice_view(Notice(), 0.0) is None


@pytest.mark.parametrize(
    "times", [("x", None), ("1960-01-01", None), ("2026-01-02", "2026-01-01"), (None, "9999-13-01")]
)
def test_a_notice_with_wrong_times_is_refused(times):
    with pytest.raises(InvalidInput):
        parsed(NoticeView("text", False, *times))


async def test_charts_go_on_at_another_portal(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    first, second = Measures(ground.live, "vnc"), Measures(ground.live, "vnc")
    begin = time.time() // 60 * 60 - 3 * 60
    now = begin

    def at(seconds: float) -> None:
        monkeypatch.setattr("madang.desktops.measures.clock.now", lambda: begin + seconds)

    for seconds, cpu in ((0, 10.0), (30, 20.0), (60, 40.0), (120, 80.0)):
        at(seconds)
        await first.add("s1", Pulse(at=0.0, cpu_percent=cpu, memory_bytes=int(seconds) + 1))
    assert (await first.get("s1")).points == [(now, 15.0, 31.0), (now + 60, 40.0, 61.0)]
    assert (await second.get("s1")).points == []
    await first.write()
    assert (await second.get("s1")).points == (await first.get("s1")).points
    at(130)
    await second.add("s1", Pulse(at=0.0, cpu_percent=1.0))
    at(190)
    await second.add("s1", Pulse(at=0.0, cpu_percent=1.0))
    assert len((await second.get("s1")).points) == 3
    await second.delete("s1")
    assert (await first.get("s1")).points, "what it heard itself"
    await first.delete("s1")
    assert (await first.get("s1")).points == []


async def test_a_chart_goes_back_an_hour(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    measures = Measures(ground.live, "vnc")
    for minute in range(90):
        monkeypatch.setattr("madang.desktops.measures.clock.now", lambda minute=minute: 6e8 + minute * 60)
        await measures.add("s1", Pulse(at=0.0, cpu_percent=float(minute)))
    points = (await measures.get("s1")).points
    assert len(points) == POINTS
    assert [point[1] for point in points[-2:]] == [87.0, 88.0]
