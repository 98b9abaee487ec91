"""Two portals on two nodes of a real Galera cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from madang.desktops.model import Session
from madang.desktops.store import Sessions
from madang.kernel import metrics
from madang.kernel.database import Database, DatabaseSettings, DatabaseUnavailable
from madang.kernel.errors import LimitReached
from madang.migrations import upgrade
from tests.daemons.databases.test_database_faults import INSERT, Pairs, until_it_works
from tests.support.databases import GaleraNode
from tests.unit.desktops.house import session

Cluster = tuple[GaleraNode, GaleraNode]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if missing := GaleraNode.missing():
        pytest.skip(f"{missing} is not installed")
    one = GaleraNode()
    nodes = [one]
    try:
        one.install()
        one.start()
        one.grant()
        one.stop()
        nodes.append(GaleraNode(like=one))
        one.start("--wsrep-new-cluster")
        nodes[1].start()
        one.others = f"127.0.0.1:{nodes[1].group_port}"  # from now on either may be restarted
        yield one, nodes[1]
    finally:
        for node in nodes:
            node.close()


def on(*nodes: GaleraNode, name: str) -> Database:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    url = f"mariadb://madang@{hosts}/{name}"
    settings = DatabaseSettings(url, password_file=str(nodes[0].password_file), busy_seconds=20.0, answer_seconds=5.0)
    return Database(Path("unused"), settings)


@pytest.fixture
async def portals(cluster: Cluster) -> AsyncIterator[list[Pairs]]:
    """One on each node, and one that knows both."""
    one, two = cluster
    name = one.new_database()
    made = [Pairs(on(one, name=name)), Pairs(on(two, name=name)), Pairs(on(one, two, name=name))]
    await upgrade(made[0].database)
    async with made[0].database.upgrading() as connection:
        # A node applies only what has a primary key in any order.
        columns = "id INT PRIMARY KEY AUTO_INCREMENT, number INT NOT NULL, half INT NOT NULL"
        await connection.execute(text(f"CREATE TABLE rows_of_pairs ({columns})"))
        await connection.execute(text("CREATE VIEW pairs AS SELECT number, half FROM rows_of_pairs"))
    yield made
    for each in made:
        await each.database.close()


def retries() -> float:
    return metrics.database_retries._value.get()


async def test_a_write_that_another_node_overtook_is_run_again(portals: list[Pairs]):
    first, second, _ = portals

    async def overtake() -> None:
        first.between = None
        await second.add(2)

    first.between = overtake
    await first.add(1)
    assert (first.runs, second.runs) == (2, 1)
    assert await first.numbers(1) == await first.numbers(2) == await second.numbers(1) == [1, 2]


async def test_fifty_that_count_up_at_once_on_two_nodes_lose_none(portals: list[Pairs]):
    async with portals[0].database.write() as connection:
        await connection.execute(INSERT, {"number": 0, "half": 9})
    before = retries()
    await asyncio.gather(*(portals[number % 2].count_up() for number in range(50)))
    assert await portals[0].numbers(9) == await portals[1].numbers(9) == [50]
    assert retries() > before, "there was no conflict to speak of"


async def test_nobody_gets_past_the_limit_by_asking_two_nodes_at_once(portals: list[Pairs]):
    stores = [Sessions(each.database, "vnc") for each in portals[:2]]
    asked = [stores[number % 2].add(session(number, name=""), most=3) for number in range(30)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(each.name for each in outcomes if isinstance(each, Session)) == [f"Desktop {n}" for n in (1, 2, 3)]
    assert {type(each) for each in outcomes} == {Session, LimitReached}


async def test_what_was_written_on_one_node_is_seen_on_the_other_at_once(portals: list[Pairs]):
    for number in range(30):
        writer, reader = portals[number % 2], portals[1 - number % 2]
        await writer.add(number)
        assert number in await reader.numbers(1)


async def test_a_portal_goes_on_with_the_other_node_and_the_first_one_comes_back(
    cluster: Cluster, portals: list[Pairs]
):
    one, two = cluster
    both = portals[2]
    await both.add(1)
    await asyncio.to_thread(one.stop)
    begin = time.monotonic()
    await until_it_works(both, 2)
    assert time.monotonic() - begin < 10
    await asyncio.to_thread(one.start)
    assert "2" in two.ask("SHOW STATUS LIKE 'wsrep_cluster_size'")
    assert await portals[0].numbers(1) == [1, 2]
    await both.add(3)


async def test_a_node_that_lost_its_cluster_is_not_used(cluster: Cluster, portals: list[Pairs]):
    """Of two nodes one is killed: the other knows of no majority, and refuses until somebody decides."""
    one, two = cluster
    second = portals[1]
    await second.add(1)
    one.kill()
    deadline = time.monotonic() + 20
    while "ON" in two.ask("SHOW STATUS LIKE 'wsrep_ready'"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    begin = time.monotonic()
    for work in (second.numbers(1), second.add(2)):
        with pytest.raises(DatabaseUnavailable) as caught:
            await work
        assert (caught.value.status, bool(caught.value.hint)) == (503, True)
    assert time.monotonic() - begin < 12
    two.ask("SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'")
    await until_it_works(second, 3)
    await asyncio.to_thread(one.start)
    assert await portals[0].numbers(1) == [1, 3]
