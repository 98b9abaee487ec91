"""HTTP of operators: limits, the maintenance notice, usage, the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from sqlalchemy.ext.asyncio import AsyncConnection

from madang.desktops.cluster import Clusters, ClusterView
from madang.desktops.notices import NoticeView, notice_view, parsed
from madang.desktops.policies import Enter, Notice, PersonLimit, SiteLimits
from madang.desktops.service import Desktops
from madang.desktops.usage import Share, Usage, as_csv, days
from madang.identity.administration import need
from madang.identity.model import Visitor, actor_of
from madang.kernel import clock
from madang.kernel.errors import InvalidInput
from madang.kernel.problems import problems

Day = Annotated[str, Parameter(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day (UTC) as 2026-11-20.")]


class LimitsView(SiteLimits, frozen=True, forbid_unknown_fields=True):
    """Limits, and what the settings say where `sessions_per_person` is null; that counts nothing when sent."""

    default_sessions_per_person: int = 0


def operator_routes(desktops: Desktops, usage: Usage, clusters: Clusters) -> Sequence[Any]:
    return [*_limits(desktops), *_notice(desktops), *_usage(usage), _cluster(clusters)]


def _limits(desktops: Desktops) -> Sequence[Any]:
    def shown(limits: SiteLimits) -> LimitsView:
        values = msgspec.structs.asdict(limits)
        return LimitsView(**values, default_sessions_per_person=desktops.limits.sessions_per_person)

    @get(
        "/limits", operation_id="desktopLimits", summary="Limits on running desktops (operators)",
        responses=problems(401, 403),
    )  # fmt: skip
    async def limits(visitor: Visitor) -> LimitsView:
        need(visitor, "desktops.manage")
        return shown(await desktops.policies.limits())

    @put(
        "/limits", operation_id="setDesktopLimits", summary="Set them, for what is started from now on (operators)",
        responses=problems(401, 403, 422),
    )  # fmt: skip
    async def set_limits(visitor: Visitor, data: LimitsView) -> LimitsView:
        need(visitor, "desktops.manage")
        new = SiteLimits(data.sessions_per_person, data.sessions_of_site, _once_each(data.people))
        said = msgspec.json.encode(new).decode()
        await desktops.policies.set_limits(new, _entry(desktops, visitor, "desktops.limits", said))
        return shown(new)

    return limits, set_limits


def _once_each(people: Sequence[PersonLimit]) -> tuple[PersonLimit, ...]:
    names = [one.name for one in people]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput(f"{twice!r} is there twice.", fields=[{"field": "people", "message": "has somebody twice"}])
    return tuple(sorted(people, key=lambda one: one.name))


def _notice(desktops: Desktops) -> Sequence[Any]:
    @get(
        "/notice", operation_id="desktopNotice", summary="The maintenance notice, or null",
        responses={200: ResponseSpec(NoticeView, description="The notice", generate_examples=False), **problems(401)},
    )  # fmt: skip
    async def notice(visitor: Visitor) -> Response[Any]:
        return _json(notice_view(await desktops.policies.notice(), clock.now()))

    @put(
        "/notice", operation_id="setDesktopNotice", summary="Set the maintenance notice; no text takes it away",
        responses={
            200: ResponseSpec(NoticeView, description="The notice", generate_examples=False),
            **problems(401, 403, 422),
        },
    )  # fmt: skip
    async def set_notice(visitor: Visitor, data: NoticeView) -> Response[Any]:
        need(visitor, "desktops.manage")
        new = parsed(data) if data.text.strip() else Notice()
        await desktops.policies.set_notice(new, _entry(desktops, visitor, "desktops.notice", new.text))
        shown = notice_view(new, clock.now())
        await desktops.tell_everybody("notice", {"notice": shown})
        return _json(shown)

    return notice, set_notice


def _entry(desktops: Desktops, visitor: Visitor, action: str, detail: str) -> Enter:
    async def enter(connection: AsyncConnection) -> None:
        await desktops.audit.enter(connection, actor_of(visitor), action, desktops.service, detail=detail)

    return enter


def _json(value: Any) -> Response[Any]:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _usage(usage: Usage) -> Sequence[Any]:
    async def found(visitor: Visitor, first: str | None, last: str | None) -> Sequence[Share]:
        need(visitor, "desktops.manage")
        today = datetime.now(UTC).date()
        return await usage.shares(days(_day("from", first), _day("to", last), today))

    @get(
        "/usage",
        operation_id="desktopUsage",
        summary="Who used how much (operators); the last 30 days unless said otherwise",
        responses=problems(401, 403, 422),
    )
    async def shares(
        visitor: Visitor,
        first: Annotated[Day | None, Parameter(query="from")] = None,
        last: Annotated[Day | None, Parameter(query="to")] = None,
    ) -> list[Share]:
        return list(await found(visitor, first, last))

    @get(
        "/usage.csv",
        operation_id="desktopUsageCsv",
        summary="The same as CSV",
        media_type="text/csv",
        responses={
            200: ResponseSpec(None, description="CSV", media_type="text/csv", generate_examples=False),
            **problems(401, 403, 422),
        },
    )
    async def table(
        visitor: Visitor,
        first: Annotated[Day | None, Parameter(query="from")] = None,
        last: Annotated[Day | None, Parameter(query="to")] = None,
    ) -> Response[str]:
        body = as_csv(await found(visitor, first, last))
        names = {"content-disposition": 'attachment; filename="usage.csv"'}
        return Response(body, media_type="text/csv; charset=utf-8", headers=names)

    return shares, table


def _day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{field} is no day.", fields=[{"field": field, "message": "is no day"}]) from error


def _cluster(clusters: Clusters) -> Any:
    @get(
        "/cluster",
        operation_id="desktopCluster",
        summary="The cluster that desktops are started on (operators)",
        responses=problems(401, 403, 503),
    )
    async def cluster(visitor: Visitor) -> ClusterView:
        need(visitor, "desktops.manage")
        return await clusters.view()

    return cluster
