"""Templates for everybody: seen among templates by all, cloned by all, and nothing else of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.daemons.machines.portal.disks import same, settled, write
from tests.daemons.machines.portal.house import Json, MachineClient, MachinePortal


def templates(kim: MachineClient) -> dict[str, Json]:
    return {one["id"]: one for one in kim.get("/api/vms/templates").json()}


def offered(park: MachineClient, name: str = "Golden") -> str:
    machine = str(park.make(name, notes="a secret")["id"])
    write(park.machine(machine)["disk_path"])
    assert park.change(machine, "template", template=True, everybody=True)["everybody"]
    return machine


def test_an_operator_offers_a_template_to_everybody(
    portal: MachinePortal, kim: MachineClient, lee: MachineClient, park: MachineClient
) -> None:
    golden = offered(park)
    own = kim.make("own")["id"]
    kim.change(own, "template", template=True)
    assert templates(kim).keys() == {golden, own} and templates(lee).keys() == {golden}
    seen = templates(kim)[golden]
    assert (seen["own"], seen["everybody"], templates(kim)[own]["own"]) == (False, True, True)
    assert "secret" not in str(seen) and "disk_path" not in seen

    # They see nothing else of it, and may do nothing else with it.
    assert golden not in [one["id"] for one in kim.get("/api/vms").json()]
    for path in ("", "/disk", "/operations", "/snapshots", "/backups", "/screenshot", "/disks", "/media"):
        assert kim.get(f"/api/vms/{golden}{path}").status_code == 404, path
    kim.refused(golden, "template", 404, "machine_not_found", template=True)
    kim.refused(golden, "backups", 404, "machine_not_found")
    assert kim.delete(f"/api/vms/{golden}", params={"name": "Golden"}).status_code == 404
    kim.refused(own, "template", 403, "forbidden", template=True, everybody=True)

    # A machine of it is theirs.
    whole = kim.post(f"/api/vms/{golden}/clone", json={"name": "whole"}).json()["id"]
    linked = lee.post(f"/api/vms/{golden}/clone", json={"name": "linked", "linked": True}).json()["id"]
    made = settled(kim, whole)
    assert (made["owner"]["id"], made["notes"], made["everybody"]) == (kim.machine(own)["owner"]["id"], "", False)
    assert settled(lee, linked)["linked"]
    assert same(made["disk_path"], park.machine(golden)["disk_path"])
    assert "same_identity" in lee.codes(linked)

    # Whose machines need it is not said, only how many.
    mine = park.post(f"/api/vms/{golden}/clone", json={"name": "of park", "linked": True}).json()["id"]
    settled(park, mine)
    refused = park.delete(f"/api/vms/{golden}", params={"name": "Golden"}).json()
    assert (refused["code"], refused["own"], refused["others"]) == ("has_clones", 1, 1)
    assert "of park" in refused["detail"] and "1 of other people" in refused["detail"]
    assert "linked" not in refused["detail"]
    park.refused(golden, "template", 409, "has_clones", template=False)

    # No more for everybody: what was made of it stays.
    assert not park.change(golden, "template", template=True, everybody=False)["everybody"]
    assert templates(kim).keys() == {own}
    assert kim.post(f"/api/vms/{golden}/clone", json={"name": "late"}).status_code == 404
    lee.act(linked, "start")
    lee.until_state(linked, "running")
    said = portal.cli("machines", "templates", MADANG_TOKEN=kim.headers["authorization"].split()[1]).stdout
    assert "own" in said and "Golden" not in said


def test_of_a_clone_and_a_deletion_at_once_one_is_refused(kim: MachineClient, park: MachineClient) -> None:
    """No clone is left without the disk that it needs."""
    for number in range(5):
        golden = offered(park, f"Golden {number}")
        with ThreadPoolExecutor(2) as both:
            cloning = both.submit(
                kim.post, f"/api/vms/{golden}/clone", json={"name": f"clone {number}", "linked": True}
            )
            deleting = both.submit(park.delete, f"/api/vms/{golden}", params={"name": f"Golden {number}"})
            cloned, deleted = cloning.result(), deleting.result()
        if cloned.status_code in (201, 202):
            assert deleted.status_code in (409, 412), (cloned.text, deleted.text)
            made = settled(kim, cloned.json()["id"])
            assert Path(made["disk_path"]).exists() and park.machine(golden)["state"] == "shut_off"
        else:
            assert cloned.status_code in (404, 409) and deleted.status_code in (202, 204), (cloned.text, deleted.text)
