"""What `madang doctor` says about the way to the site."""

from __future__ import annotations

from typing import Any

import pytest

from madang.deploy.advice import advice
from madang.kernel.settings import HttpSettings

HTTPS = "https://desk.example.org"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"public_url": HTTPS}, []),
        ({"host": "::1", "public_url": HTTPS}, []),
        ({"host": "0.0.0.0"}, ["without TLS"]),
        ({"host": "10.0.0.1", "public_url": "http://desk.example.org"}, ["without TLS"]),
        ({"host": "10.0.0.1", "public_url": HTTPS}, ["trusted_proxies"]),
        ({"host": "10.0.0.1", "public_url": HTTPS, "trusted_proxies": ("127.0.0.1", "10.0.0.9")}, []),
        ({"host": "10.0.0.1", "public_url": HTTPS, "trusted_proxies": ("10.0.0.0/24",)}, []),
    ],
)
def test_what_is_doubtful(settings: dict[str, Any], words: list[str]) -> None:
    said = advice(HttpSettings(**settings))
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
