"""What an ISO file says of itself."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.machines import iso9660
from madang.machines.iso9660 import NotAnIso
from tests.unit.machines.discs import disc, put


@pytest.mark.parametrize(
    ("platforms", "boots"),
    [((0,), ("bios",)), ((0xEF,), ("uefi",)), ((0, 0xEF), ("bios", "uefi")), ((0xEF, 0), ("bios", "uefi")), ((), ())],
)
def test_which_firmware_finds_something_to_boot(tmp_path: Path, platforms: tuple[int, ...], boots: tuple[str, ...]):
    assert iso9660.read(put(tmp_path / "a.iso", platforms=platforms)) == iso9660.IsoFacts("TINY", boots)


def test_an_entry_that_is_not_bootable_does_not_count(tmp_path: Path):
    assert iso9660.read(put(tmp_path / "a.iso", bootable=False)).boots == ()


@pytest.mark.parametrize("data", [b"", b"no disc" * 10_000, bytes(2048 * 40), disc()[: 2048 * 16 + 100]])
def test_what_is_no_iso_is_said_to_be_none(tmp_path: Path, data: bytes):
    (tmp_path / "a.iso").write_bytes(data)
    with pytest.raises(NotAnIso):
        iso9660.read(tmp_path / "a.iso")


def test_a_boot_catalogue_behind_the_end_is_no_iso(tmp_path: Path):
    (tmp_path / "a.iso").write_bytes(disc()[: 2048 * 19])
    with pytest.raises(NotAnIso):
        iso9660.read(tmp_path / "a.iso")


def test_a_label_that_a_terminal_would_obey_is_shown_as_text(tmp_path: Path):
    assert "\x1b" not in iso9660.read(put(tmp_path / "a.iso", label="\x1b[31mred")).label


@given(noise=st.lists(st.tuples(st.integers(2048 * 16, 2048 * 21), st.integers(0, 255)), max_size=40))
def test_whatever_is_in_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, noise):
    data = bytearray(disc(platforms=(0, 0xEF)))
    for place, value in noise:
        data[place] = value
    file = tmp_path_factory.mktemp("noise") / "a.iso"
    file.write_bytes(data)
    with contextlib.suppress(NotAnIso):
        assert set(iso9660.read(file).boots) <= {"bios", "uefi"}
