"""What is somebody else's is not there, in whatever route or WebSocket it is named. Routes and bodies are those of the
API's own description, so that a new one is asked too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from madang.kernel.ground import Ground
from madang.machines import definition
from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal
from tests.daemons.machines.portal.test_portal_edges import refusal

# For operators alone, whosever it is.
OPERATORS = "/api/vms/strangers"
PATTERNS = {"sha256": "0" * 64}


class Description:
    """The API's description of itself."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema

    def operations(self) -> list[tuple[str, str, Json]]:
        """Method, path and description of all that names something."""
        return [
            (method, path, what)
            for path, methods in self._schema["paths"].items()
            for method, what in methods.items()
            if re.match(r"/api/(vms|isos)\b", path) and "{" in path
        ]

    def asked(self, what: Json) -> Json:
        """What is needed to be understood at all."""
        needed = [one for one in what.get("parameters", ()) if one["in"] == "query" and one.get("required")]
        asked: Json = {"params": {one["name"]: self.example(one["schema"], one["name"]) for one in needed}}
        content = what.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            asked["json"] = self.example(content["application/json"]["schema"])
        elif content:
            asked["content"] = b"x"
        return asked

    def example(self, schema: Json, name: str = "") -> Any:
        if "$ref" in schema:
            return self.example(self._schema["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
        for choice in ("oneOf", "anyOf", "allOf"):
            if choice in schema:
                return self.example(next(one for one in schema[choice] if one.get("type") != "null"), name)
        if "enum" in schema or "const" in schema:
            return schema.get("const", next(iter(schema.get("enum", [None]))))
        kind = schema.get("type", "object")
        if kind == "object":
            properties = schema.get("properties", {})
            return {one: self.example(properties[one], one) for one in schema.get("required", ())}
        if kind == "array":
            return [self.example(schema["items"], name)] * max(schema.get("minItems", 1), 1)
        if kind == "string":
            return PATTERNS.get(name, "x" * max(schema.get("minLength", 1), 1))
        return {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": True}[kind]


@pytest.fixture
def theirs(kim: MachineClient, some_iso: Path) -> Iterator[dict[str, str]]:
    """One of each kind of thing that Kim has, by its name in the API's paths."""
    machine = kim.make(iso_path=str(some_iso))["id"]
    kim.change(machine, "backups")
    kim.change(machine, "snapshots", title="Before")
    kim.change(machine, "disks", name="data", size_gb=1)
    base = f"/api/vms/{machine}"
    preset = kim.post("/api/vms/boot-presets", json={"name": "Mine", "boot_order": "hd"}).json()
    wish = {"name": "mine.iso", "size": 100_000, "sha256": "0" * 64}
    things = {
        "machine_id": machine,
        "operation_id": kim.get(f"{base}/operations").json()[0]["id"],
        "backup_id": kim.get(f"{base}/backups").json()[0]["id"],
        "name": kim.get(f"{base}/snapshots").json()[0]["name"],
        "disk_id": kim.get(f"{base}/disks").json()[0]["id"],
        "preset_id": preset["id"],
        "upload_id": kim.post("/api/isos/uploads", json=wish).json()["id"],
        "person_id": kim.get("/api/identity/me").json()["person"]["id"],
    }
    yield things
    kim.delete(f"/api/isos/uploads/{things['upload_id']}")


def everything(kim: MachineClient, machine: str) -> list[Any]:
    paths = ("", "/operations", "/backups", "/snapshots", "/disks", "/media", "/boot-order")
    mine = ("/api/vms/boot-presets", "/api/isos/uploads", "/api/vms/backups", "/api/vms/disks", "/api/isos")
    return [kim.get(path).json() for path in (*(f"/api/vms/{machine}{path}" for path in paths), *mine)]


def test_what_is_somebody_elses_is_not_there_in_any_route(
    kim: MachineClient, lee: MachineClient, theirs: dict[str, str]
) -> None:
    api = Description(kim.get("/api/openapi.json").json())
    machine = theirs["machine_id"]
    kim.wait(machine, lambda one: not one["operation"])
    before = everything(kim, machine)
    asked = []
    for method, path, what in api.operations():
        names = re.findall(r"{(\w+)}", path)
        assert set(names) <= set(theirs), f"{path}: what is this? One of Kim's is needed here."
        url = path
        for name in names:
            url = url.replace(f"{{{name}}}", theirs[name])
        answer = lee.request(method, url, **api.asked(what))
        if path.startswith(OPERATORS):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path, answer.text)
            continue
        assert answer.status_code == 404, (method, path, answer.text)
        if "machine_id" in names:
            assert answer.json()["code"] == "machine_not_found", (method, path, answer.text)
        # The same as for one that never was: nobody learns what there is.
        never = lee.request(method, url.replace(theirs[names[0]], "0" * len(theirs[names[0]])), **api.asked(what))
        assert (never.status_code, never.json()["code"]) == (404, answer.json()["code"]), (method, path)
        asked.append(path)
    assert {"/api/vms/{machine_id}/action", "/api/isos/uploads/{upload_id}"} <= set(asked)
    assert everything(kim, machine) == before, "nothing of it has changed"
    for path in ("/api/vms", "/api/vms/backups", "/api/vms/disks", "/api/isos/uploads"):
        assert lee.get(path, params={"all": True}).json() == []


def test_nor_in_any_websocket(
    portal: MachinePortal, kim: MachineClient, lee: MachineClient, park: MachineClient
) -> None:
    async def sockets(ground: Ground) -> list[str]:
        return list(definition.assemble(ground).sockets)

    doors = portal.on_ground(sockets)
    assert len(doors) >= 2
    machine = kim.make()["id"]
    kim.act(machine, "start")
    kim.until_state(machine, "running")
    for door in doors:
        assert asyncio.run(refusal(portal, lee, door + machine)) == 404
        assert asyncio.run(refusal(portal, park, door + machine)) == 404, "operators see no screen"
        assert asyncio.run(refusal(portal, None, door + machine)) in (401, 403)
        for nothing in ("0" * 36, "../" + machine, machine + "/", "%00", ""):
            assert asyncio.run(refusal(portal, lee, door + nothing)) == 404
