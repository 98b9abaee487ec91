"""Plan and apply: nothing twice, nothing of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from madang.deploy.plan import Change, Fate, apply, marked, plan
from madang.kernel.errors import Conflict, SiteError

FILES = {"etc/a.conf": "one\n", "etc/b.conf": "two\n"}
KNOWN = ("etc/*.conf",)


def made(folder: Path, files: dict[str, str] = FILES) -> Sequence[Change]:
    return plan(folder, files, KNOWN, {})


def fates(changes: Sequence[Change]) -> dict[str, Fate]:
    return {change.path.name: change.fate for change in changes}


def test_the_second_time_nothing_is_done(tmp_path: Path) -> None:
    assert len(apply(made(tmp_path))) == 2
    assert (tmp_path / "etc/a.conf").read_text() == marked("one\n")
    assert apply(made(tmp_path)) == []
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == ["a.conf", "b.conf"], "no drafts"


def test_what_an_older_run_wrote_is_brought_up_to_date(tmp_path: Path) -> None:
    apply(made(tmp_path))
    changes = made(tmp_path, {"etc/a.conf": "new\n"})
    assert fates(changes) == {"a.conf": Fate.CHANGED, "b.conf": Fate.REMOVED}
    assert "-one" in changes[0].difference and "+new" in changes[0].difference and "-two" in changes[1].difference
    apply(changes)
    assert not (tmp_path / "etc/b.conf").exists()
    assert (tmp_path / "etc/a.conf").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["", "by hand\n", "# Written by `madang deploy render` 0\none\n"])
def test_what_is_not_ours_stays(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc").mkdir()
    mine = tmp_path / "etc/a.conf"
    mine.write_text(text)
    changes = made(tmp_path)
    assert fates(changes) == {"a.conf": Fate.EDITED, "b.conf": Fate.NEW}
    with pytest.raises(Conflict):
        apply(changes)
    assert mine.read_text() == text and not (tmp_path / "etc/b.conf").exists(), "nothing is done by halves"
    apply(changes, force=True)
    assert mine.read_text() == marked("one\n") and (tmp_path / "etc/a.conf.old").read_text() == text


def test_what_was_edited_is_not_removed_either(tmp_path: Path) -> None:
    apply(made(tmp_path))
    mine = tmp_path / "etc/b.conf"
    mine.write_text(mine.read_text() + "more\n")
    assert fates(made(tmp_path, {"etc/a.conf": "one\n"})) == {"a.conf": Fate.SAME}


def test_an_edit_back_to_what_is_wanted_is_none(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a.conf").write_text(marked("one\n"))
    assert fates(made(tmp_path))["a.conf"] is Fate.SAME


def test_starters_are_written_once(tmp_path: Path) -> None:
    apply(plan(tmp_path, {}, (), {"etc/settings": "a"}))
    (tmp_path / "etc/settings").write_text("b")
    assert apply(plan(tmp_path, {}, (), {"etc/settings": "c"})) == []
    assert (tmp_path / "etc/settings").read_text() == "b"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    with pytest.raises(SiteError):
        apply(made(tmp_path))
