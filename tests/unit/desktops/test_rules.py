"""The rules of a session, on whatever could be stored, seen and reported."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.compute.order import Report, Resources, Stage
from madang.compute.sight import Seen, Waiting
from madang.desktops import model, rules
from madang.desktops.failures import failure_of
from madang.desktops.model import Session, State, Terms
from madang.desktops.rules import Patience, Sight, Step, decide, finished, reported
from madang.kernel.errors import Failure

T0 = 1_000_000.0
PATIENCE = Patience(launch=3, start=30, silent=12, end=10)
RANK = {
    State.REQUESTED: 0, State.WAITING: 1, State.STARTING: 2, State.READY: 3, State.ENDING: 4, State.ENDED: 5,
    State.FAILED: 5,
}  # fmt: skip

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
    placed = launched and draw(st.booleans())
    queued = state is State.WAITING or draw(st.booleans())
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
        "launcher": "slurm" if queued else "local",
        "unknown_since": None,
        "job": "77" if placed and queued else None,
        "node": "here" if placed else None,
        "pid": draw(st.none() | st.just(4242)) if placed else None,
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
    if draw(st.booleans()):
        values |= {"unknown_since": draw(moments), "unknown_reason": draw(st.sampled_from(["agent", "scheduler"]))}
    return Session(**(values | given))


waits = st.builds(Waiting, reason=st.sampled_from(["resources", "priority"]))
# What a launcher may say, each on its own: it cannot tell, it waits, it runs, it is over.
seens = st.one_of(
    st.builds(Seen, alive=st.none(), silent=st.none() | moments),
    st.builds(Seen, alive=st.none(), waiting=waits, job=st.just("77")),
    st.builds(
        Seen, alive=st.just(True), job=st.none() | st.just("77"), started_at=maybe_moments, ends_at=maybe_moments
    ),
    st.builds(
        Seen,
        alive=st.just(False),
        end=st.none()
        | st.sampled_from(
            ["completed", "cancelled", "time_limit", "node_lost", "out_of_memory", "preempted", "failed", "gone"]
        ),
    ),
)
sights = st.builds(
    Sight,
    heard_at=moments,
    linked=st.booleans(),
    agent=st.none() | seens,
    launching=st.booleans(),
    idle_since=st.none() | moments,
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
            assert failure_of(decision.why, sight.agent).hint
        case Step.FINISH | Step.ASK_TO_END:
            assert decision.why
        case Step.NOTE:
            assert decision.changes
        case _:
            assert decision.why == ""


@given(sessions(state=State.ENDED) | sessions(state=State.FAILED), sights, moments, reports)
def test_a_session_never_leaves_its_end(session: Session, sight: Sight, now: float, report: Report):
    assert decide(session, sight, now, PATIENCE) == rules.NOTHING
    assert reported(session, report, now) == {}


@given(sessions(), sights, moments)
def test_nothing_is_decided_while_it_is_being_launched(session: Session, sight: Sight, now: float):
    assert decide(session, msgspec.structs.replace(sight, launching=True), now, PATIENCE) == rules.NOTHING


@given(
    session=sessions(state=State.READY, wanted=True, pid=4242, node="here", end_reason=None),
    sight=sights,
    silence=st.floats(0, 1e7),
    seen=st.none() | st.just(Seen(None)) | st.just(Seen(True)) | st.just(Seen(None, silent=T0)),
)
def test_what_is_only_silent_is_unknown_and_never_ended(session, sight, silence, seen):
    session = changed(session, {"ends_at": None})
    sight = msgspec.structs.replace(sight, agent=seen, launching=False)
    decision = decide(session, sight, sight.heard_at + silence, PATIENCE)
    assert decision.step in (Step.NOTHING, Step.NOTE)


@given(sessions(), sights, moments)
def test_an_agent_that_is_connected_is_never_held_for_dead(session: Session, sight: Sight, now: float):
    sight = msgspec.structs.replace(sight, linked=True, heard_at=now, launching=False)
    decision = decide(session, sight, now, PATIENCE)
    if decision.step in (Step.FAIL, Step.FINISH, Step.LAUNCH):
        assert decision.step is Step.FINISH and not session.wanted
        waits = sight.agent is not None and sight.agent.waiting is not None
        assert waits or (session.ending_at is not None and now - session.ending_at > PATIENCE.end)


@given(sessions(), sights, moments)
def test_nothing_is_launched_that_is_not_wanted_or_runs(session: Session, sight: Sight, now: float):
    if decide(session, sight, now, PATIENCE).step is Step.LAUNCH:
        assert session.wanted
        assert session.placement is None
        assert not sight.linked


@given(sessions(), sights, moments)
def test_what_is_noted_is_noted_once(session: Session, sight: Sight, now: float):
    for _ in range(4):
        decision = decide(session, sight, now, PATIENCE)
        if decision.step is not Step.NOTE:
            return
        assert changed(session, decision.changes) != session
        session = changed(session, decision.changes)
    raise AssertionError(decision)


@given(sessions(), moments, st.none() | st.booleans())
def test_every_session_that_nobody_answers_for_comes_to_its_end(session: Session, begin: float, process: bool | None):
    """From any record, with an agent that never answers: launched anew at most once, over in the end."""
    now, launches = begin, 0
    sight = Sight(heard_at=begin, linked=False, agent=None if process is None else Seen(process))
    session = changed(session, {"ends_at": session.ends_at or begin + 300})
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
                        "node": "here",
                        "pid": 1,
                        "folder": "/run/s1",
                    },
                )
            case Step.ASK_TO_END if session.wanted:
                ending = {"wanted": False, "state": State.ENDING, "ending_at": now, "end_reason": decision.why}
                session = changed(session, ending)
            case Step.FINISH:
                session = changed(session, finished(session, decision.why, now))
            case Step.FAIL:
                session = changed(session, finished(session, decision.why, now, failure_of(decision.why)))
            case Step.NOTE:
                session = changed(session, decision.changes)
        if session.over:
            break
        now += 3
    assert session.over
    assert launches <= 1


@given(sessions(), reports, moments)
def test_a_report_moves_a_session_forwards_only(session: Session, report: Report, now: float):
    after = changed(session, reported(session, report, now))
    assert RANK[after.state] >= RANK[session.state]
    assert after.over == session.over or after.waiting is None
    assert session.wanted or not after.wanted
    assert after.over == (after.ended_at is not None)
    if after.state is not State.ENDING:  # on its way to an end that is a failure
        assert (after.state is State.FAILED) == (after.failure is not None)
    else:
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
    requested = ready(state=State.REQUESTED, node=None, pid=None, launched_at=None, ends_at=None)
    unseen = Sight(heard_at=T0, linked=False)
    assert decide(requested, unseen, T0 + 1, PATIENCE).step is Step.NOTHING
    assert decide(requested, unseen, T0 + 4, PATIENCE).step is Step.LAUNCH


ALIVE, DEAD, DARK = Seen(True), Seen(False), Seen(None)
UNKNOWN = {"unknown_since": T0, "unknown_reason": "agent"}
ENDING = {"state": State.ENDING, "wanted": False, "ending_at": T0}


@pytest.mark.parametrize(
    ("session", "sight", "after", "step", "why"),
    [
        (ready(), Sight(T0, True), 5, Step.NOTHING, ""),
        (ready(), Sight(T0, True), 13, Step.NOTE, "sight"),
        (ready(), Sight(T0, False, ALIVE), 13, Step.NOTE, "sight"),
        (ready(), Sight(T0, False, DARK), 13, Step.NOTE, "sight"),
        (ready(), Sight(T0, False, DEAD), 1, Step.FAIL, "agent_lost"),
        (ready(**UNKNOWN), Sight(T0 + 20, True), 21, Step.NOTE, "sight"),
        (ready(**UNKNOWN), Sight(T0, False, DEAD), 99, Step.FAIL, "agent_lost"),
        (ready(), Sight(T0 + 3599, True), 3601, Step.ASK_TO_END, "time_limit"),
        (ready(**UNKNOWN), Sight(T0, False, DARK), 3601, Step.ASK_TO_END, "time_limit"),
        (ready(state=State.STARTING), Sight(T0, False, ALIVE), 29, Step.NOTHING, ""),
        (ready(state=State.STARTING), Sight(T0, False, ALIVE), 31, Step.FAIL, "start_timeout"),
        (ready(state=State.STARTING), Sight(T0 + 20, True), 31, Step.NOTHING, ""),
        (ready(**ENDING), Sight(T0, True), 5, Step.ASK_TO_END, "asked"),
        (ready(**ENDING), Sight(T0, True), 11, Step.FINISH, "asked"),
        (ready(**ENDING), Sight(T0, False, DEAD), 1, Step.FINISH, "asked"),
    ],
)
def test_what_is_decided(session: Session, sight: Sight, after: float, step: Step, why: str):
    decision = decide(session, sight, T0 + after, PATIENCE)
    assert (decision.step, decision.why) == (step, why)


def test_silence_is_noted_with_whose_it_is_and_taken_back():
    silent = decide(ready(), Sight(T0, True), T0 + 13, PATIENCE)
    assert silent.changes == {"unknown_since": T0, "unknown_reason": "agent"}
    dark = decide(ready(), Sight(T0 + 13, True, Seen(True, silent=T0)), T0 + 13, PATIENCE)
    assert dark.changes == {"unknown_since": T0, "unknown_reason": "scheduler"}
    heard = decide(ready(**UNKNOWN), Sight(T0 + 20, True), T0 + 21, PATIENCE)
    assert heard.changes == {"unknown_since": None, "unknown_reason": None}


def queued(**values: object) -> Session:
    base = {"state": State.WAITING, "launcher": "slurm", "job": "77", "node": None, "pid": None, "ready_at": None}
    return ready(**(base | {"ends_at": None, "display": None} | values))


def test_a_job_that_waits_says_why_and_begins():
    wait = Waiting("resources", "Resources", "viz", T0 + 60, 2)
    waiting = decide(queued(), Sight(T0, False, Seen(None, waiting=wait, job="77")), T0 + 1, PATIENCE)
    assert (waiting.why, waiting.changes) == ("moved", {"waiting": wait})
    runs = Seen(True, job="77", node="n1", host="10.0.0.1", started_at=T0 + 60, ends_at=T0 + 3660)
    begun = changed(
        queued(waiting=wait), decide(queued(waiting=wait), Sight(T0, False, runs), T0 + 61, PATIENCE).changes
    )
    assert (begun.state, begun.waiting, begun.node, begun.host) == (State.STARTING, None, "n1", "10.0.0.1")
    assert (begun.started_at, begun.ends_at) == (T0 + 60, T0 + 3660)
    assert begun.stages[-1] == Stage("agent", T0 + 60)


def test_a_job_that_its_scheduler_starts_anew_waits_again():
    wait = Waiting("begin_time", "BeginTime")
    running = ready(launcher="slurm", job="77", host="h", door_port=5, stages=(Stage("request", T0, 0.1),))
    speaks = decide(running, Sight(T0 + 8, True, Seen(None, waiting=wait)), T0 + 9, PATIENCE)
    assert speaks.step is Step.NOTHING, "a look at the queue that is older than what its agent just said"
    again = changed(running, decide(running, Sight(T0, False, Seen(None, waiting=wait)), T0 + 9, PATIENCE).changes)
    assert (again.state, again.restarts, again.node, again.host, again.door_port) == (
        State.WAITING,
        1,
        None,
        None,
        None,
    )
    assert again.ends_at is None
    old = Report(state="ready", pid=4242, pid_started=99, node="here", display=1)
    assert reported(again, old, T0 + 10) == {}  # of the node that was lost


@pytest.mark.parametrize(
    ("end", "step", "why"),
    [
        ("cancelled", Step.FINISH, "job_cancelled"),
        ("time_limit", Step.FINISH, "time_limit"),
        ("node_lost", Step.FAIL, "node_lost"),
        ("out_of_memory", Step.FAIL, "out_of_memory"),
        ("gone", Step.FAIL, "job_gone"),
        ("completed", Step.FAIL, "agent_lost"),
    ],
)
def test_how_a_job_ended_is_how_its_session_ended(end: str, step: Step, why: str):
    decision = decide(queued(), Sight(T0, False, Seen(False, end=end)), T0 + 1, PATIENCE)  # type: ignore[arg-type]
    assert (decision.step, decision.why) == (step, why)


def idle(**values: object) -> Session:
    terms = Terms(Resources(time_limit_seconds=3600), longest_seconds=7200, idle_stop_seconds=900)
    return ready(terms=terms, ready_at=T0, **values)


def test_an_idle_desktop_is_warned_kept_or_stopped():
    quiet = Sight(T0 + 700, True, idle_since=T0)
    fresh = msgspec.structs.replace(quiet, heard_at=T0 + 900)
    assert decide(idle(), msgspec.structs.replace(quiet, heard_at=T0 + 590), T0 + 599, PATIENCE).step is Step.NOTHING
    warned = decide(idle(), quiet, T0 + 700, PATIENCE)
    assert (warned.why, warned.changes) == ("idle_warning", {"idle_warned_at": T0 + 700})
    told = idle(idle_warned_at=T0 + 700)
    assert decide(told, fresh, T0 + 901, PATIENCE).step is Step.NOTHING  # the whole warning is theirs
    later = msgspec.structs.replace(fresh, heard_at=T0 + 1001)
    assert decide(told, later, T0 + 1001, PATIENCE) == rules.Decision(Step.ASK_TO_END, "idle")
    kept = idle(kept_at=T0 + 800, idle_warned_at=None)
    assert decide(kept, fresh, T0 + 901, PATIENCE).step is Step.NOTHING
    moved = msgspec.structs.replace(fresh, idle_since=T0 + 890)
    assert decide(told, moved, T0 + 901, PATIENCE).changes == {"idle_warned_at": None}


def test_a_short_idle_time_is_warned_of_once():
    terms = Terms(Resources(time_limit_seconds=3600), longest_seconds=7200, idle_stop_seconds=60)
    told = ready(terms=terms, ready_at=T0, idle_warned_at=T0 + 31)
    for second in (32, 45, 60):
        sight = Sight(T0 + second, True, idle_since=T0)
        assert decide(told, sight, T0 + second, PATIENCE).step is Step.NOTHING
    over = Sight(T0 + 62, True, idle_since=T0)
    assert decide(told, over, T0 + 62, PATIENCE) == rules.Decision(Step.ASK_TO_END, "idle")


def test_one_of_the_pool_is_not_stopped_for_idleness():
    assert decide(idle(pooled_until=T0 + 9999), Sight(T0 + 3000, True, idle_since=T0), T0 + 3000, PATIENCE).why == ""


def test_what_can_be_extended_and_until_when():
    assert rules.extendable_until(ready()) is None  # of before there were terms
    session = idle(started_at=T0)
    assert rules.extendable_until(session) == T0 + 7200
    assert rules.extendable_until(changed(session, {"ends_at": T0 + 7200})) is None
    assert rules.extendable_until(changed(session, {"wanted": False})) is None


def test_the_first_report_of_readiness_sets_its_time_and_keeps_the_portals_own_stage():
    session = ready(state=State.STARTING, ready_at=None, stages=(Stage("request", T0, 0.1), Stage("agent", T0)))
    report = Report(state="ready", pid=4242, pid_started=99, node="here", display=1, stages=[Stage("agent", T0, 0.4)])
    after = changed(session, reported(session, report, T0 + 2))
    assert (after.state, after.ready_at) == (State.READY, T0 + 2)
    assert after.stages == (Stage("request", T0, 0.1), Stage("agent", T0, 0.4))


def test_why_an_agent_fails_is_kept_though_its_last_report_never_comes():
    failure = Failure("display_lost", "The display is gone.", "", "")
    ending = Report(state="ending", pid=4242, pid_started=99, node="here", end_reason="failed", failure=failure)
    session = changed(ready(), reported(ready(), ending, T0 + 2))
    assert (session.state, session.failure) == (State.ENDING, failure)
    assert decide(session, Sight(T0 + 2, False, DEAD), T0 + 3, PATIENCE).step is Step.FINISH
    assert finished(session, "failed", T0 + 3, session.failure)["state"] is State.FAILED


def test_there_is_a_door_from_the_display_on_until_the_end():
    assert ready(state=State.STARTING).has_door
    assert not ready(display=None).has_door
    assert not ready(state=State.ENDED).has_door
