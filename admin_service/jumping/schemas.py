"""What comes in and goes out of the jump search."""

from typing import Annotated, Self

from pydantic import StringConstraints

from admin_service.jumping.finding import MOST_CHARACTERS, Jumps
from admin_service.operators.models import OperatorState
from service_kit.identity.model import Role
from service_kit.web.schemas import ApiModel, PlainText, QueryModel


class JumpQuery(QueryModel):
    """`q` is an id, a slug, or a part of a name."""

    q: Annotated[PlainText, StringConstraints(max_length=MOST_CHARACTERS)] = ""


class JumpTenant(ApiModel):
    id: str
    slug: str
    name: str
    status: str


class JumpPack(ApiModel):
    id: str
    name: str
    active: bool


class JumpOperator(ApiModel):
    id: str
    name: str
    email: str
    role: Role
    state: OperatorState


class JumpEvent(ApiModel):
    id: str
    event: str


class JumpResults(ApiModel):
    """A few hits of each kind that the caller may see; a kind that they may not see is empty.

    `offersPersonSearch` says that the text looks like an address: the recorded search would look for it.
    `partial` when the tenant service did not answer.
    """

    tenants: list[JumpTenant]
    packs: list[JumpPack]
    operators: list[JumpOperator]
    events: list[JumpEvent]
    offers_person_search: bool
    partial: bool

    @classmethod
    def of(cls, found: Jumps) -> Self:
        return cls(
            tenants=[
                JumpTenant(id=one.id, slug=one.slug, name=one.name, status=one.status)
                for one in found.tenants
            ],
            packs=[JumpPack(id=one.id, name=one.name, active=one.active) for one in found.packs],
            operators=[
                JumpOperator(id=one.id, name=one.name, email=one.email, role=one.role, state=one.state)
                for one in found.operators
            ],
            events=[JumpEvent(id=one.id, event=one.event) for one in found.events],
            offers_person_search=found.offers_person_search,
            partial=found.missing,
        )
