"""What is offered with one click."""

from typing import Any

import pytest

from madang.machines.model import Installation, State
from madang.machines.suggestions import suggestions
from tests.unit.machines.made import ISO, machine, media, run, running

INSTALLED = Installation.INSTALLED


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, ["insert_iso"]),
        ({"boot_order": "cdrom"}, ["no_medium"]),
        ({"boot_order": "cdrom", "dismissed": ("no_medium",)}, ["no_medium"]),
        ({"installation": INSTALLED}, ["cd_falls_through"]),
        ({"installation": INSTALLED, "boot_order": "hd"}, []),
        ({"installation": INSTALLED, "boot_order": "hd", "media": media(ISO)}, ["eject"]),
        ({"installation": INSTALLED, "media": media(ISO)}, ["disk_first", "eject"]),
        ({"installation": INSTALLED, "media": media(ISO), "dismissed": ("eject",)}, ["disk_first"]),
        ({"media": media(ISO)}, []),
        ({"media": media(ISO), "missing": (ISO,)}, ["medium_missing"]),
        ({"media": media(ISO), "installation": Installation.INSTALLING}, ["installer_again"]),
        (
            {"media": media(ISO), "installation": Installation.INSTALLING, "sign": "restart"},
            ["mark_installed", "disk_first"],
        ),
        ({"media": media(ISO), "installation": Installation.INSTALLING, "next_boot": "hd_cdrom"}, []),
        ({"media": media(ISO), "outside": ("boot_order",)}, ["changed_outside"]),
        ({"state": State.FAILED}, []),
        ({"state": State.CREATING}, []),
    ],
)
def test_what_is_offered(given: dict[str, Any], codes: list[str]):
    assert [one.code for one in suggestions(machine(**given))] == codes


def test_a_machine_that_runs_has_something_to_boot_from():
    assert suggestions(running()) == ()


def test_the_guest_can_take_its_disks_new_room_where_its_agent_answers():
    without, with_agent = running(grew_at=1.0), running(grew_at=1.0, run=run(agent=True))
    assert [(one.code, one.can_do) for one in suggestions(without)] == [("grow_inside", False)]
    assert [(one.code, one.can_do) for one in suggestions(with_agent)] == [("grow_inside", True)]
