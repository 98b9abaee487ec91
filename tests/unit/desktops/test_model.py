"""The rules of a session, on whatever could be stored, seen and reported."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.compute.order import Report, Stage
from madang.desktops import model
from madang.desktops.model import Patience, Session, Sight, State, Step, decide, finished, reported
from madang.kernel.errors import Failure

T0 = 1_000_000.0
PATIENCE = Patience(launch=3, start=30, silent=12, end=10)
RANK = {State.REQUESTED: 0, State.STARTING: 1, State.READY: 2, State.ENDING: 3, State.ENDED: 4, State.FAILED: 4}

moments = st.floats(T0 - 200, T0 + 200)
maybe_moments = st.none() | moments
failures = st.builds(Failure, code=st.sampled_from(["disk_full", "display_lost"]), title=st.just("No"))
stages = st.builds(Stage, name=st.sampled_from(["agent", "display"]), started_at=moments, seconds=st.none() | moments)


@st.composite
def sessions(draw: st.DrawFn, **given: object) -> Session:
    """Any session that the rules allow to be stored."""
    state = draw(st.sampled_from(State)) if "state" not in given else given["state"]
    over = state in model.OVER
    wanted = state is not State.ENDING and not over  # who asks for the end sets both
    launched = state is not State.REQUESTED
    values = {
        "id": "s1",
        "service": "vnc",
        "person_id": "p1",
        "person_name": "kim",
        "name": "Desktop",
        "state": state,
        "width": 1440,
        "height": 900,
        "time_limit_seconds": 3600,
        "created_at": draw(moments),
        "wanted": wanted,
        "unknown_since": draw(maybe_moments),
        "node": "here" if launched else None,
        "pid": draw(st.none() | st.just(4242)) if launched else None,
        "display": draw(st.none() | st.integers(1, 9)),
        "folder": "/run/s1" if launched else None,
        "launched_at": draw(moments) if launched else None,
        "ready_at": draw(maybe_moments),
        "ends_at": draw(moments) if launched else None,
        "ending_at": draw(moments) if state is State.ENDING else None,
        "ended_at": draw(moments) if over else None,
        "stages": tuple(draw(st.lists(stages, max_size=3))),
        "end_reason": None if wanted else draw(st.sampled_from(["asked", "time_limit"])),
        "failure": draw(failures) if state is State.FAILED else None,
        "door_key": "key",
    }
    return Session(**(values | given))


sights = st.builds(
    Sight,
    seen_at=moments,
    linked=st.booleans(),
    process=st.none() | st.booleans(),
    launching=st.booleans(),
)
reports = st.builds(
    Report,
    state=st.sampled_from(["starting", "ready", "ending", "ended", "failed"]),
    pid=st.just(4242),
    pid_started=st.just(99),
    node=st.just("here"),
    display=st.none() | st.integers(1, 9),
    stages=st.lists(stages, max_size=3),
    failure=st.none() | failures,
    end_reason=st.none() | st.sampled_from(["asked", "time_limit", "display_lost"]),
)


def changed(session: Session, values: dict) -> Session:
    return msgspec.structs.replace(session, **values)


def ready(**values: object) -> Session:
    base = Session(
        id="s1", service="vnc", person_id="p1", person_name="kim", name="Desktop", state=State.READY, width=1440,
        height=900, time_limit_seconds=3600, created_at=T0, node="here", pid=4242, pid_started=99, display=1,
        folder="/run/s1", launched_at=T0, ready_at=T0 + 2, ends_at=T0 + 3600,
    )  # fmt: skip
    return changed(base, values)


@given(sessions(), sights, moments)
def test_whatever_is_seen_there_is_a_decision_that_can_be_carried_out(session: Session, sight: Sight, now: float):
    decision = decide(session, sight, now, PATIENCE)
    match decision.step:
        case Step.FAIL:
            assert decision.why in model.FAILURES
        case Step.FINISH | Step.ASK_TO_END:
            assert decision.why
        case _:
            assert decision.why == ""


@given(sessions(state=State.ENDED) | sessions(state=State.FAILED), sights, moments, reports)
def test_a_session_never_leaves_its_end(session: Session, sight: Sight, now: float, report: Report):
    assert decide(session, sight, now, PATIENCE) == model.NOTHING
    assert reported(session, report, now) == {}


@given(sessions(), sights, moments)
def test_nothing_is_decided_while_it_is_being_launched(session: Session, sight: Sight, now: float):
    assert decide(session, msgspec.structs.replace(sight, launching=True), now, PATIENCE) == model.NOTHING


@given(
    session=sessions(state=State.READY, wanted=True, pid=4242, end_reason=None),
    sight=sights,
    silence=st.floats(0, 1e7),
    process=st.none() | st.just(True),
)
def test_what_is_only_silent_is_unknown_and_never_ended(session, sight, silence, process):
    session = changed(session, {"ends_at": None})
    sight = msgspec.structs.replace(sight, process=process, launching=False)
    decision = decide(session, sight, sight.seen_at + silence, PATIENCE)
    assert decision.step in (Step.NOTHING, Step.MARK_UNKNOWN, Step.MARK_SEEN)


@given(sessions(), sights, moments)
def test_an_agent_that_is_connected_is_never_held_for_dead(session: Session, sight: Sight, now: float):
    sight = msgspec.structs.replace(sight, linked=True, seen_at=now, launching=False)
    decision = decide(session, sight, now, PATIENCE)
    if decision.step in (Step.FAIL, Step.FINISH, Step.LAUNCH):
        assert decision.step is Step.FINISH
        assert session.ending_at is not None and now - session.ending_at > PATIENCE.end


@given(sessions(), sights, moments)
def test_nothing_is_launched_that_is_not_wanted_or_runs(session: Session, sight: Sight, now: float):
    if decide(session, sight, now, PATIENCE).step is Step.LAUNCH:
        assert session.wanted
        assert session.pid is None
        assert not sight.linked


@given(sessions(), sights, moments)
def test_a_mark_is_set_once(session: Session, sight: Sight, now: float):
    decision = decide(session, sight, now, PATIENCE)
    if decision.step is Step.MARK_UNKNOWN:
        marked = changed(session, {"unknown_since": sight.seen_at})
    elif decision.step is Step.MARK_SEEN:
        marked = changed(session, {"unknown_since": None})
    else:
        return
    assert decide(marked, sight, now, PATIENCE) == model.NOTHING


@given(sessions(), moments, st.none() | st.booleans())
def test_every_session_that_nobody_answers_for_comes_to_its_end(session: Session, begin: float, process: bool | None):
    """From any record, with an agent that never answers: launched anew at most once, over in the end."""
    now, launches = begin, 0
    sight = Sight(seen_at=begin, linked=False, process=process)
    for _ in range(400):
        decision = decide(session, sight, now, PATIENCE)
        match decision.step:
            case Step.LAUNCH:
                launches += 1
                session = changed(
                    session,
                    {
                        "state": State.STARTING,
                        "launched_at": now,
                        "ends_at": now + 300,
                        "pid": 1,
                        "folder": "/run/s1",
                    },
                )
            case Step.ASK_TO_END if session.wanted:
                ending = {"wanted": False, "state": State.ENDING, "ending_at": now, "end_reason": decision.why}
                session = changed(session, ending)
            case Step.FINISH | Step.FAIL:
                failure = model.FAILURES.get(decision.why)
                session = changed(session, finished(session, decision.why, now, failure))
            case Step.MARK_UNKNOWN:
                session = changed(session, {"unknown_since": sight.seen_at})
        if session.over:
            break
        now += 3
    assert session.over
    assert launches <= 1


@given(sessions(), reports, moments)
def test_a_report_moves_a_session_forwards_only(session: Session, report: Report, now: float):
    after = changed(session, reported(session, report, now))
    assert RANK[after.state] >= RANK[session.state]
    assert session.wanted or not after.wanted
    assert after.over == (after.ended_at is not None)
    assert (after.state is State.FAILED) == (after.failure is not None)
    if after.state is State.ENDING:
        assert after.ending_at is not None and not after.wanted
    if after.over:
        assert after.door_key is None or session.over


@given(sessions(), reports, moments, st.floats(0, 100))
def test_a_report_that_is_repeated_says_nothing_new(session: Session, report: Report, now: float, later: float):
    after = changed(session, reported(session, report, now))
    assert reported(after, report, now + later) == {}


@given(sessions(), reports, moments)
def test_a_report_does_not_touch_what_is_the_portals(session: Session, report: Report, now: float):
    changes = reported(session, report, now)
    assert not changes.keys() & {
        "id", "service", "person_id", "person_name", "account", "folder", "created_at", "ends_at", "launched_at",
        "time_limit_seconds", "agent_secret_hash", "version",
    }  # fmt: skip


@given(sessions(), sights, moments, failures)
def test_an_end_that_was_asked_for_is_no_failure(session: Session, sight: Sight, now: float, failure: Failure):
    session = changed(session, {"wanted": False, "end_reason": "asked"})
    after = changed(session, finished(session, "display_lost", now, failure))
    assert (after.state, after.failure, after.end_reason) == (State.ENDED, None, "asked")


def test_a_request_that_nobody_took_up_is_launched_after_a_while():
    requested = ready(state=State.REQUESTED, pid=None, launched_at=None, ends_at=None)
    unseen = Sight(seen_at=T0, linked=False, process=None)
    assert decide(requested, unseen, T0 + 1, PATIENCE).step is Step.NOTHING
    assert decide(requested, unseen, T0 + 4, PATIENCE).step is Step.LAUNCH


@pytest.mark.parametrize(
    ("session", "sight", "after", "step", "why"),
    [
        (ready(), Sight(T0, True, None), 5, Step.NOTHING, ""),
        (ready(), Sight(T0, True, None), 13, Step.MARK_UNKNOWN, ""),
        (ready(), Sight(T0, False, True), 13, Step.MARK_UNKNOWN, ""),
        (ready(), Sight(T0, False, None), 13, Step.MARK_UNKNOWN, ""),
        (ready(), Sight(T0, False, False), 1, Step.FAIL, "agent_lost"),
        (ready(unknown_since=T0), Sight(T0 + 20, True, None), 21, Step.MARK_SEEN, ""),
        (ready(unknown_since=T0), Sight(T0, False, False), 99, Step.FAIL, "agent_lost"),
        (ready(), Sight(T0 + 3599, True, None), 3601, Step.ASK_TO_END, "time_limit"),
        (ready(unknown_since=T0), Sight(T0, False, None), 3601, Step.ASK_TO_END, "time_limit"),
        (ready(state=State.STARTING), Sight(T0, False, True), 29, Step.NOTHING, ""),
        (ready(state=State.STARTING), Sight(T0, False, True), 31, Step.FAIL, "start_timeout"),
        (ready(state=State.STARTING), Sight(T0 + 20, True, None), 31, Step.NOTHING, ""),
        (ready(state=State.ENDING, wanted=False, ending_at=T0), Sight(T0, True, None), 5, Step.ASK_TO_END, "asked"),
        (ready(state=State.ENDING, wanted=False, ending_at=T0), Sight(T0, True, None), 11, Step.FINISH, "asked"),
        (ready(state=State.ENDING, wanted=False, ending_at=T0), Sight(T0, False, False), 1, Step.FINISH, "asked"),
    ],
)
def test_what_is_decided(session: Session, sight: Sight, after: float, step: Step, why: str):
    assert decide(session, sight, T0 + after, PATIENCE) == model.Decision(step, why)


def test_the_first_report_of_readiness_sets_its_time_and_keeps_the_portals_own_stage():
    session = ready(state=State.STARTING, ready_at=None, stages=(Stage("request", T0, 0.1), Stage("agent", T0)))
    report = Report(state="ready", pid=4242, pid_started=99, node="here", display=1, stages=[Stage("agent", T0, 0.4)])
    after = changed(session, reported(session, report, T0 + 2))
    assert (after.state, after.ready_at) == (State.READY, T0 + 2)
    assert after.stages == (Stage("request", T0, 0.1), Stage("agent", T0, 0.4))


def test_there_is_a_door_from_the_display_on_until_the_end():
    assert ready(state=State.STARTING).has_door
    assert not ready(display=None).has_door
    assert not ready(state=State.ENDED).has_door
