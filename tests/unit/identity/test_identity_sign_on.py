"""Who makes a request: cookies, their rotation, CSRF, origins, API tokens."""

import time

import pytest

from madang.identity.sign_on import CsrfTokenWrong, SignOn
from madang.identity.tokens import Tokens
from madang.kernel.errors import Forbidden, NotSignedIn
from madang.kernel.origins import ForeignOrigin
from tests.unit.identity.identity_house import HERE, OPERATOR, House, cookie

SHORT = {"MADANG_IDENTITY_ROTATE_MINUTES": "10", "MADANG_IDENTITY_ROTATE_OVERLAP_SECONDS": "60"}


async def get(house: House, value: str):  # type: ignore[no-untyped-def]
    return await house.sign_on._identify(cookie(value), "GET", "192.0.2.7")


async def test_a_cookie_names_its_person(house: House) -> None:
    person = await house.person("kim", "teacher")
    signed_in = await house.sign_in()
    visitor = await house.sign_on.visitor(cookie(signed_in.cookie), method="GET", address="192.0.2.7")
    assert (visitor.person.id, visitor.via, visitor.sign_in) == (person.id, "cookie", signed_in.visitor.sign_in)
    assert visitor.may("desktops.use") and not visitor.may("people.manage")
    assert not visitor.must_set_password
    assert signed_in.cookie not in repr(visitor)


async def test_what_is_no_sign_in_is_refused(house: House) -> None:
    await house.person()
    value = (await house.sign_in()).cookie
    sign_in, _, secret = value.partition(".")
    wrong = [
        "",
        "x",
        f"{sign_in}.",
        f"{sign_in}.x",
        f"{sign_in}.{secret[:-1]}",
        f"other.{secret}",
        "\xff\xfe.\0",
        "a'--.b",
    ]
    for each in wrong:
        with pytest.raises(NotSignedIn):
            await get(house, each)
    with pytest.raises(NotSignedIn):
        await house.sign_on.visitor({}, method="GET", address="")


async def test_unsafe_methods_need_the_csrf_token_and_this_site(house: House) -> None:
    await house.person()
    signed_in = await house.sign_in()
    token = house.sign_on.csrf_token(signed_in.visitor)
    headers = cookie(signed_in.cookie)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for wrong in ({}, {"x-csrf-token": ""}, {"x-csrf-token": token + "x"}, {"x-csrf-token": "\xff\xe9"}):
            with pytest.raises(CsrfTokenWrong):
                await house.sign_on.visitor(headers | wrong, method=method, address="")
        right = headers | {"x-csrf-token": token}
        await house.sign_on.visitor(right, method=method, address="")
        await house.sign_on.visitor(right | {"origin": "http://127.0.0.1:8080"}, method=method, address="")
        with pytest.raises(ForeignOrigin):
            await house.sign_on.visitor(right | {"origin": "http://evil.example"}, method=method, address="")
    other = await house.sign_in()
    with pytest.raises(CsrfTokenWrong):
        await house.sign_on.visitor(cookie(other.cookie) | {"x-csrf-token": token}, method="POST", address="")


async def test_sockets_need_the_origin_of_this_site(house: House) -> None:
    await house.person()
    headers = cookie((await house.sign_in()).cookie)
    for wrong in ({}, {"origin": "null"}, {"origin": "http://evil.example"}, {"origin": "http://127.0.0.1:9"}):
        with pytest.raises(ForeignOrigin):
            await house.sign_on.socket_visitor(headers | wrong)
    visitor = await house.sign_on.socket_visitor(headers | {"origin": "http://127.0.0.1:8080"})
    assert visitor.person.name == "kim"


async def test_a_bearer_needs_neither_csrf_nor_origin(house: House) -> None:
    await house.person()
    tokens = Tokens(house.ground)
    token, secret = await tokens.make((await house.sign_in()).visitor, "backup", None)
    headers = {"authorization": f"Bearer {secret}", "origin": "http://evil.example"}
    visitor = await house.sign_on.visitor(headers, method="DELETE", address="192.0.2.8")
    assert (visitor.via, visitor.token, visitor.sign_in) == ("token", token.id, None)
    assert (await house.sign_on.socket_visitor(headers)).via == "token"
    assert house.sign_on.csrf_token(visitor) == ""
    await house.settled()
    assert (await tokens.of(visitor))[0].last_used_at
    with pytest.raises(Forbidden):
        await tokens.make(visitor, "another", None)
    for wrong in (
        "",
        "mdg_",
        secret[:-1],
        secret + "x",
        f"mdg_{'0' * 16}_{secret[21:]}",
        "mdg_\ud800_x",
        secret.upper(),
    ):
        with pytest.raises(NotSignedIn):
            await house.sign_on.visitor({"authorization": f"Bearer {wrong}"}, method="GET", address="")


async def test_tokens_end(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    tokens, visitor = Tokens(house.ground), (await house.sign_in()).visitor
    token, secret = await tokens.make(visitor, "short", 1)
    headers = {"authorization": f"bearer {secret}"}
    by_token = await house.sign_on.visitor(headers, method="GET", address="")
    assert await house.sign_on.still(by_token)
    clock.forward(days=2)
    with pytest.raises(NotSignedIn):
        await house.sign_on.visitor(headers, method="GET", address="")
    assert not await house.sign_on.still(by_token)
    clock.ahead = 0
    await tokens.revoke(visitor, token.id)
    with pytest.raises(NotSignedIn):
        await house.sign_on.visitor(headers, method="GET", address="")


@pytest.mark.parametrize("ground", [SHORT], indirect=True)
async def test_the_cookie_rotates_and_nobody_is_signed_out_by_it(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    old = (await house.sign_in()).cookie
    assert (await get(house, old)).offer is None
    clock.forward(minutes=11)
    offers = {(await get(house, old)).offer for _ in range(3)}
    assert len(offers) == 1, "requests side by side are offered the same cookie"
    new = offers.pop()
    assert new and new != old
    clock.forward(hours=1)
    assert (await get(house, old)).offer == new, "the answer was lost: the old cookie still works"
    for _ in range(2):  # two tabs show the new one at the same time
        assert (await get(house, new)).offer is None
    await house.settled()
    assert (await get(house, new)).offer is None
    assert (await get(house, old)).offer is None, "a request that was under way"
    clock.forward(seconds=61)
    with pytest.raises(NotSignedIn):
        await get(house, old)
    clock.forward(minutes=11)
    third = (await get(house, new)).offer
    assert third not in (None, old, new)


@pytest.mark.parametrize("ground", [SHORT], indirect=True)
async def test_rotation_and_last_seen_do_not_wait_for_a_writer(house: House, clock, hold_database) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    value = (await house.sign_in()).cookie
    clock.forward(minutes=11)
    with hold_database():
        begin = time.perf_counter()
        new = (await get(house, value)).offer
        for _ in range(20):
            assert (await get(house, new)).visitor.person.name == "kim"
        assert time.perf_counter() - begin < 5, "one alone would have waited so long"
    await house.settled()
    clock.forward(minutes=1)
    assert (await get(house, new)).visitor.person.name == "kim"


async def test_sign_ins_end_when_idle_and_when_old(house: House, clock) -> None:  # type: ignore[no-untyped-def]
    await house.person()
    idle, used = (await house.sign_in()), (await house.sign_in())
    for _ in range(8):
        clock.forward(hours=23)
        if clock.ahead < 168 * 3600:
            await get(house, used.cookie)
            assert await house.sign_on.still(used.visitor)
            await house.settled()
    for signed_in in (idle, used):
        with pytest.raises(NotSignedIn):
            await get(house, signed_in.cookie)
        assert not await house.sign_on.still(signed_in.visitor)


async def test_who_is_disabled_is_out_at_once(house: House) -> None:
    await house.person("boss", "admin")
    person = await house.person()
    signed_in = await house.sign_in()
    _, secret = await Tokens(house.ground).make(signed_in.visitor, "x", None)
    link = await house.people.make_link(OPERATOR, person.id)
    await house.people.change(OPERATOR, person.id, disabled=True)
    for headers in (cookie(signed_in.cookie), {"authorization": f"Bearer {secret}"}):
        with pytest.raises(NotSignedIn):
            await house.sign_on.visitor(headers, method="GET", address="")
    assert not await house.sign_on.still(signed_in.visitor)
    await house.people.change(OPERATOR, person.id, disabled=False)
    for headers in (cookie(signed_in.cookie), {"authorization": f"Bearer {secret}"}):
        with pytest.raises(NotSignedIn):
            await house.sign_on.visitor(headers, method="GET", address="")
    with pytest.raises(NotSignedIn):
        await house.entrance.redeem(link.partition("#")[2], HERE)


def test_cookies_are_for_https_only_where_there_is_https(house: House) -> None:
    assert not house.sign_on.secure


@pytest.mark.parametrize("ground", [{"MADANG_HTTP_PUBLIC_URL": "https://madang.example"}], indirect=True)
def test_secure_with_https(ground) -> None:  # type: ignore[no-untyped-def]
    assert SignOn(ground).secure
