"""Machines and operations as rows of the database, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import RowMapping

from madang.kernel.errors import Failure
from madang.machines.model import (
    BackupPlan,
    Installation,
    Machine,
    Medium,
    Operation,
    OperationState,
    Run,
    Share,
    State,
)

_texts = msgspec.json.Decoder(tuple[str, ...])
# Those columns that hold a structure, as JSON; NULL where there is None.
_OF_MACHINES: dict[str, msgspec.json.Decoder[Any]] = {
    "media": msgspec.json.Decoder(tuple[Medium, ...]),
    "missing": _texts,
    "run": msgspec.json.Decoder(Run),
    "outside": _texts,
    "dismissed": _texts,
    "shares": msgspec.json.Decoder(tuple[Share, ...]),
    "failure": msgspec.json.Decoder(Failure),
    "backup_plan": msgspec.json.Decoder(BackupPlan),
}
_OF_OPERATIONS: dict[str, msgspec.json.Decoder[Any]] = {
    "given": msgspec.json.Decoder(dict[str, str | int | bool | None]),
    "result": msgspec.json.Decoder(dict[str, str | int | float | bool | None]),
    "failure": msgspec.json.Decoder(Failure),
}


def row_of(machine: Machine) -> dict[str, Any]:
    row = msgspec.structs.asdict(machine)
    row |= {"state": machine.state.value, "installation": machine.installation.value}
    return row | _encoded(row, _OF_MACHINES)


def machine_of(row: RowMapping) -> Machine:
    values = dict(row) | _decoded(row, _OF_MACHINES)
    values |= {"state": State(values["state"]), "installation": Installation(values["installation"])}
    return Machine(**values)


def row_of_operation(operation: Operation) -> dict[str, Any]:
    row = msgspec.structs.asdict(operation)
    return row | {"state": operation.state.value} | _encoded(row, _OF_OPERATIONS)


def operation_of(row: RowMapping) -> Operation:
    return Operation(**dict(row) | _decoded(row, _OF_OPERATIONS) | {"state": OperationState(row["state"])})


def _encoded(row: dict[str, Any], names: dict[str, Any]) -> dict[str, bytes | None]:
    return {name: msgspec.json.encode(row[name]) if row[name] is not None else None for name in names}


def _decoded(row: RowMapping, decoders: dict[str, msgspec.json.Decoder[Any]]) -> dict[str, Any]:
    return {name: decoder.decode(row[name]) if row[name] else None for name, decoder in decoders.items()}
