"""Tickets: one door, one session, one time, for a short time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.doors import tickets

KEY = tickets.new_key()
NOW = 1_800_000_000.0


def check(ticket: str, memory: tickets.Memory | None = None, *, now: float = NOW, session: str = "s1") -> None:
    tickets.check(KEY, session, ticket, tickets.Memory() if memory is None else memory, now=now)


def issue(**changes: float) -> str:
    return tickets.issue(KEY, "s1", now=NOW, **changes)


def test_a_good_ticket() -> None:
    check(issue())


def test_valid_until_its_last_second() -> None:
    ticket = issue(valid_seconds=30)
    check(ticket, now=NOW + 30)
    with pytest.raises(tickets.TicketExpired, match="1 s ago"):
        check(ticket, now=NOW + 31)


def test_once() -> None:
    memory = tickets.Memory()
    ticket = issue()
    check(ticket, memory)
    with pytest.raises(tickets.TicketReplayed):
        check(ticket, memory)
    check(issue(), memory)


def test_the_memory_forgets_what_has_expired_and_nothing_else() -> None:
    memory = tickets.Memory()
    for _ in range(5):
        check(issue(valid_seconds=10), memory)
    check(issue(valid_seconds=100), memory)
    assert len(memory) == 6
    check(issue(valid_seconds=100), memory, now=NOW + 50)
    assert len(memory) == 2


def test_for_another_session() -> None:
    with pytest.raises(tickets.TicketForeign):
        check(tickets.issue(KEY, "s2", now=NOW))


def test_with_another_key() -> None:
    with pytest.raises(tickets.TicketInvalid):
        check(tickets.issue(tickets.new_key(), "s1", now=NOW))


def test_a_longer_expiry_needs_a_new_signature() -> None:
    session, expiry, once, signature = issue().split(".")
    with pytest.raises(tickets.TicketInvalid):
        check(f"{session}.{int(expiry) + 1000}.{once}.{signature}")
    with pytest.raises(tickets.TicketInvalid):
        check(f"{session}.0{expiry}.{once}.{signature}")


def test_a_refused_ticket_is_not_remembered() -> None:
    memory = tickets.Memory()
    with pytest.raises(tickets.TicketExpired):
        check(issue(valid_seconds=-10), memory)
    assert len(memory) == 0


@given(st.text(max_size=200))
def test_no_text_opens_the_door(text: str) -> None:
    with pytest.raises(tickets.TicketError):
        check(text)


@given(st.integers(0, 10_000), st.characters())
def test_no_changed_character_opens_the_door(place: int, character: str) -> None:
    ticket = issue()
    place %= len(ticket)
    changed = ticket[:place] + character + ticket[place + 1 :]
    if changed == ticket:
        return
    with pytest.raises(tickets.TicketError):
        check(changed)


@pytest.mark.parametrize("end", ["\n", " ", "\0", "=", "١"])
def test_nothing_may_follow(end: str) -> None:
    with pytest.raises(tickets.TicketInvalid):
        check(issue() + end)


def test_each_error_has_its_code() -> None:
    errors = tickets.TicketError.__subclasses__()
    assert len({error.code for error in errors}) == len(errors) == 4
