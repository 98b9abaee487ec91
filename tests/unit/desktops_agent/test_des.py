"""DES against the standard's own example, a known VNC answer and another implementation."""

from __future__ import annotations

import os

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from madang.desktops.agent import des


def test_a_known_block() -> None:
    assert des.encrypt(bytes.fromhex("133457799BBCDFF1"), bytes.fromhex("0123456789ABCDEF")).hex() == "85e813540f0ab405"


def test_as_another_implementation_does() -> None:
    for _ in range(50):
        key, block = os.urandom(8), os.urandom(8)
        other = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
        assert des.encrypt(key, block) == other.update(block)


def test_only_eight_characters_count() -> None:
    assert des.response(bytes(16), "12345678") == des.response(bytes(16), "123456789")
    assert des.response(bytes(16), "12345678") != des.response(bytes(16), "1234567")
    assert len(des.response(bytes(16), "")) == 16
