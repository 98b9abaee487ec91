"""HTTP of administrators: people and the audit trail."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, Parameter
from msgspec import UNSET

from madang.identity.audit import Audit
from madang.identity.model import Permission, Visitor, actor_of
from madang.identity.service import People
from madang.identity.shapes import (
    AuditEntry,
    ChangePersonBody,
    NewPerson,
    NewPersonBody,
    PersonShape,
    RecordId,
    SignInLink,
    audit_entry,
    person_shape,
)
from madang.kernel.errors import Forbidden
from madang.kernel.problems import problems

LARGEST_ID = 2**53 - 1  # what a page's numbers can hold


class PeopleRoutes(Controller):
    path = "/people"
    tags = ("people",)

    @get("/", operation_id="listPeople", summary="Everybody, by name", responses=problems(401, 403, 503))
    async def list_people(
        self, visitor: NamedDependency[Visitor], people: NamedDependency[People]
    ) -> list[PersonShape]:
        need(visitor, "people.manage")
        return [person_shape(person) for person in await people.all()]

    @post(
        "/",
        operation_id="addPerson",
        summary="Add a person, who gets a one-time sign-in link",
        responses=problems(401, 403, 409, 422, 503),
    )
    async def add(
        self, visitor: NamedDependency[Visitor], data: JSONBody[NewPersonBody], people: NamedDependency[People]
    ) -> NewPerson:
        need(visitor, "people.manage")
        person, link = await people.add(
            actor_of(visitor),
            data.name,
            display_name=data.display_name,
            roles=tuple(data.roles),
            account=data.account,
        )
        return NewPerson(person_shape(person), link)

    @patch(
        "/{person:str}",
        operation_id="changePerson",
        summary="Change, disable or enable a person",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def change(
        self,
        visitor: NamedDependency[Visitor],
        person: RecordId,
        data: JSONBody[ChangePersonBody],
        people: NamedDependency[People],
    ) -> PersonShape:
        need(visitor, "people.manage")
        changed = await people.change(
            actor_of(visitor),
            person,
            display_name=data.display_name,
            roles=UNSET if data.roles is UNSET else tuple(data.roles),
            account=data.account,
            disabled=data.disabled,
        )
        return person_shape(changed)

    @post(
        "/{person:str}/reset-password",
        operation_id="resetPassword",
        summary="Take a password away and make a one-time sign-in link",
        status_code=200,
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def reset_password(
        self, visitor: NamedDependency[Visitor], person: RecordId, people: NamedDependency[People]
    ) -> SignInLink:
        need(visitor, "people.manage")
        return SignInLink(await people.reset_password(actor_of(visitor), person))


class AuditRoutes(Controller):
    path = "/audit"
    tags = ("people",)

    @get("/", operation_id="listAudit", summary="The audit trail, newest first", responses=problems(401, 403, 422, 503))
    async def trail(
        self,
        visitor: NamedDependency[Visitor],
        audit: NamedDependency[Audit],
        limit: Annotated[int, Parameter(ge=1, le=1000, description="At most so many.")] = 100,
        before: Annotated[
            int | None, Parameter(ge=1, le=LARGEST_ID, description="Only those older than the one with this id.")
        ] = None,
    ) -> list[AuditEntry]:
        need(visitor, "audit.read")
        return [audit_entry(entry) for entry in await audit.newest(limit, before)]


def need(visitor: Visitor, permission: Permission) -> None:
    """Raise Forbidden unless the visitor has it."""
    if not visitor.may(permission):
        raise Forbidden("Your roles do not include this.", hint="Ask an administrator.")
