"""A portal for machines, and clients of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from tests.support.accounts import AS_ROOT, make_account, remove_account
from tests.support.libvirt import DISK, GUEST_SECONDS, MEMORY, PrivateLibvirt
from tests.support.people import Client
from tests.support.portal import PortalProcess
from tests.support.waiting import eventually

Json = dict[str, Any]


class MachinePortal(PortalProcess):
    def __init__(self, libvirtd: PrivateLibvirt, **settings: str) -> None:
        self.libvirtd = libvirtd
        self._account: str | None = None  # of its people, where those of its libvirt are no people's
        chosen = {
            "MACHINES_HOSTS": json.dumps([f"here={libvirtd.uri}"]),
            "MACHINES_ACCOUNT": libvirtd.account or "",
            "MACHINES_FOLDER": str(libvirtd.pool),
            "MACHINES_ISO_FOLDERS": json.dumps([str(libvirtd.isos)]),
            "MACHINES_DOMAIN_TYPE": "qemu",
            "MACHINES_LOOK_SECONDS": "1.0",
            "MACHINES_BEAT_SECONDS": "0.5",
            "MACHINES_CATALOGUE_SECONDS": "0.5",
            "MACHINES_BACKUP_LOOK_SECONDS": "0.5",
            "MACHINES_SHUT_DOWN_SECONDS": "5.0",
            "MACHINES_MEMORY_BYTES": str(MEMORY),
            "MACHINES_DISK_BYTES": str(DISK),
            "MACHINES_CPUS": "1",
            "MACHINES_KEEP_FREE_BYTES": "1000000",
        }
        super().__init__(**chosen | settings)

    def add_person(self, name: str, *, role: str = "member", account: str | None = None) -> str:
        """Nothing of theirs runs outside of machines: any account will do, and the portal is to make none."""
        account = account or self.libvirtd.account
        if account is None and AS_ROOT:
            account = self._account = self._account or make_account(f"mdgs{os.getpid()}")
        return super().add_person(name, role=role, account=account)

    def close(self) -> None:
        super().close()
        if self._account is not None:
            remove_account(self._account)

    def client(self, name: str) -> MachineClient:
        return MachineClient(self.url, {"authorization": f"Bearer {self.token_for(name)}"})


class MachineClient(Client):
    """A person with machines."""

    def make(self, name: str = "web", **wish: Any) -> Json:
        answer = self.post("/api/vms", json={"name": name, **wish})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def machine(self, machine: str) -> Json:
        answer = self.get(f"/api/vms/{machine}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def change(self, machine: str, what: str, **wish: Any) -> Json:
        """What has to be done once it is answered."""
        answer = self.post(f"/api/vms/{machine}/{what}", json=wish)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def act(self, machine: str, action: str) -> Json:
        return self.change(machine, "action", action=action)

    def refused(self, machine: str, what: str, status: int, code: str, **wish: Any) -> Json:
        answer = self.post(f"/api/vms/{machine}/{what}", json=wish)
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
        assert answer.json()["hint"] or answer.json()["detail"]
        return dict(answer.json())

    def wait(self, machine: str, good: Callable[[Json], Any], seconds: float = GUEST_SECONDS) -> Json:
        """The machine once it is good."""
        last: Json = {}

        def look() -> bool:
            nonlocal last
            last = self.machine(machine)
            return bool(good(last))

        eventually(look, seconds, lambda: json.dumps(last) + self.get(f"/api/vms/{machine}/operations").text, pause=0.1)
        return last

    def until_state(self, machine: str, *states: str, seconds: float = GUEST_SECONDS) -> Json:
        return self.wait(machine, lambda one: one["state"] in states and not one["operation"], seconds)

    def codes(self, machine: str) -> list[str]:
        return [one["code"] for one in self.machine(machine)["suggestions"]]


def media(machine: Json) -> list[str | None]:
    return [medium["iso"] for medium in machine["current_media"]]
