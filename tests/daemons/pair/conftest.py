"""Two portals of one site on a real MariaDB and a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.daemons.portal.conftest import Accounts, accounts, add_people, forget  # noqa: F401  (accounts is a fixture)
from tests.support.databases import MariaDBServer
from tests.support.pair import Pair, pair_of_portals
from tests.support.people import Client
from tests.support.session import OnMachine


@pytest.fixture(scope="session")
def pair(accounts: Accounts) -> Iterator[Pair]:  # noqa: F811
    """The pair that all tests here share. Who kills a part of it starts it again."""
    if missing := MariaDBServer.missing():
        pytest.skip(missing)
    with pair_of_portals(VNC_SESSIONS_PER_PERSON="8") as pair:
        add_people(pair.a, accounts)
        yield pair


@pytest.fixture
def both(pair: Pair) -> Pair:
    """The pair, whole, also after a test that killed a part of it and failed."""
    pair.start()
    return pair


@pytest.fixture(scope="session")
def tokens(pair: Pair) -> dict[str, tuple[Client, Client]]:
    """Somebody by an API token: through the portal a, and through b."""
    found = {}
    for name in ("kim", "boss"):
        token = pair.a.token_for(name)
        found[name] = tuple(Client(portal.url, {"authorization": f"Bearer {token}"}) for portal in pair.portals)
    return found  # type: ignore[return-value]


@pytest.fixture
def kim(both: Pair, tokens: dict[str, tuple[Client, Client]]) -> tuple[Client, Client]:
    """Through the portal a, and through b."""
    return tokens["kim"]


@pytest.fixture
def start(both: Pair, kim: tuple[Client, Client]) -> Iterator[Callable[..., OnMachine]]:
    """Starts a desktop of kim's, through a unless another client is given; it is ended and removed afterwards."""
    started: list[OnMachine] = []

    def begin(client: Client | None = None, **wish: object) -> OnMachine:
        client = client or kim[0]
        started.append(OnMachine(both.a, str(client.ask(**wish)["id"])))
        client.until(started[-1].id, "ready")
        return started[-1]

    yield begin
    both.start()
    for desktop in started:
        forget(kim[1], desktop.id)
