"""The state folder and the site's secret."""

from pathlib import Path

import pytest

from madang.kernel.errors import SiteError
from madang.kernel.ground import prepare_state_folder
from madang.kernel.site_secret import site_secret


def test_the_state_folder_is_for_its_owner_only(tmp_path: Path):
    folder = tmp_path / "a/b"
    for _ in range(2):
        assert prepare_state_folder(folder) == folder
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "logs").is_dir()
        folder.chmod(0o755)


def test_a_state_folder_that_cannot_be_used_is_named_with_a_way_out(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SiteError) as caught:
        prepare_state_folder(tmp_path / "file")
    assert str(tmp_path / "file") in caught.value.detail
    assert "MADANG_SITE_STATE_FOLDER" in caught.value.hint


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path):
    file = tmp_path / "secret.key"
    secret = site_secret(file)
    assert len(secret) == 32 and site_secret(file) == secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert site_secret(tmp_path / "another.key") != secret


def test_a_secret_that_is_damaged_is_not_used(tmp_path: Path):
    (tmp_path / "secret.key").write_bytes(b"short")
    with pytest.raises(SiteError, match="damaged"):
        site_secret(tmp_path / "secret.key")
