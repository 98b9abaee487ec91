"""The door of a real session: the right ticket gets the desktop, everything else a refusal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest

from madang.doors import handover, tickets
from tests.daemons.agent.desk import Desk, eventually
from tests.daemons.agent.rfb import Client


def ticket(desk: Desk, **changes: float) -> str:
    return tickets.issue(desk.order.door_key, desk.session, **changes)


async def knock(desk: Desk, text: str) -> str:
    with pytest.raises(handover.DoorRefused) as caught:
        await handover.take(desk.folder / "door.sock", text, desk.uid)
    return caught.value.code


async def test_a_ticket_opens_the_desktop(desk: Desk) -> None:
    engine = await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid)
    with engine:
        assert engine.getblocking() is False
        assert handover.peer_uid(engine) == desk.uid
        client = await asyncio.to_thread(Client, engine)
    assert (client.width, client.height) == (1440, 900)


async def test_refused_tickets(desk: Desk) -> None:
    used = ticket(desk)
    (await handover.take(desk.folder / "door.sock", used, desk.uid)).close()
    assert await knock(desk, used) == "ticket_replayed"
    assert await knock(desk, ticket(desk, valid_seconds=-5)) == "ticket_expired"
    assert await knock(desk, tickets.issue(desk.order.door_key, "another")) == "ticket_foreign"
    assert await knock(desk, tickets.issue(tickets.new_key(), desk.session)) == "ticket_invalid"
    assert await knock(desk, "") == "ticket_invalid"
    assert desk.log.count("door: refused") == 5


@pytest.mark.parametrize(
    "line", [b"\n", b"null\n", b"[]\n", b'{"ticket": 1}\n', b"\xff\xfe\n", b"[" * 900 + b"\n", b"x" * 5000]
)
async def test_nonsense_is_refused(desk: Desk, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(desk.folder / "door.sock"))
    writer.write(line)
    writer.write_eof()
    try:
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        # Not all that was sent was read.
        answer = b""
    writer.close()
    assert not answer or json.loads(answer)["code"] == "ticket_invalid"
    (await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid)).close()


async def test_many_who_say_nothing_do_not_close_the_door(desk: Desk) -> None:
    idle = [await asyncio.open_unix_connection(str(desk.folder / "door.sock")) for _ in range(50)]
    (await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid)).close()
    for _, writer in idle:
        writer.close()


async def test_a_stopped_agent_is_unreachable_not_a_hang(desk: Desk) -> None:
    worker = desk.worker
    desk.kill(worker, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(handover.DoorUnreachable):
            await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid, timeout_seconds=0.5)
        assert time.monotonic() - began < 1.5
    finally:
        desk.kill(worker, signal.SIGCONT)


async def test_a_door_that_is_not_there_or_not_theirs(desk: Desk) -> None:
    with pytest.raises(handover.DoorUnreachable):
        await handover.take(desk.folder / "nothing.sock", ticket(desk), desk.uid)
    with pytest.raises(handover.DoorForeign):
        await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid + 1)


async def test_an_open_door_does_not_keep_a_session_alive(desk: Desk) -> None:
    engine = await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid)
    with engine:
        await desk.end()
        await desk.assert_nothing_left()
        engine.setblocking(True)
        while engine.recv(65536):
            pass
    assert not os.path.exists(desk.folder)


async def test_the_door_holds_no_descriptors_back(desk: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("the agent's descriptors are hidden from its own user")

    def handles() -> int:
        return len(os.listdir(f"/proc/{desk.worker}/fd"))

    before = handles()
    for _ in range(20):
        (await handover.take(desk.folder / "door.sock", ticket(desk), desk.uid)).close()
        await knock(desk, "no")
    await eventually(lambda: handles() <= before, 3, lambda: f"{before} descriptors became {handles()}")
