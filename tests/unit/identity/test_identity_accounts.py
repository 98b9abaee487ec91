"""Which Unix account a person has."""

import os
import pwd

import pytest

from madang.identity import accounts
from madang.identity.accounts import AccountNotCreated, Accounts
from madang.identity.settings import IdentitySettings
from madang.kernel.commands import Completed
from madang.kernel.errors import CommandFailed, InvalidInput

UIDS = {"root": 0, "daemon": 1, "kim": 1000, "nobody": 65534}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """As root on a machine with a few accounts; useradd adds to them."""
    known = dict(UIDS)

    def getpwnam(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", known[name], known[name], "", f"/home/{name}", "/bin/bash"))

    async def run(arguments: list[str], **_more: object) -> Completed:
        assert arguments == ["useradd", "-m", "-s", "/bin/bash", "--", arguments[-1]]
        if arguments[-1] == "group":
            raise CommandFailed("useradd: exit status 9.\nuseradd: group group exists", exit_status=9)
        known[arguments[-1]] = 1001
        return Completed(tuple(arguments), 0, "", "")

    monkeypatch.setattr(accounts, "as_root", lambda: True)
    monkeypatch.setattr(accounts.pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(accounts.commands, "run", run)
    return known


async def test_as_root_the_account_of_the_same_name(machine: dict[str, int]) -> None:
    settle = Accounts(IdentitySettings()).settle
    assert await settle(None, "kim", create=True) == "kim"
    assert await settle("kim", "lee", create=False) == "kim"
    assert len(machine) == len(UIDS)


async def test_as_root_a_missing_account_is_created_for_a_new_person_only(machine: dict[str, int]) -> None:
    settle = Accounts(IdentitySettings()).settle
    with pytest.raises(InvalidInput) as caught:
        await settle("lee", "lee", create=False)
    assert "useradd" in caught.value.hint
    assert await settle(None, "lee", create=True) == "lee"
    assert machine["lee"] == 1001
    with pytest.raises(InvalidInput):
        await Accounts(IdentitySettings(create_accounts=False)).settle(None, "park", create=True)


@pytest.mark.parametrize("account", ["root", "daemon", "nobody"])
async def test_accounts_of_the_system_are_refused(machine: dict[str, int], account: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await Accounts(IdentitySettings()).settle(account, "kim", create=True)
    assert caught.value.extras["fields"][0]["field"] == "account"
    assert not accounts.ordinary(account)


@pytest.mark.parametrize("account", ["-R", "a b", "a:b", "../x", "a\0b", "\ud800", "x" * 33, "A"])
async def test_names_that_no_account_can_have(machine: dict[str, int], account: str) -> None:
    with pytest.raises(InvalidInput):
        await Accounts(IdentitySettings()).settle(account, "kim", create=True)


async def test_a_failing_useradd_is_no_fault_of_the_portal(machine: dict[str, int]) -> None:
    with pytest.raises(AccountNotCreated) as caught:
        await Accounts(IdentitySettings()).settle(None, "group", create=True)
    assert caught.value.status == 409
    assert "group exists" in caught.value.detail


async def test_as_an_ordinary_user_there_is_one_account() -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    room = Accounts(IdentitySettings())
    assert await room.settle(None, "kim", create=True) is None
    assert await room.settle(me, "kim", create=True) is None
    assert room.in_force("left over from another time") == me
    with pytest.raises(InvalidInput):
        await room.settle("somebody", "kim", create=True)
