"""HTTP of presets: everybody reads those they may use, operators change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post, put
from litestar.params import Parameter

from madang.desktops.cluster import Clusters
from madang.desktops.preset import Preset
from madang.desktops.service import Desktops
from madang.identity.administration import need
from madang.identity.model import Visitor
from madang.kernel.problems import problems

PresetId = Annotated[str, Parameter(max_length=20, description="Id of a preset.")]


class PresetView(Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A preset, and what the portal has to say of it; what is sent back of that counts nothing."""

    built_in: bool = False  # from the settings, while operators have made none
    warnings: Annotated[tuple[str, ...], msgspec.Meta(max_length=20)] = ()  # what of it the cluster does not have


class PresetViews:
    """Presets as this or that person sees them."""

    def __init__(self, desktops: Desktops, clusters: Clusters) -> None:
        self._presets = desktops.presets
        self._clusters = clusters

    async def of(self, visitor: Visitor, *, everybody: bool = False) -> list[PresetView]:
        """Those that they may use; all of them for operators who ask for `everybody`'s."""
        manages = visitor.may("desktops.manage")
        whole = everybody and manages
        found = await (self._presets.all() if whole else self._presets.offered(visitor.person))
        return [await self.one(preset, manages=manages, whole=whole) for preset in found]

    async def one(self, preset: Preset, *, manages: bool = True, whole: bool = True) -> PresetView:
        values = msgspec.structs.asdict(preset)
        if not manages:
            values["people"] = ()  # who else may use it is nobody else's business
        warnings = await self._clusters.warnings(preset) if whole else ()
        return PresetView(**values, built_in=self._presets.built_in(preset), warnings=tuple(warnings))


def preset_routes(desktops: Desktops, clusters: Clusters) -> Sequence[Any]:
    presets, views, audit = desktops.presets, PresetViews(desktops, clusters), desktops.audit

    @get("/presets", operation_id="listPresets", summary="What desktops may be started from", responses=problems(401))
    async def list_presets(
        visitor: Visitor,
        everybody: Annotated[bool, Parameter(query="all", description="Also those of others (operators).")] = False,
    ) -> list[PresetView]:
        return await views.of(visitor, everybody=everybody)

    @post(
        "/presets",
        operation_id="createPreset",
        summary="Add a preset (operators); id and version are given by the portal",
        responses=problems(401, 403, 409, 422),
    )
    async def create(visitor: Visitor, data: PresetView) -> PresetView:
        need(visitor, "desktops.manage")
        made = await presets.create(visitor, _preset(data), audit)
        await desktops.pool_wants_a_look()
        await desktops.tell_everybody("presets", {})
        return await views.one(made)

    @put(
        "/presets/{preset_id:str}",
        operation_id="replacePreset",
        summary="Change a preset as a whole (operators); its version must be the stored one",
        responses=problems(401, 403, 404, 409, 422),
    )
    async def replace(visitor: Visitor, preset_id: PresetId, data: PresetView) -> PresetView:
        need(visitor, "desktops.manage")
        changed = await presets.replace(visitor, preset_id, _preset(data), audit)
        await desktops.pool_wants_a_look()
        await desktops.tell_everybody("presets", {})
        return await views.one(changed)

    @delete(
        "/presets/{preset_id:str}",
        operation_id="deletePreset",
        summary="Remove a preset (operators); desktops that were started from it go on",
        responses=problems(401, 403, 404, 409),
    )
    async def remove(visitor: Visitor, preset_id: PresetId) -> None:
        need(visitor, "desktops.manage")
        await presets.delete(visitor, preset_id, audit)
        await desktops.pool_wants_a_look()
        await desktops.tell_everybody("presets", {})

    return list_presets, create, replace, remove


def _preset(data: PresetView) -> Preset:
    values = msgspec.structs.asdict(data)
    return Preset(**{name: values[name] for name in Preset.__struct_fields__})
