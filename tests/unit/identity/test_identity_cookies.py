"""Cookies and tokens as text: whatever somebody sends is parsed without harm."""

from hypothesis import given
from hypothesis import strategies as st

from madang.identity import cookies
from madang.identity.tokens import parse_token


@given(st.text())
def test_parsing_never_fails(text: str) -> None:
    for header in (text, f"madang_sign_in={text}", f"a=b; madang_sign_in={text};"):
        parsed = cookies.parse(header)
        assert parsed is None or all(0 < len(part) <= cookies.LONGEST_SECRET for part in parsed)
    parse_token(text)
    parse_token(f"mdg_{text}")
    cookies.same(text, "x")
    cookies.digest(text)


def test_the_cookie_is_found_among_others() -> None:
    assert cookies.parse('x=1; madang_sign_in="ab.cd.ef" ; y') == ("ab", "cd.ef")
    assert cookies.parse("xmadang_sign_in=ab.cd") is None
    assert cookies.parse("madang_sign_in=abcd") is None
    assert cookies.parse(None) is None


def test_the_header_protects_the_cookie() -> None:
    header = cookies.set_cookie("a.b", 59.9, secure=True)
    assert header == "madang_sign_in=a.b; Path=/; Max-Age=59; HttpOnly; SameSite=Lax; Secure"
    assert "Secure" not in cookies.set_cookie("a.b", 60, secure=False)
    assert "Max-Age=0" in cookies.clear_cookie(secure=False)


def test_what_is_derived_depends_on_key_sign_in_and_purpose() -> None:
    derived = {
        cookies.next_secret(b"k", "s", "h"),
        cookies.next_secret(b"k", "s", "i"),
        cookies.next_secret(b"k", "t", "h"),
        cookies.next_secret(b"l", "s", "h"),
        cookies.csrf_token(b"k", "s"),
        cookies.csrf_token(b"k", "t"),
    }
    assert len(derived) == 6
    assert cookies.next_secret(b"k", "s", "h") == cookies.next_secret(b"k", "s", "h")


def test_tokens_carry_their_id() -> None:
    assert parse_token("mdg_0a1b_se_cr-et") == ("0a1b", "se_cr-et")
    for wrong in ("", "mdg_", "mdg_x", "mdg_x_", "mdg__y", "abc_x_y", "mdg_" + "x" * 200 + "_y"):
        assert parse_token(wrong) is None
