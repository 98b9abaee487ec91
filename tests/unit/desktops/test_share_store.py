"""Shares in a real database."""

import msgspec
import pytest
from sqlalchemy import select

from madang.desktops.share import Share
from madang.desktops.share_store import Shares
from madang.desktops.store import Sessions
from madang.desktops.tables import shares as table
from madang.identity.audit import Audit
from madang.identity.model import Actor
from madang.kernel.errors import LimitReached
from madang.kernel.ground import Ground
from tests.unit.desktops.house import session

NOW = 1_000_000.0
KIM = Actor("id-kim", "kim")


def share(number: int = 1, **values: object) -> Share:
    base = Share(f"l{number}", "vnc", "s1", "link", "active", "view", "", False, None, None, NOW + number, NOW + 100)
    return msgspec.structs.replace(base, **values)


@pytest.fixture
def store(ground: Ground) -> Shares:
    return Shares(ground.database, "vnc", Audit(ground))


async def test_a_share_is_read_as_it_was_stored(store: Shares):
    whole = share(label="수업", guests=True, via="operator", state="asked", person_id="p", person_name="이")
    await store.add(whole, "hash", KIM, most=9)
    assert await store.get("l1") == whole == await store.by_token("hash")
    assert await store.get("l2") is None and await store.by_token("") is None


async def test_those_that_hold_or_wait_are_listed(store: Shares):
    kept = [share(1), share(2, via="operator", state="asked")]
    for one in (*kept, share(3, state="revoked"), share(4, expires_at=NOW), share(5, session_id="s2")):
        await store.add(one, None, KIM, most=9)
    assert await store.of_session("s1", NOW) == kept
    assert [one.id for one in await store.of_session("s2", NOW)] == ["l5"]


async def test_a_desktop_has_so_many_links(store: Shares):
    await store.add(share(1), None, KIM, most=2)
    await store.add(share(2, expires_at=NOW), None, KIM, most=2)  # over
    await store.add(share(3, via="operator", state="asked"), None, KIM, most=2)  # no link
    await store.add(share(4), None, KIM, most=2)
    with pytest.raises(LimitReached):
        await store.add(share(5), None, KIM, most=2)


async def test_of_two_answers_one_counts(store: Shares):
    asked = share(via="operator", state="asked")
    await store.add(asked, None, KIM, most=9)
    active = await store.change(asked, "active", NOW + 5, KIM)
    assert active is not None and (active.state, active.expires_at) == ("active", NOW + 5)
    assert await store.change(asked, "refused", NOW, KIM) is None
    assert await store.get("l1") == active


async def test_what_is_over_is_forgotten_and_another_services_is_not(store: Shares, ground: Ground):
    await Sessions(ground.database, "vnc").add(session(1), most=9)
    other = Shares(ground.database, "moonlight", Audit(ground))
    await other.add(share(9, service="moonlight", session_id="gone"), None, KIM, most=9)
    for one in (share(1), share(2, expires_at=NOW - 1), share(3, session_id="gone")):
        await store.add(one, None, KIM, most=9)
    assert await store.get("l9") is None
    assert await store.forget(NOW) == 2
    async with ground.database.read() as connection:
        left = sorted((await connection.execute(select(table.c.id))).scalars())
    assert left == ["l1", "l9"]
