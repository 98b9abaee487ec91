"""People and what is done with them; the first administrator; upkeep; the audit trail."""

import asyncio
import time

import pytest

from madang.identity import people as people_room
from madang.identity.audit import Audit
from madang.identity.background import background_of
from madang.identity.people import first_administrator
from madang.identity.tokens import Tokens
from madang.identity.upkeep import clean_up
from madang.kernel.errors import Conflict, InvalidInput, LimitReached, NotFound
from madang.kernel.ground import Ground
from tests.unit.identity.identity_house import HERE, OPERATOR, PASSWORD, House, make_ground


async def test_adding_a_person(house: House) -> None:
    person, link = await house.people.add(OPERATOR, "lee", display_name=" 이민호 ", roles=("student", "student"))
    assert (person.name, person.display_name, person.roles, person.disabled) == ("lee", "이민호", ("student",), False)
    assert "#" in link
    with pytest.raises(Conflict) as caught:
        await house.people.add(OPERATOR, "lee", roles=("member",))
    assert caught.value.code == "name_taken"
    with pytest.raises(InvalidInput):
        await house.people.add(OPERATOR, "Lee", roles=("member",))
    assert [each.name for each in await house.people.all()] == ["lee"]


async def test_one_of_two_who_add_the_same_name_wins(house: House) -> None:
    adding = (house.people.add(OPERATOR, "lee", roles=("member",)) for _ in range(4))
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3


async def test_the_last_administrator_stays(house: House) -> None:
    boss = await house.person("boss", "admin")
    deputy = await house.person("deputy", "admin")
    await house.people.change(OPERATOR, deputy.id, disabled=True)
    for change in ({"disabled": True}, {"roles": ("operator",)}):
        with pytest.raises(Conflict) as caught:
            await house.people.change(OPERATOR, boss.id, **change)  # type: ignore[arg-type]
        assert caught.value.code == "last_administrator" and caught.value.hint
    assert not (await house.people.get(boss.id)).disabled
    await house.people.change(OPERATOR, boss.id, display_name="Boss")
    await house.people.change(OPERATOR, deputy.id, disabled=False)
    await house.people.change(OPERATOR, boss.id, roles=("member",))
    assert (await house.people.an_administrator()).name == "deputy"


async def test_two_administrators_cannot_put_each_other_out(house: House) -> None:
    people = [await house.person(name, "admin") for name in ("boss", "deputy")]
    changes = (house.people.change(OPERATOR, person.id, disabled=True) for person in people)
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


async def test_changes_are_told(house: House) -> None:
    await house.person("boss", "admin")
    person = await house.person()
    house.events.clear()
    await house.people.change(OPERATOR, person.id, roles=("teacher",))
    assert house.events == [("person.changed", {"person": person.id})]
    house.events.clear()
    await house.people.change(OPERATOR, person.id, disabled=True)
    assert [name for name, _ in house.events] == ["person.changed", "person.disabled"]
    house.events.clear()
    await house.people.change(OPERATOR, person.id, disabled=True)
    assert "person.disabled" not in [name for name, _ in house.events]
    with pytest.raises(NotFound):
        await house.people.change(OPERATOR, "nobody\0", disabled=True)


async def test_a_reset_ends_everything_of_the_old_password(house: House) -> None:
    person = await house.person()
    came = await house.sign_in()
    house.events.clear()
    link = await house.people.reset_password(OPERATOR, person.id)
    assert house.events == [("person.signed_out", {"person": person.id, "sign_in": None})]
    assert not await house.sign_on.still(came.visitor)
    with pytest.raises(Exception, match="nobody with this name and password"):
        await house.sign_in()
    again = await house.entrance.redeem(link.partition("#")[2], HERE)
    assert again.visitor.must_set_password
    await house.entrance.set_password(again.visitor, None, PASSWORD)
    await house.sign_in()


async def test_no_links_for_the_disabled(house: House) -> None:
    await house.person("boss", "admin")
    person = await house.person()
    await house.people.change(OPERATOR, person.id, disabled=True)
    for ask in (house.people.make_link, house.people.reset_password):
        with pytest.raises(Conflict) as caught:
            await ask(OPERATOR, person.id)
        assert caught.value.code == "person_disabled"


async def test_changing_oneself(house: House) -> None:
    await house.person()
    visitor = (await house.sign_in()).visitor
    changed = await house.people.change_self(visitor, language="ko", display_name="김")
    assert (changed.language, changed.display_name) == ("ko", "김")
    assert (await house.people.change_self(visitor)).version == changed.version
    assert (await house.people.change_self(visitor, language=None)).language is None
    with pytest.raises(InvalidInput):
        await house.people.change_self(visitor, display_name="a\u202eb")


@pytest.mark.parametrize("ground", [{"MADANG_IDENTITY_TOKENS_PER_PERSON": "2"}], indirect=True)
async def test_tokens_belong_to_their_person_and_are_limited(house: House) -> None:
    await house.person()
    await house.person("lee")
    tokens, kim, lee = Tokens(house.ground), (await house.sign_in()).visitor, (await house.sign_in("lee")).visitor
    token, secret = await tokens.make(kim, "one", 30)
    assert token.expires_at and abs(token.expires_at - time.time() - 30 * 86400) < 60
    assert secret.startswith(f"mdg_{token.id}_")
    forever, _ = await tokens.make(kim, "two", None)
    assert forever.expires_at, "the site's longest"
    with pytest.raises(LimitReached):
        await tokens.make(kim, "three", 1)
    with pytest.raises(InvalidInput):
        await tokens.make(lee, "long", 366)
    with pytest.raises(NotFound):
        await tokens.revoke(lee, token.id)
    assert {each.name for each in await tokens.of(kim)} == {"one", "two"}
    lent, text = await tokens.lend(lee.person, "command line", 60)
    assert (await house.sign_on.visitor({"authorization": f"Bearer {text}"}, method="GET", address="")).token == lent.id
    await tokens.give_back(lent.id)
    assert await tokens.of(lee) == []


async def test_the_first_administrator_gets_links_until_a_password_is_set(house: House) -> None:
    links = [await first_administrator(house.ground) for _ in range(2)]
    assert all(links) and links[0] != links[1]
    admin = await house.people.by_name("admin")
    assert admin.roles == ("admin",)
    assert links[1]
    came = await house.entrance.redeem(links[1].partition("#")[2], HERE)
    assert await first_administrator(house.ground), "let in, but no password yet"
    await house.entrance.set_password(came.visitor, None, PASSWORD)
    assert await first_administrator(house.ground) is None
    await house.people.reset_password(OPERATOR, admin.id)
    assert await first_administrator(house.ground) is None, "a reset is not a first time"


async def test_two_processes_agree_on_one_first_administrator(house: House) -> None:
    links = await asyncio.gather(*(first_administrator(house.ground) for _ in range(3)))
    assert len(await house.people.all()) == 1
    assert any(links)


async def test_a_site_with_people_and_no_administrator_gets_no_link(house: House) -> None:
    await house.person()
    assert await first_administrator(house.ground) is None


@pytest.mark.parametrize(("caller", "account"), [("kim", "kim"), ("root", "admin"), ("", "admin"), ("daemon", "admin")])
async def test_as_root_the_first_administrator_is_who_called_sudo(
    house: House, monkeypatch: pytest.MonkeyPatch, caller: str, account: str
) -> None:
    async def settle(_self: object, wanted: str | None, name: str, *, create: bool) -> str:
        return wanted or name

    monkeypatch.setenv("SUDO_USER", caller)
    monkeypatch.setattr("madang.identity.people.as_root", lambda: True)
    monkeypatch.setattr("madang.identity.accounts.as_root", lambda: True)
    monkeypatch.setattr("madang.identity.accounts.Accounts.settle", settle)
    monkeypatch.setattr(people_room, "ordinary", lambda name: name == "kim")
    assert await first_administrator(house.ground)
    assert (await house.people.by_name("admin")).account == account


async def test_without_an_account_there_is_still_an_administrator(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def settle(*_: object, **__: object) -> str:
        raise InvalidInput("no account")

    monkeypatch.setattr("madang.identity.accounts.Accounts.settle", settle)
    assert await first_administrator(house.ground)
    assert (await house.people.by_name("admin")).roles == ("admin",)


async def test_clean_up_removes_what_is_over_and_says_so(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    visitor = (await house.sign_in()).visitor
    await Tokens(house.ground).make(visitor, "short", 1)
    await clean_up(house.ground)
    assert await clean_up(house.ground) == ""
    clock.forward(days=8)
    assert await clean_up(house.ground) == "Removed 1 sign-ins, 1 API tokens."
    clock.forward(days=400)
    assert "audit trail" in await clean_up(house.ground)
    assert await Audit(house.ground).newest(10) == []


async def test_a_change_and_its_entry_stand_or_fall_together(house: House) -> None:
    boss = await house.person("boss", "admin")
    before = await Audit(house.ground).newest(100)
    with pytest.raises(Conflict):
        await house.people.change(OPERATOR, boss.id, disabled=True)
    assert await Audit(house.ground).newest(100) == before


async def test_the_trail_is_read_in_pages(house: House) -> None:
    audit = Audit(house.ground)
    person = await house.person()
    for number in range(5):
        await audit.record("desktop.create", person=person, object=f"s{number}", address="192.0.2.1")
    await house.settled()
    page = await audit.newest(2)
    assert [entry.object for entry in page] == ["s4", "s3"]
    assert [entry.object for entry in await audit.newest(2, page[-1].id)] == ["s2", "s1"]
    assert (page[0].person_name, page[0].outcome, page[0].address) == ("kim", "done", "192.0.2.1")


async def test_entries_that_cannot_be_kept_go_to_the_log(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person, said = await house.person(), []
    monkeypatch.setattr("madang.identity.background.Background.MOST", 0)
    monkeypatch.setattr("madang.identity.audit.log.error", lambda event, **more: said.append(more), raising=False)
    await Audit(house.ground).record("desktop.create", person=person, object="s1")
    assert said == [{"person": "kim", "action": "desktop.create", "object": "s1", "outcome": "done", "address": ""}]


@pytest.mark.parametrize("ground", [{"MADANG_DATABASE_BUSY_SECONDS": "0.5"}], indirect=True)
async def test_a_stop_does_not_wait_for_another_writer(  # type: ignore[no-untyped-def]
    house: House, hold_database, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, said = await house.person(), []
    monkeypatch.setattr("madang.identity.audit.log.error", lambda event, **more: said.append(more), raising=False)
    monkeypatch.setattr("madang.identity.background.Background.STOP_SECONDS", 0.2)
    await house.settled()
    with hold_database():
        begin = time.perf_counter()
        await Audit(house.ground).record("desktop.create", person=person, object="s1")
        await background_of(house.ground).stop()
        assert time.perf_counter() - begin < 5, "20 tries would take half a minute"
    assert [entry["object"] for entry in said] == ["s1"]


async def test_grounds_do_not_share(house: House, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two grounds in one process do not share what is written in the background."""
    other: Ground = await make_ground(tmp_path_factory.mktemp("other"), {})
    await other.start()
    await Audit(other).record("elsewhere", person=None)
    await house.settled()
    assert "elsewhere" not in str(await Audit(house.ground).newest(10))
    await other.stop()
