"""The rules of a machine: what is seen, what is noted, what is started again, and how."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.kernel.errors import Conflict
from madang.machines.model import Installation, Machine, Medium, State
from madang.machines.rules import GONE, NOTHING, Sight, Step, decide, pending, plan_start
from madang.machines.settings import BOOT_ORDERS
from madang.machines.suggestions import suggestions
from tests.unit.machines.made import ISO, OTHER_ISO, T0, definition, machine, media, run, running, seen

PATIENCE = 60.0


def look(record: Machine, sight: Sight, now: float = T0) -> Machine:
    """The record after one look."""
    decision = decide(record, sight, now, PATIENCE)
    return msgspec.structs.replace(record, **decision.changes) if decision.step is not Step.NOTHING else record


# What is seen.


def test_what_is_as_it_was_is_not_noted_again():
    record = machine()
    assert decide(record, Sight(True, seen=seen(record)), T0, PATIENCE) == NOTHING


def test_a_run_is_noted_with_what_it_has_and_with_what_it_booted_from():
    record = machine(media=media(ISO))
    live = definition(record, boot_order="hd_cdrom", on_reboot="destroy")
    after = look(record, Sight(True, seen=seen(record, "running", live=live, boot_device="hd", agent=True)))
    assert after.state is State.RUNNING and after.run is not None
    assert (after.run.boot_order, after.run.kept, after.run.boot_device) == ("hd_cdrom", "cdrom_hd", "hd")
    assert after.run.agent and after.run.ends_at_restart and after.run.medium == ISO
    assert look(after, Sight(True, seen=seen(after, "running", live=live, boot_device="hd", agent=True))) == after


def test_a_lost_host_makes_its_machines_unknown_and_keeps_what_was_seen_last():
    record = running()
    lost = look(record, Sight(False, down_since=T0 - 3))
    assert lost.unknown_since == T0 - 3 and lost.state is State.RUNNING and lost.run == record.run
    assert decide(lost, Sight(False, down_since=T0 - 3), T0 + 9, PATIENCE) == NOTHING
    assert look(lost, Sight(True, seen=seen(record, "running"))).unknown_since is None


def test_a_definition_that_was_removed_is_said_and_comes_back_when_it_is_there_again():
    record = machine()
    gone = look(record, Sight(True, seen=None))
    assert gone.state is State.FAILED and gone.failure == GONE
    back = look(gone, Sight(True, seen=seen(record)))
    assert back.state is State.SHUT_OFF and back.failure is None


def test_one_that_is_being_made_is_left_alone():
    record = machine(state=State.CREATING)
    assert decide(record, Sight(True, seen=None), T0, PATIENCE) == NOTHING


def test_a_change_past_us_is_followed_and_said():
    record = machine(media=media(ISO))
    changed = machine(media=media(OTHER_ISO), boot_order="hd", cpus=4)
    after = look(record, Sight(True, seen=seen(changed)))
    assert (after.boot_order, after.media, after.cpus) == ("hd", media(OTHER_ISO), 4)
    assert set(after.outside) == {"boot_order", "media", "cpus"} and after.edition == record.edition + 1


def test_while_an_operation_is_at_work_nothing_is_taken_for_somebody_elses_doing():
    record = machine()
    after = look(record, Sight(True, seen=seen(machine(boot_order="hd")), busy=True))
    assert after.boot_order == "cdrom_hd" and not after.outside


def test_an_order_that_is_none_of_ours_is_kept_as_such():
    record = machine(adopted=True, boot_order=None)
    assert decide(record, Sight(True, seen=seen(record)), T0, PATIENCE) == NOTHING


@pytest.mark.parametrize("reason", ["crashed", "failed"])
def test_a_killed_qemu_is_a_crash_and_stays_one_until_the_next_start(reason: str):
    record = running()
    crashed = look(record, Sight(True, seen=seen(record, "shut_off", reason=reason)))
    assert crashed.state is State.CRASHED and crashed.run is None
    assert look(crashed, Sight(True, seen=seen(record, "shut_off", reason=reason))) == crashed


def test_what_could_not_be_written_is_said_until_it_goes_on():
    record = running(boot_order="hd", installation=Installation.INSTALLED)
    stuck = look(record, Sight(True, seen=seen(record, "paused", reason="ioerror")))
    assert [one.code for one in suggestions(stuck)] == ["write_failed"]
    assert not suggestions(look(stuck, Sight(True, seen=seen(record, "running"))))
    by_hand = look(record, Sight(True, seen=seen(record, "paused", reason="user")))
    assert by_hand.state is State.PAUSED and not suggestions(by_hand)


def test_a_guest_that_was_asked_to_shut_down_is_stopping_until_it_is_off_or_stays():
    asked = running(asked_off_at=T0, state=State.STOPPING)
    assert look(asked, Sight(True, seen=seen(asked, "running"))) == asked
    off = look(asked, Sight(True, seen=seen(asked, "shut_off", reason="shutdown")))
    assert off.state is State.SHUT_OFF and off.asked_off_at is None
    stays = asked
    for _ in range(2):
        stays = look(stays, Sight(True, seen=seen(asked, "running")), T0 + PATIENCE + 1)
    assert stays.state is State.RUNNING and stays.asked_off_at is None


# Installation.


def installing(**given: object) -> Machine:
    """An installer runs from its medium."""
    its = media(ISO)
    return running(
        **{
            "media": its,
            "run": run(media=its, boot_device="cdrom", ends_at_restart=True),
            "installation": Installation.INSTALLING,
            "installing_from": ISO,
        }
        | given
    )


@pytest.mark.parametrize("before", [Installation.NOT_INSTALLED, Installation.FAILED])
def test_what_really_booted_from_a_medium_is_installing(before: Installation):
    record = machine(media=media(ISO), installation=before)
    live = definition(record, on_reboot="destroy")
    after = look(record, Sight(True, seen=seen(record, "running", live=live, boot_device="cdrom")))
    assert after.installation is Installation.INSTALLING and after.installing_from == ISO


def test_what_booted_its_disk_is_not_installing_whatever_the_order_says():
    record = machine(media=media(ISO))
    after = look(record, Sight(True, seen=seen(record, "running", boot_device="hd")))
    assert after.installation is Installation.NOT_INSTALLED


def test_an_installed_machine_that_boots_a_medium_stays_installed():
    record = machine(media=media(ISO), installation=Installation.INSTALLED)
    after = look(record, Sight(True, seen=seen(record, "running", boot_device="cdrom")))
    assert after.installation is Installation.INSTALLED


def test_an_installation_whose_machine_crashes_has_failed():
    after = look(installing(), Sight(True, seen=seen(installing(), "shut_off", reason="crashed")))
    assert after.installation is Installation.FAILED


@pytest.mark.parametrize(
    ("reason", "status", "sign"),
    [("shutdown", Installation.INSTALLING, "restart"), ("crashed", Installation.FAILED, None)],
)
def test_a_run_that_was_over_before_anybody_saw_what_it_booted_from(
    reason: str, status: Installation, sign: str | None
):
    record = unseen()
    over = seen(record, reason=reason, boot_device="cdrom", booted_at=T0 + 3)
    after = look(record, Sight(True, seen=over))
    assert (after.installation, after.installing_from, after.sign) == (status, ISO, sign)


@pytest.mark.parametrize("since", [T0, None])
def test_what_the_run_before_booted_from_says_nothing_of_this_one(since: float | None):
    record = unseen(since=since)
    before = seen(record, reason="destroyed", boot_device="cdrom", booted_at=T0 - 60)
    assert look(record, Sight(True, seen=before)).installation is Installation.NOT_INSTALLED


def unseen(**given: object) -> Machine:
    """It was started with a medium, and nobody has looked since."""
    its = media(ISO)
    return running(media=its, run=run(media=its, ends_at_restart=True, **given))


# Nobody lands in the installer twice.


def test_the_installers_restart_ends_its_run_and_the_next_one_takes_the_disk_first_for_that_one_start():
    record = installing()
    decision = decide(record, Sight(True, seen=seen(record, "shut_off", reason="shutdown")), T0, PATIENCE)
    assert decision.step is Step.RESTART
    after = msgspec.structs.replace(record, **decision.changes)
    assert after.boot_order == "cdrom_hd", "the kept order is its owner's"
    assert (after.next_boot, after.next_boot_why, after.sign) == ("hd_cdrom", "installed", "restart")
    assert after.installation is Installation.INSTALLING, "that is offered, not done"
    assert plan_start(after).first == "hd_cdrom" and plan_start(after).on_reboot == "restart"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"asked_off_at": T0}, "shutdown"),  # its owner shut it down
        ({}, "destroyed"),  # somebody forced it off
        ({}, "crashed"),
    ],
)
def test_a_run_that_somebody_ended_is_not_begun_again(given: dict[str, object], reason: str):
    record = installing(**given)
    decision = decide(record, Sight(True, seen=seen(record, "shut_off", reason=reason)), T0, PATIENCE)
    assert decision.step is Step.NOTE and "next_boot" not in decision.changes


def test_a_guest_that_turned_itself_off_stays_off_and_its_next_start_takes_the_disk_first():
    record = installing()
    sight = Sight(True, seen=seen(record, "shut_off", reason="shutdown", ended_by="shutdown"))
    decision = decide(record, sight, T0, PATIENCE)
    assert decision.step is Step.NOTE
    after = msgspec.structs.replace(record, **decision.changes)
    assert (after.state, after.next_boot, after.sign) == (State.SHUT_OFF, "hd_cdrom", "restart")
    assert decide(after, sight, T0, PATIENCE).step is Step.NOTHING


def test_a_run_that_just_ends_is_not_taken_for_what_the_next_one_will_be():
    record = installing()
    ending = look(record, Sight(True, seen=seen(record, "stopping", since=None)))
    assert ending.state is State.STOPPING and ending.run == record.run
    assert decide(ending, Sight(True, seen=seen(record, reason="shutdown")), T0, PATIENCE).step is Step.RESTART


def test_a_restart_during_an_operation_is_seen_once_that_is_over():
    record = installing()
    sight = Sight(True, seen=seen(record, "shut_off", reason="shutdown"), busy=True)
    waiting = look(record, sight)
    assert waiting.run == record.run
    assert decide(waiting, msgspec.structs.replace(sight, busy=False), T0, PATIENCE).step is Step.RESTART


def test_a_portal_that_was_away_meanwhile_finds_out_by_the_record():
    record = installing(unknown_since=T0 - 50)
    decision = decide(record, Sight(True, seen=seen(record, "shut_off", reason="shutdown")), T0, PATIENCE)
    assert decision.step is Step.RESTART and decision.changes["unknown_since"] is None


@pytest.mark.parametrize("order", BOOT_ORDERS)
@pytest.mark.parametrize("medium", [None, ISO])
@pytest.mark.parametrize("status", Installation)
def test_how_each_order_is_started(order: str, medium: str | None, status: Installation):
    record = machine(boot_order=order, media=media(medium), installation=status)
    if order == "cdrom" and medium is None:
        with pytest.raises(Conflict) as refused:
            plan_start(record)
        assert refused.value.code == "no_medium"
        return
    plan = plan_start(record)
    assert plan.first is None
    every_time = order == "cdrom" and status is Installation.INSTALLED
    guarded = medium is not None and order in ("cdrom_hd", "cdrom") and not every_time
    assert plan.on_reboot == ("destroy" if guarded else "restart")


def test_the_cd_once_is_for_one_start_and_its_restart_goes_by_the_kept_order():
    record = machine(boot_order="hd", media=media(ISO), installation=Installation.INSTALLED, next_boot="cdrom")
    assert plan_start(record) == plan_start(record) and plan_start(record).first == "cdrom"
    assert plan_start(record).on_reboot == "destroy"
    its = run(media=media(ISO), boot_order="cdrom", kept="hd", boot_device="cdrom", ends_at_restart=True)
    rescued = running(boot_order="hd", media=media(ISO), installation=Installation.INSTALLED, run=its)
    decision = decide(rescued, Sight(True, seen=seen(rescued, "shut_off", reason="shutdown")), T0, PATIENCE)
    assert decision.step is Step.RESTART and "next_boot" not in decision.changes


# What is pending.


def test_an_order_that_was_changed_while_it_runs_is_pending():
    assert [(one.what, one.now, one.then) for one in pending(running(boot_order="hd"))] == [
        ("boot_order", "cdrom_hd", "hd")
    ]
    assert pending(running()) == () and pending(machine(boot_order="hd")) == ()


def test_hardware_that_was_changed_while_it_runs_is_pending():
    changed = running(cpus=2, memory_bytes=256 << 20, network="none")
    assert [(one.what, one.now, one.then) for one in pending(changed)] == [
        ("cpus", 1, 2),
        ("memory_bytes", 128 << 20, 256 << 20),
        ("network", "user", "none"),
    ]
    assert pending(running(network="none", run=run(network=None))) == (), "nobody noted what it began with"


def test_a_network_that_was_changed_past_us_is_followed_and_said():
    record = machine()
    changed = seen(record, live=definition(record, network="none"))
    changed = msgspec.structs.replace(changed, inactive=changed.definition)
    after = look(record, Sight(True, seen=changed))
    assert (after.network, after.outside, after.edition) == ("none", ("network",), record.edition + 1)


def test_a_start_by_another_order_leaves_nothing_pending():
    assert pending(running(run=run(boot_order="hd_cdrom", kept="cdrom_hd"))) == ()


# Independence, on whatever could be.

statuses = st.sampled_from(Installation)
orders = st.sampled_from(BOOT_ORDERS)
paths = st.sampled_from([None, ISO, OTHER_ISO])


@given(
    order=orders, status=statuses, first=paths, second=paths, device=st.sampled_from([None, "hd", "cdrom"]),
    state=st.sampled_from(["running", "paused", "shut_off", "crashed"]),
    reason=st.sampled_from(["", "shutdown", "destroyed", "crashed", "failed"]),
    begun=st.booleans(), busy=st.booleans(), guarded=st.booleans(),
)  # fmt: skip
def test_no_look_changes_an_order_or_media_and_a_second_look_sees_nothing_new(
    order, status, first, second, device, state, reason, begun, busy, guarded
):
    its = media(first, second)
    mine = run(media=its, boot_device=device, ends_at_restart=guarded, boot_order=order, kept=order)
    record = machine(boot_order=order, installation=status, media=its, run=mine if begun else None)
    live = definition(record, on_reboot="destroy" if guarded else "restart")
    sight = Sight(True, seen=seen(record, state, live=live, boot_device=device, reason=reason), busy=busy)
    after = look(record, sight)
    assert (after.boot_order, after.media, after.outside) == (order, its, ())
    if status in (Installation.INSTALLED, Installation.INSTALLING):
        assert after.installation in (status, Installation.FAILED)
        assert after.installation is status or status is Installation.INSTALLING
    twice = look(after, sight)
    assert twice == look(twice, sight)


def test_media_are_of_the_drives_in_their_order():
    assert machine(media=(Medium("sda", None), Medium("sdb", ISO))).has_medium
