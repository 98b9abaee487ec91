"""Coming in and going out."""

import asyncio
import time

import pytest

from madang.identity.audit import Audit
from madang.identity.entrance import Entrance, WrongCredentials
from madang.identity.links import LinkInvalid
from madang.identity.passwords import Passwords
from madang.identity.settings import IdentitySettings
from madang.identity.sign_ins import Device
from madang.kernel.errors import Conflict, InvalidInput, NotFound, NotSignedIn, TooManyAttempts
from tests.unit.identity.identity_house import HERE, OPERATOR, PASSWORD, House, cookie


async def signed_in(house: House, value: str) -> bool:
    try:
        await house.sign_on.visitor(cookie(value), method="GET", address="")
    except NotSignedIn:
        return False
    return True


async def test_name_and_password_let_in(house: House) -> None:
    await house.person()
    came = await house.entrance.sign_in("  KIM ", PASSWORD, Device("192.0.2.7", "Test\n/1.0" + "x" * 300))
    assert came.visitor.person.last_sign_in_at
    assert await signed_in(house, came.cookie)
    (own,) = await house.entrance.sign_ins_of(came.visitor)
    assert (own["address"], own["user_agent"][:8], len(own["user_agent"])) == ("192.0.2.7", "Test/1.0", 200)


async def test_unknown_wrong_disabled_and_unset_are_not_told_apart(house: House) -> None:
    await house.person("boss", "admin")
    await house.person("kim")
    off = await house.person("off")
    await house.people.change(OPERATOR, off.id, disabled=True)
    await house.person("new", password=None)
    answers = set()
    for name, password in (
        ("nobody", PASSWORD),
        ("kim", "wrong"),
        ("off", PASSWORD),
        ("new", ""),
        ("\0\ud800", "\ud800"),
    ):
        with pytest.raises(WrongCredentials) as caught:
            await house.sign_in(name, password)
        answers.add(str(caught.value.problem()))
    assert len(answers) == 1


async def test_a_lock_stops_new_tries_only(house: House) -> None:
    await house.person()
    inside = await house.sign_in()
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await house.sign_in(password="wrong")
    with pytest.raises(TooManyAttempts) as caught:
        await house.sign_in()
    assert caught.value.retry_after and 0 < caught.value.retry_after <= 60
    assert await signed_in(house, inside.cookie), "an attacker does not get the victim out"
    link = await house.people.make_link(OPERATOR, inside.visitor.person.id)
    await house.entrance.redeem(link.partition("#")[2], HERE)
    await house.sign_in()
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await house.sign_in("nobody-at-all")
    with pytest.raises(TooManyAttempts):
        await house.sign_in("nobody-at-all")


async def test_a_burst_gets_no_more_tries(house: House) -> None:
    await house.person()
    outcomes = await asyncio.gather(*(house.sign_in(password=f"wrong{n}") for n in range(40)), return_exceptions=True)
    tried = [outcome for outcome in outcomes if isinstance(outcome, WrongCredentials)]
    assert 5 <= len(tried) <= 7
    assert all(isinstance(outcome, WrongCredentials | TooManyAttempts) for outcome in outcomes)


async def test_a_new_sign_in_ends_the_one_it_replaces(house: House) -> None:
    await house.person()
    first, other = await house.sign_in(), await house.sign_in()
    header = f"madang_sign_in={first.cookie}"
    again = await house.entrance.sign_in("kim", PASSWORD, HERE, header)
    assert again.visitor.sign_in != first.visitor.sign_in
    assert [await signed_in(house, each.cookie) for each in (first, other, again)] == [False, True, True]
    forged = f"madang_sign_in={other.visitor.sign_in}.guess"
    await house.entrance.sign_in("kim", PASSWORD, HERE, forged)
    assert await signed_in(house, other.cookie), "an id alone ends nothing"


async def test_links_work_once_whoever_is_first(house: House) -> None:
    person = await house.person()
    token = (await house.people.make_link(OPERATOR, person.id)).partition("#")[2]
    outcomes = await asyncio.gather(*(house.entrance.redeem(token, HERE) for _ in range(5)), return_exceptions=True)
    assert sorted(isinstance(outcome, LinkInvalid) for outcome in outcomes) == [False, True, True, True, True]


async def test_links_end(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    person = await house.person()
    replaced = (await house.people.make_link(OPERATOR, person.id)).partition("#")[2]
    link = await house.people.make_link(OPERATOR, person.id)
    assert link.startswith("http://127.0.0.1:8080/welcome#")
    clock.forward(hours=25)
    for token in (replaced, link.partition("#")[2], "", "\0", "\ud800", "x" * 500):
        with pytest.raises(LinkInvalid):
            await house.entrance.redeem(token, HERE)


async def test_the_first_password_needs_no_current_one(house: House) -> None:
    _, link = await house.people.add(OPERATOR, "lee", roles=("member",))
    came = await house.entrance.redeem(link.partition("#")[2], HERE)
    assert came.visitor.must_set_password
    with pytest.raises(InvalidInput) as caught:
        await house.entrance.set_password(came.visitor, None, "short")
    assert caught.value.code == "password_weak"
    await house.entrance.set_password(came.visitor, None, PASSWORD)
    assert not (await house.sign_in("lee")).visitor.must_set_password


async def test_a_new_password_ends_other_sign_ins_and_renews_this_one(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    person = await house.person()
    mine, other = await house.sign_in(), await house.sign_in()
    link = (await house.people.make_link(OPERATOR, person.id)).partition("#")[2]
    for current in (None, "", "wrong"):
        with pytest.raises(InvalidInput) as caught:
            await house.entrance.set_password(mine.visitor, current, "another fine sentence")
        assert caught.value.code == "wrong_password"
    with pytest.raises(InvalidInput):
        await house.entrance.set_password(mine.visitor, PASSWORD, PASSWORD)
    house.events.clear()
    fresh, seconds = await house.entrance.set_password(mine.visitor, PASSWORD, "another fine sentence")
    assert seconds > 0
    assert house.events == [("person.signed_out", {"person": person.id, "sign_in": other.visitor.sign_in})]
    assert [await signed_in(house, value) for value in (mine.cookie, fresh, other.cookie)] == [True, True, False]
    clock.forward(seconds=61)
    assert [await signed_in(house, value) for value in (mine.cookie, fresh)] == [False, True]
    with pytest.raises(LinkInvalid):
        await house.entrance.redeem(link, HERE)
    await house.sign_in(password="another fine sentence")


async def test_guessing_the_current_password_is_limited_too(house: House) -> None:
    await house.person()
    mine = await house.sign_in()
    for _ in range(5):
        with pytest.raises(InvalidInput):
            await house.entrance.set_password(mine.visitor, "wrong", "another fine sentence")
    with pytest.raises(TooManyAttempts):
        await house.entrance.set_password(mine.visitor, PASSWORD, "another fine sentence")
    await house.sign_in()


async def test_two_changes_at_once_leave_one_password(house: House) -> None:
    await house.person()
    mine = await house.sign_in()
    changes = (house.entrance.set_password(mine.visitor, PASSWORD, f"fine sentence {n}") for n in range(2))
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    # One that only begins when the other is done has a wrong password by then.
    assert sum(isinstance(outcome, Conflict | InvalidInput) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1


async def test_going_out(house: House) -> None:
    person = await house.person()
    await house.person("lee")
    first, second, third = [await house.sign_in() for _ in range(3)]
    lee = await house.sign_in("lee")
    house.events.clear()
    await house.entrance.sign_out(first.visitor)
    assert house.events == [("person.signed_out", {"person": person.id, "sign_in": first.visitor.sign_in})]
    with pytest.raises(NotFound):
        assert lee.visitor.sign_in
        await house.entrance.end_sign_in(second.visitor, lee.visitor.sign_in)
    assert third.visitor.sign_in
    await house.entrance.end_sign_in(second.visitor, third.visitor.sign_in)
    assert [await signed_in(house, each.cookie) for each in (first, second, third, lee)] == [False, True, False, True]
    await house.entrance.sign_out_everywhere(second.visitor)
    assert house.events[-1] == ("person.signed_out", {"person": person.id, "sign_in": None})
    assert [await signed_in(house, each.cookie) for each in (second, lee)] == [False, True]


async def test_the_trail_has_no_secret_and_no_mistyped_name(house: House) -> None:
    person = await house.person()
    for name, password in (("kim", "wrong guess one"), ("my real password", "x")):
        with pytest.raises(WrongCredentials):
            await house.sign_in(name, password)
    came = await house.sign_in()
    link = await house.people.make_link(OPERATOR, person.id)
    await house.settled()
    trail = str(await Audit(house.ground).newest(100))
    for secret in (
        PASSWORD,
        "wrong guess one",
        "my real password",
        came.cookie.partition(".")[2],
        link.partition("#")[2],
    ):
        assert secret not in trail
    refused = [entry for entry in await Audit(house.ground).newest(100) if entry.outcome == "refused"]
    assert sorted(entry.person_name for entry in refused) == ["kim", "unknown"]


async def test_stronger_hashing_is_taken_up_at_the_next_sign_in(house: House) -> None:
    await house.person()
    stronger = Entrance(house.ground, Passwords(IdentitySettings(hash_memory_kib=16, hash_rounds=2)))
    await stronger.sign_in("kim", PASSWORD, HERE)
    await house.settled()
    async with house.ground.database.read() as connection:
        stored = (await connection.exec_driver_sql("SELECT password FROM people")).scalar()
    assert "m=16,t=2" in str(stored)
    await house.sign_in()


async def test_wiped_live_state_keeps_nobody_out(house: House) -> None:
    await house.person()
    came = await house.sign_in()
    for file in house.ground.state_folder.glob("live.sqlite3*"):
        file.unlink()
    assert await signed_in(house, came.cookie)
    await house.sign_in()


@pytest.mark.parametrize("ground", [{"MADANG_DATABASE_BUSY_SECONDS": "5.0"}], indirect=True)
async def test_a_refusal_is_answered_while_the_database_is_held(house: House, hold_database) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    with hold_database():
        begin = time.perf_counter()
        with pytest.raises(WrongCredentials):
            await house.sign_in(password="wrong")
        assert time.perf_counter() - begin < 5, "it would have waited so long"
    await house.settled()
    assert (await Audit(house.ground).newest(1))[0].outcome == "refused"
