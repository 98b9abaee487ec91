"""DES of single blocks, as VNC authentication needs it and nothing else does any more (FIPS 46-3, RFC 6143 7.2.2).

Not safe for anything: a challenge is only ever sent inside TLS, and its password is good once.
"""

from __future__ import annotations

from collections.abc import Sequence


def response(challenge: bytes, password: str) -> bytes:
    """What a VNC client answers: the challenge's blocks encrypted by the password, each byte's bits turned around."""
    letters = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    key = bytes(int(f"{letter:08b}"[::-1], 2) for letter in letters)
    return b"".join(encrypt(key, challenge[at : at + 8]) for at in range(0, len(challenge), 8))


def encrypt(key: bytes, block: bytes) -> bytes:
    """One block of 8 bytes."""
    state = _moved(_bits(block), _FIRST)
    left, right = state[:32], state[32:]
    for round_key in _round_keys(key):
        left, right = right, [one ^ other for one, other in zip(left, _mixed(right, round_key), strict=True)]
    return _bytes(_moved(right + left, _LAST))


def _round_keys(key: bytes) -> list[list[int]]:
    chosen = _moved(_bits(key), _CHOICE_1)
    left, right = chosen[:28], chosen[28:]
    keys = []
    for shift in _SHIFTS:
        left, right = left[shift:] + left[:shift], right[shift:] + right[:shift]
        keys.append(_moved(left + right, _CHOICE_2))
    return keys


def _mixed(half: list[int], round_key: list[int]) -> list[int]:
    wide = [one ^ other for one, other in zip(_moved(half, _WIDENED), round_key, strict=True)]
    out: list[int] = []
    for box, at in zip(_BOXES, range(0, 48, 6), strict=True):
        six = wide[at : at + 6]
        row, column = six[0] * 2 + six[5], six[1] * 8 + six[2] * 4 + six[3] * 2 + six[4]
        value = int(box[row * 16 + column], 16)
        out += [value >> 3 & 1, value >> 2 & 1, value >> 1 & 1, value & 1]
    return _moved(out, _SPREAD)


def _bits(data: bytes) -> list[int]:
    return [byte >> place & 1 for byte in data for place in range(7, -1, -1)]


def _bytes(bits: Sequence[int]) -> bytes:
    return int("".join(map(str, bits)), 2).to_bytes(len(bits) // 8, "big")


def _moved(bits: Sequence[int], places: Sequence[int]) -> list[int]:
    return [bits[place - 1] for place in places]


# The tables of the standard: places are counted from 1.
_FIRST = [start - 8 * step for start in (58, 60, 62, 64, 57, 59, 61, 63) for step in range(8)]
_LAST = [_FIRST.index(place) + 1 for place in range(1, 65)]
_WIDENED = [(4 * group + place - 1) % 32 + 1 for group in range(8) for place in range(6)]
_SPREAD = [
    *(16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10),
    *(2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25),
]
_CHOICE_1 = [
    *(57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36),
    *(63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4),
]
_CHOICE_2 = [
    *(14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2),
    *(41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32),
]
_SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
# Four rows of sixteen hexadecimal digits each.
_BOXES = (
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
)
