"""The page speaks Korean of everything that the back end may say to a person of a desktop."""

from __future__ import annotations

import re
from pathlib import Path

from madang.compute.sight import WAITING_REASONS
from madang.desktops import failures
from madang.kernel.errors import Failure

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "web" / "src" / "lib" / "words"
SOURCES = ("desktops", "compute", "doors")
# How a problem is given a code: by its class, by an argument, or first of a failure or refusal.
CODE = re.compile(r"""(?:\bcode\s*=\s*|(?:Failure|Refusal)\(\s*)"([a-z_]+)\"""")
# Said to operators on a terminal, or never shown.
NOT_SHOWN = {"folder_root_long", "folder_root_unsafe", "wrong_setting"}


def korean_codes() -> set[str]:
    text = "".join((WORDS / "ko" / f"{name}.ts").read_text() for name in ("codes", "kernel"))
    return set(re.findall(r"^\s+([a-z_]+): \{", text, re.MULTILINE))


def test_every_problem_of_a_desktop_has_korean_words():
    said = {
        code
        for folder in SOURCES
        for file in (ROOT / "src" / "madang" / folder).rglob("*.py")
        for code in CODE.findall(file.read_text())
    }
    said |= {value.code for value in vars(failures).values() if isinstance(value, Failure)}
    assert len(said) > 30
    assert said - korean_codes() - NOT_SHOWN == set()


def test_every_reason_to_wait_has_words_in_both_languages():
    for language in ("en", "ko"):
        text = (WORDS / language / "using.ts").read_text()
        reasons = text[text.index("reasons: {") :].partition("}")[0]
        assert set(re.findall(r"^\s+([a-z_]+):", reasons, re.MULTILINE)) == {*WAITING_REASONS}, language
