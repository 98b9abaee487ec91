"""Presets: who may use them, what makes sense, and changes that do not run over each other."""

from typing import Any

import msgspec
import pytest

from madang.compute.launcher import Launcher
from madang.desktops.cluster import Clusters
from madang.desktops.preset import STANDARD, Preset, checked
from madang.desktops.presets import Choice
from madang.kernel.errors import Conflict, InvalidInput, NotFound
from tests.unit.desktops.house import House, visitor

BOSS = visitor("boss", "operator")


async def test_the_built_in_one_is_there_until_there_is_another(house: House):
    presets, audit = house.presets, house.desktops.audit
    assert [preset.id for preset in await presets.all()] == [STANDARD]
    made = await presets.create(BOSS, Preset(name=" Big ", width=1920), audit)
    assert [preset.name for preset in await presets.all()] == ["Big"]
    assert (await presets.pick(visitor().person, None)).id == made.id
    await presets.delete(BOSS, made.id, audit)
    assert [preset.id for preset in await presets.all()] == [STANDARD]
    with pytest.raises(NotFound):
        await presets.delete(BOSS, made.id, audit)


async def test_the_built_in_one_cannot_be_changed(house: House):
    with pytest.raises(Conflict) as caught:
        await house.presets.replace(BOSS, STANDARD, Preset(name="x"), house.desktops.audit)
    assert caught.value.code == "preset_built_in"


async def test_of_two_who_change_it_the_later_one_looks_again(house: House):
    presets, audit = house.presets, house.desktops.audit
    first = await presets.create(BOSS, Preset(name="Big"), audit)
    second = await presets.replace(BOSS, first.id, msgspec.structs.replace(first, width=1000), audit)
    assert second.version == 2
    with pytest.raises(Conflict) as caught:
        await presets.replace(BOSS, first.id, msgspec.structs.replace(first, width=2000), audit)
    assert (caught.value.code, caught.value.extras) == ("preset_changed", {"version": 2})
    assert (await presets.get(first.id)).width == 1000
    assert (await presets.replace(BOSS, first.id, second, audit)).version == 2, "nothing changed"


async def test_names_are_unique(house: House):
    presets, audit = house.presets, house.desktops.audit
    await presets.create(BOSS, Preset(name="Big"), audit)
    other = await presets.create(BOSS, Preset(name="Small"), audit)
    for attempt in (
        presets.create(BOSS, Preset(name="Big"), audit),
        presets.replace(BOSS, other.id, msgspec.structs.replace(other, name="Big"), audit),
    ):
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.code == "name_taken"


async def test_people_see_those_that_they_may_use(house: House):
    presets, audit = house.presets, house.desktops.audit
    for preset in (
        Preset(name="all", position=1),
        Preset(name="teachers", roles=("teacher",), position=2),
        Preset(name="kim's", people=("kim",), position=3),
        Preset(name="off", enabled=False, position=4),
    ):
        await presets.create(BOSS, preset, audit)

    async def names(*who: str) -> list[str]:
        return [preset.name for preset in await presets.offered(visitor(*who).person)]

    assert await names("kim") == ["all", "kim's"]
    assert await names("lee", "teacher") == ["all", "teachers"]
    assert await names("lee") == ["all"]
    foreign = next(preset for preset in await presets.all() if preset.name == "teachers")
    with pytest.raises(NotFound):
        await presets.pick(visitor("lee").person, foreign.id)


async def test_the_form_remembers_what_was_chosen(house: House):
    choice = Choice(STANDARD, 800, 600, 3600)
    await house.presets.remember("id-kim", choice)
    assert await house.presets.chosen("id-kim") == choice
    assert await house.presets.chosen("id-lee") is None
    assert {key: value[0] for key, value in (await house.presets.chosen_by_all()).items()} == {"id-kim": choice}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"time_limit_seconds": 7200, "longest_time_limit_seconds": 3600}, "time_limit_seconds"),
        ({"launcher": "slurm", "partition": "viz --uid=0"}, "partition"),
        ({"launcher": "slurm", "qos": "-x"}, "qos"),
        ({"partition": "viz"}, "partition"),
        ({"pool_from": "8"}, "pool_from"),
        ({"pool_from": "08:00"}, "pool_to"),
        ({"idle_stop_seconds": 5}, "idle_stop_seconds"),
        ({"roles": ("root",)}, "roles"),
        ({"people": ("Kim Lee",)}, "people"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(values: dict, field: str):
    with pytest.raises(InvalidInput) as caught:
        checked(Preset(**({"name": "x"} | values)))
    assert field in [each["field"] for each in caught.value.extras["fields"]]


class Cluster:
    """A launcher of which only the cluster is asked."""

    name, queues = "slurm", True

    async def described(self) -> dict[str, Any]:
        return {
            "scheduler": "slurm",
            "answers": True,
            "partitions": [{"name": "viz"}],
            "qos": [{"name": "normal"}],
            "reservations": [{"name": "school"}],
        }


async def test_what_the_cluster_does_not_have_is_said():
    launchers: dict[str, Launcher] = {"slurm": Cluster()}  # type: ignore[dict-item]
    clusters = Clusters(launchers)
    fits = Preset(name="x", launcher="slurm", partition="viz", qos="normal", charge="anything", reservation="school")
    assert await clusters.warnings(fits) == []
    wrong = Preset(name="x", launcher="slurm", partition="gpu,viz", qos="high", reservation="none")
    assert await clusters.warnings(wrong) == [
        "The cluster has no partition gpu.",
        "The cluster has no QoS high.",
        "The cluster has no reservation none.",
    ]
    assert await clusters.warnings(Preset(name="x")) == ["This site has no launcher local: nobody can start it now."]
    assert (await Clusters({}).view()).scheduler is None
