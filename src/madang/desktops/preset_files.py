"""Presets as a TOML file: what operators keep under version control. Pure: text and presets in, text and a plan out.

[[preset]]
name = "GPU"
launcher = "slurm"
partition = "viz"
time_limit_seconds = 14400
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from madang.desktops.preset import Preset, checked
from madang.kernel.errors import InvalidInput

# The portal gives these; a file that holds them would say something else after each change.
GIVEN = ("id", "version")


class Step(msgspec.Struct, frozen=True):
    """One thing to do so that what is stored is as the file says; `differences`: field, old value, new value."""

    do: Literal["create", "change", "delete"]
    preset: Preset
    differences: tuple[tuple[str, Any, Any], ...] = ()


def parse(text: str) -> list[Preset]:
    """The presets of a file. Raises InvalidInput that names the preset and what is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"This is not TOML: {error}.") from error
    tables = document.pop("preset", [])
    if document or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidInput("The file may hold tables [[preset]] only.", hint="madang presets export shows one.")
    found = [_preset(table, number) for number, table in enumerate(tables, 1)]
    names = [preset.name for preset in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput(f"The preset {twice!r} is there twice.")
    return found


def _preset(table: dict[str, Any], number: int) -> Preset:
    shown = f"preset {table.get('name', number)!r}"
    for key in GIVEN:
        if key in table:
            raise InvalidInput(f"{shown}: {key} is given by the portal.", hint="Leave it out.")
    try:
        return checked(msgspec.convert(table, Preset))
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{shown}: {error}.") from error
    except InvalidInput as error:
        raise InvalidInput(f"{shown}: {error.detail}", fields=error.extras["fields"]) from error


def text_of(presets: Sequence[Preset]) -> str:
    """The file of these presets; what is as everywhere is left out."""
    return "\n".join(_table(preset) for preset in presets)


def _table(preset: Preset) -> str:
    values, usual = msgspec.to_builtins(preset), msgspec.to_builtins(Preset(name=""))
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if key not in GIVEN and value != usual[key]]
    return "\n".join(["[[preset]]", *lines, ""])


def _value(value: Any) -> str:
    # TOML's strings, numbers, booleans and arrays of these are written as JSON's; but it wants DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def plan(stored: Sequence[Preset], wanted: Sequence[Preset], *, remove: bool) -> list[Step]:
    """What is to be done, by name; `remove`: also with those that the file does not name."""
    by_name = {preset.name: preset for preset in stored}
    steps: list[Step] = []
    for preset in wanted:
        old = by_name.pop(preset.name, None)
        if old is None:
            steps.append(Step("create", preset))
            continue
        new = msgspec.structs.replace(preset, id=old.id, version=old.version)
        if differences := _differences(old, new):
            steps.append(Step("change", new, differences))
    if remove:
        steps += [Step("delete", preset) for preset in by_name.values()]
    return steps


def _differences(old: Preset, new: Preset) -> tuple[tuple[str, Any, Any], ...]:
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    return tuple((key, before[key], after[key]) for key in before if before[key] != after[key])
