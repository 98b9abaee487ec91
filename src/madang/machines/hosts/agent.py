"""The guest agent: what system runs in a machine, and letting it take the room of a grown disk. Everything blocks."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from madang.kernel.errors import Conflict
from madang.machines.hosts import domain_xml, domains, failures
from madang.machines.hosts.binding import libvirt, libvirt_qemu
from madang.machines.hosts.shapes import GuestSystem

_ROOTS = ("/", "C:\\")
_LOOK_SECONDS = 0.1
_GROW_SECONDS = 120.0
# In the guest, with what Debian's, Red Hat's and SUSE's minimal systems have. Prints what was there and what is now.
_GROW = r"""
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$(awk '$2 == "/" && $1 ~ "^/dev/" { print $1 " " $3 }' /proc/mounts | tail -n 1)
kind=${root##* } device=${root%% *}
[ "$device" ] || { echo 'The root file system is on no disk.' >&2; exit 3; }
[ "$device" != /dev/root ] || device=/dev/$(sed -n 's/^DEVNAME=//p' "/sys/dev/block/$(mountpoint -d /)/uevent")
name=$(basename "$(readlink -f "$device")")
number=$(cat "/sys/class/block/$name/partition" 2>/dev/null || true)
if [ "$number" ]; then
  disk=/dev/$(basename "$(dirname "$(readlink -f "/sys/class/block/$name")")")
  # The kernel refuses to read a table anew that is in use; it is told of the one partition.
  echo ', +' | sfdisk --quiet --no-reread --no-tell-kernel --force -N "$number" "$disk"
  if command -v partx >/dev/null; then partx -u --nr "$number" "$disk"; else blockdev --rereadpt "$disk"; fi
elif [ ! -d "/sys/block/$name" ] || [ -d "/sys/block/$name/dm" ]; then
  echo "The root file system is on $device, which is no plain partition." >&2; exit 3
fi
before=$(df -k / | awk 'NR == 2 { print $2 }')
case $kind in
  ext*) resize2fs "$device" ;;
  xfs) xfs_growfs / ;;
  btrfs) btrfs filesystem resize max / ;;
  *) echo "A file system of the kind $kind cannot be grown from here." >&2; exit 3 ;;
esac
echo "The file system had $before KB and has $(df -k / | awk 'NR == 2 { print $2 }') KB."
"""


def system(connection: Any, uuid: str, seconds: float) -> GuestSystem | None:
    """None when no agent answers."""
    domain = domains.find(connection, uuid)
    try:
        xml = domain.XMLDesc(0)
        if not domain_xml.agent_connected(domain_xml.read(xml)):
            return None
        domain.agentSetResponseTimeout(max(1, round(seconds)), 0)
        facts = domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_OS | libvirt.VIR_DOMAIN_GUEST_INFO_FILESYSTEM, 0)
    except libvirt.libvirtError as error:
        if _silent(error):
            return None
        raise
    disks = {drive.target for drive in domain_xml.parse(xml).disks}
    name = facts.get("os.pretty-name") or facts.get("os.name") or ""
    return GuestSystem(name=domain_xml.text(str(name)), root_on_disk=bool(disks & _root_drives(facts)))


def _root_drives(facts: dict[str, Any]) -> set[str]:
    """libvirt's names of the drives that the guest's root file system is on."""
    return {
        str(facts.get(f"fs.{place}.disk.{number}.alias", ""))
        for place in range(int(facts.get("fs.count", 0)))
        if facts.get(f"fs.{place}.mountpoint") in _ROOTS
        for number in range(int(facts.get(f"fs.{place}.disk.count", 0)))
    }


def grow(connection: Any, uuid: str, seconds: float) -> str:
    """What the guest said. Raises Conflict (agent_missing, cannot_grow)."""
    domain = domains.find(connection, uuid)
    if not domain.isActive():
        raise failures.not_running()
    if not domain_xml.agent_connected(domain_xml.read(domain.XMLDesc(0))):
        raise _missing()
    order = {"path": "/bin/sh", "arg": ["-c", _GROW], "capture-output": True}
    process = _ask(domain, "guest-exec", order, seconds)["pid"]
    deadline = time.monotonic() + _GROW_SECONDS
    while not (state := _ask(domain, "guest-exec-status", {"pid": process}, seconds))["exited"]:
        if time.monotonic() > deadline:
            raise _cannot(f"The guest was not done within {_GROW_SECONDS:g} s.")
        time.sleep(_LOOK_SECONDS)
    said, complaint = (_decoded(state.get(key, "")) for key in ("out-data", "err-data"))
    if state.get("exitcode") != 0:
        raise _cannot(complaint or said or "The guest's own tools failed.")
    return said.splitlines()[-1] if said else ""


def freeze(domain: Any, seconds: float) -> bool:
    """Lets the guest write all it has and write no more until `thaw`; False where no agent does that."""
    try:
        return _listens(domain, seconds) and bool(domain.fsFreeze() >= 0)
    except libvirt.libvirtError:
        thaw(domain)  # it may have frozen after all
        return False


def thaw_machine(connection: Any, uuid: str, seconds: float) -> None:
    """Silent where no agent answers, or nothing is frozen."""
    domain = domains.find(connection, uuid)
    if domain.isActive() and _listens(domain, seconds):
        domain.fsThaw()


def _listens(domain: Any, seconds: float) -> bool:
    """Whether an agent is there, which then has so long for each answer."""
    if not domain_xml.agent_connected(domain_xml.read(domain.XMLDesc(0))):
        return False
    domain.agentSetResponseTimeout(max(1, round(seconds)), 0)
    return True


def thaw(domain: Any) -> None:
    try:
        domain.fsThaw()
    except libvirt.libvirtError:
        return


def _ask(domain: Any, command: str, arguments: dict[str, Any], seconds: float) -> dict[str, Any]:
    order = json.dumps({"execute": command, "arguments": arguments})
    try:
        answer = json.loads(libvirt_qemu.qemuAgentCommand(domain, order, max(1, round(seconds)), 0))
    except libvirt.libvirtError as error:
        if _silent(error):
            raise _missing() from error
        raise _cannot(str(error)) from error
    found = answer.get("return")
    return found if isinstance(found, dict) else {}


def _silent(error: Any) -> bool:
    return error.get_error_code() in (
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_AGENT_UNSYNCED,
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    )


def _decoded(data: str) -> str:
    return domain_xml.printable(base64.b64decode(data).decode(errors="replace")).strip()


def _missing() -> Conflict:
    return Conflict(
        "The guest agent of the machine does not answer.",
        code="agent_missing",
        hint="Install and start qemu-guest-agent in it, or do it in the system by hand.",
    )


def _cannot(why: str) -> Conflict:
    return Conflict(
        why,
        code="cannot_grow",
        title="The system cannot take the new room by itself",
        hint="Extend its partition and file system in the system by hand.",
    )
