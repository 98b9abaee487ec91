"""Presets as a file: written, read, and what would change."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.desktops.preset import Preset
from madang.desktops.preset_files import Step, parse, plan, text_of
from madang.kernel.errors import InvalidInput

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)
names = words.filter(str.strip)


@given(
    st.lists(
        st.builds(
            Preset,
            id=st.just("given"),
            version=st.integers(1, 9),
            name=names,
            description=words,
            width=st.integers(320, 7680),
            cpus=st.none() | st.integers(1, 64),
            idle_cpu_percent=st.floats(0, 100),
            roles=st.just(("teacher",)) | st.just(()),
            pool_days=st.just((0, 4)) | st.just(()),
            native=st.booleans(),
        ),
        max_size=4,
        unique_by=lambda preset: preset.name,
    )
)
def test_what_is_exported_is_read_again_and_changes_nothing(presets: list[Preset]):
    found = parse(text_of(presets))
    plain = [msgspec.structs.replace(preset, id="", version=1) for preset in presets]
    assert found == plain
    assert plan(presets, found, remove=True) == []


def test_a_plan_says_what_is_made_changed_and_removed():
    stored = [Preset(id="1", name="a", version=3), Preset(id="2", name="b")]
    wanted = [Preset(name="a", width=800), Preset(name="c")]
    change = Step("change", Preset(id="1", name="a", width=800, version=3), (("width", 1440, 800),))
    assert plan(stored, wanted, remove=False) == [change, Step("create", wanted[1])]
    assert plan(stored, wanted, remove=True)[-1] == Step("delete", stored[1])
    assert plan(stored, [], remove=False) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not TOML"),
        ("name = 'x'", "[[preset]] only"),
        ("preset = 'x'", "[[preset]] only"),
        ("[[preset]]\nname = 'x'\nwide = 1", "`wide`"),
        ("[[preset]]\nwidth = 800", "`name`"),
        ("[[preset]]\nname = 'x'\nid = '1'", "given by the portal"),
        ("[[preset]]\nname = 'x'\npartition = 'viz'", "partition"),
        ("[[preset]]\nname = 'x'\n[[preset]]\nname = 'x'", "twice"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, said: str):
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert said in caught.value.detail
