"""Rules for names, texts, passwords and roles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.identity import model
from madang.kernel.errors import InvalidInput


@pytest.mark.parametrize("name", ["kim", "a1", "lee.min-ho_2", "x" * 32])
def test_names_that_are_allowed(name: str) -> None:
    assert model.checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a", "Kim", "1kim", "kim lee", "kim\n", "kim\0", "김민호", "x" * 33, "-kim", "a/b"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        model.checked_name(name)
    assert caught.value.extras["fields"][0]["field"] == "name"


@given(st.text())
def test_a_text_that_passes_can_be_shown(text: str) -> None:
    try:
        kept = model.checked_text("display_name", text, 80)
    except InvalidInput:
        return
    assert 1 <= len(kept) <= 80
    assert not any(character in kept for character in "\0\n\r\t\x7f\u2028\u202e")
    kept.encode()


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\u202eabc", "\ud800", " ", "가" * 81])
def test_texts_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        model.checked_text("display_name", text, 80)


def test_hangul_is_kept_in_one_form() -> None:
    assert model.checked_text("display_name", "\u1112\u1161\u11ab", 80) == "한"


@pytest.mark.parametrize(
    ("password", "name"),
    [
        ("short", "kim"),
        ("PASSWORD123", "kim"),
        ("kim-min-ho.the.third", "kim-min-ho.the.third"),
        ("Qwertyuiop", "kim"),
        ("aaaaaaaaaaaa", "kim"),
        ("x" * 300, "kim"),
        ("good enough \ud800", "kim"),
    ],
)
def test_weak_passwords_are_refused_with_their_code(password: str, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        model.checked_password(password, name)
    assert caught.value.code == "password_weak"
    assert password not in str(caught.value.problem()), "an error never repeats a password"


@pytest.mark.parametrize("password", ["paper lantern river", "산너머 남촌에는 누가 살길래", "Tr0ub4dor&3!"])
def test_good_passwords_pass(password: str) -> None:
    model.checked_password(password, "kim")


def test_roles_are_put_in_order_once() -> None:
    assert model.checked_roles(("member", "admin", "member")) == ("admin", "member")
    for wrong in ((), ("king",)):
        with pytest.raises(InvalidInput):
            model.checked_roles(wrong)  # type: ignore[arg-type]


def test_permissions_add_up() -> None:
    assert "people.manage" not in model.permissions_of(("operator", "teacher"))
    assert "desktops.use" not in model.permissions_of(("monitor",))
    assert model.permissions_of(("member", "monitor")) == {"desktops.use", "machines.use", "site.see"}
    assert [role for role in model.PERMISSIONS if "people.manage" in model.permissions_of((role,))] == ["admin"]
