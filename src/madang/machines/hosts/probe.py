"""Whether KVM really works: /dev/kvm and libvirt's capabilities promise it also where a guest then hangs."""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path
from typing import Any

from madang.machines.hosts.binding import libvirt

_LOOK_SECONDS = 0.1
_SECONDS = 8.0
_DOMAIN = """<domain type='kvm'>
  <name>madang-probe-{uuid}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><on_poweroff>destroy</on_poweroff>
  <devices>
    <serial type='file'><source path='{log}' append='on'/>
      <target type='isa-debug' port='1'><model name='isa-debugcon'/></target><address type='isa' iobase='0x402'/>
    </serial>
    <memballoon model='none'/>
  </devices>
</domain>"""


def kvm_works(connection: Any, folder: Path) -> bool:
    """Lets a guest without a disk run its firmware. Blocks for up to _SECONDS."""
    folder.mkdir(parents=True, exist_ok=True)
    name = str(uuid.uuid4())
    log = folder / f"probe-{name}.log"
    # It is there before anybody looks: on a file server's client what was missed once may stay so for half a minute.
    log.touch()
    log.chmod(0o666)  # QEMU may be another account
    try:
        domain = connection.createXML(_DOMAIN.format(uuid=name, log=log), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    except libvirt.libvirtError:
        log.unlink(missing_ok=True)
        return False
    try:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if b"No bootable device" in log.read_bytes():
                return True
            time.sleep(_LOOK_SECONDS)
        return False
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            domain.destroy()
        log.unlink(missing_ok=True)
