"""The filter for who may only look: nothing that changes anything gets through, however it is cut into pieces."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.doors.view_only import EXTENDED_CLIPBOARD, Refused, ViewOnly

HANDSHAKE = b"RFB 003.008\n\x01\x00"
# Always shared, then what we say for the client: Raw and the extended clipboard, of which it takes nothing unasked.
GREETING = (
    b"RFB 003.008\n\x01\x01"
    + struct.pack(">BxHII", 2, 2, 0, EXTENDED_CLIPBOARD)
    + struct.pack(">B3xiII", 6, -8, 1 << 24 | 1 << 27 | 1, 0)
)

numbers = st.integers(0, 65535)
PIXEL_FORMAT = b"\0\0\0\0" + bytes(range(16))


def encodings(*wanted: int) -> bytes:
    return struct.pack(f">BxH{len(wanted)}i", 2, len(wanted), *wanted)


def passed_encodings(*wanted: int) -> bytes:
    kept = [encoding & 0xFFFFFFFF for encoding in wanted if encoding not in (-316, -309, -305)]
    kept = [encoding for encoding in kept if encoding != EXTENDED_CLIPBOARD]
    return struct.pack(f">BxH{len(kept) + 1}I", 2, len(kept) + 1, *kept, EXTENDED_CLIPBOARD)


def extended(size: int) -> bytes:
    return struct.pack(">B3xi", 6, -size) + bytes(size)


# (what a client says, what goes on)
kept = st.one_of(
    st.just(PIXEL_FORMAT),
    st.builds(lambda i, x, y: struct.pack(">BBHHHH", 3, i & 1, x, y, 9, 9), numbers, numbers, numbers),
    st.builds(lambda i, x: struct.pack(">BBHHHH", 150, i & 1, x, 0, 1, 1), numbers, numbers),
    st.binary(max_size=64).map(lambda data: struct.pack(">B3xIB", 248, 1, len(data)) + data),
).map(lambda message: (message, message))
dropped = st.one_of(
    st.builds(lambda key: struct.pack(">BBxxI", 4, 1, key), numbers),
    st.builds(lambda x, mask: struct.pack(">BBHH", 5, mask & 0xFF, x, 7), numbers, numbers),
    st.binary(max_size=300).map(lambda text: struct.pack(">B3xi", 6, len(text)) + text),
    st.integers(4, 300).map(extended),
    st.integers(0, 4).map(lambda n: struct.pack(">BxHHBx", 251, 800, 600, n) + bytes(16 * n)),
    st.just(b"\xff\x00" + bytes(10)),
    st.just(b"\xfa\x00\x01\x02"),
    st.binary(max_size=40).map(lambda data: b"\xfd\x81" + struct.pack(">H", len(data)) + data),
    st.binary(max_size=40).map(lambda data: b"\xfd\x01" + struct.pack("<H", len(data)) + data),
).map(lambda message: (message, b""))
lists = st.lists(st.sampled_from([0, 7, -239, -308, -316, -309, -305, -1063131698]), max_size=20).map(
    lambda wanted: (encodings(*wanted), passed_encodings(*wanted))
)


@given(st.lists(st.one_of(kept, dropped, lists), max_size=30), st.data())
def test_only_looking_gets_through_at_any_chunking(messages: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    said = HANDSHAKE + b"".join(message for message, _ in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=12)))
    filtered = ViewOnly()
    out = b""
    for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
        out += filtered(said[start:end])
    assert out == GREETING + b"".join(through for _, through in messages)


@given(st.binary(max_size=400))
def test_whatever_is_said_only_known_messages_come_out(noise: bytes) -> None:
    filtered = ViewOnly()
    try:
        out = filtered(HANDSHAKE + noise)
    except Refused:
        return
    rest = out.removeprefix(GREETING)
    assert len(rest) < len(out)
    while rest:
        assert rest[0] in (0, 2, 3, 150, 248)
        if rest[0] == 2:
            size = 4 + 4 * int.from_bytes(rest[2:4], "big")
        else:
            size = {0: 20, 3: 10, 150: 10, 248: 9 + rest[8] if len(rest) > 8 else 9}[rest[0]]
        assert len(rest) >= size
        rest = rest[size:]


@pytest.mark.parametrize(
    "said",
    [
        b"RFB 003.003\n",
        b"GET / HTTP/1.",
        b"RFB 003.008\n\x02",
        HANDSHAKE + b"\x07",
        HANDSHAKE + b"\xff\x01\x00\x00",
        HANDSHAKE + b"\xff\x01",
        HANDSHAKE + struct.pack(">B3xIB", 248, 0, 65),
        HANDSHAKE + struct.pack(">BxH", 2, 1025),
    ],
)
def test_what_is_not_understood_ends_it(said: bytes) -> None:
    with pytest.raises(Refused):
        ViewOnly()(said)


def test_an_exclusive_viewer_is_made_a_shared_one() -> None:
    assert ViewOnly()(b"RFB 003.007\n\x01\x00")[:14] == b"RFB 003.007\n\x01\x01"


def test_a_large_text_is_passed_over_without_being_kept() -> None:
    filtered = ViewOnly()
    filtered(HANDSHAKE + struct.pack(">B3xi", 6, 1 << 30))
    for _ in range(64):
        assert filtered(bytes(1 << 20)) == b""
        assert len(filtered._held) == 0
