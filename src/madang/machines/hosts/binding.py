"""libvirt's Python module, loaded when it is first needed: without it the service starts all the same."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from madang.kernel.errors import SiteError


def is_there() -> bool:
    """Whether the module is installed here. It is not loaded: with all its libraries it takes 24 MB, which a portal
    without machines need not have."""
    return all(importlib.util.find_spec(name) is not None for name in ("libvirt", "libvirtmod"))


class _Module:
    """Stands for a module of Debian's python3-libvirt. Raises SiteError (libvirt_missing) where it is not."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        try:
            module = importlib.import_module(self._name)
        except ImportError as error:
            raise SiteError(
                f"Python cannot load libvirt here: {error}.",
                code="libvirt_missing",
                title="Machines cannot be reached",
                hint="An operator installs python3-libvirt and runs scripts/setup once more.",
            ) from error
        return getattr(module, attribute)


libvirt: Any = _Module("libvirt")
libvirt_qemu: Any = _Module("libvirt_qemu")
