"""The search over the people of all tenants, as the tenant service answers it to this one.

It keeps nothing: who was searched for and found passes through, and is recorded where it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from admin_service.tenant_answers import Answer
from admin_service.tenant_api import OnBehalf, TenantApi

_SEARCH: Final = "/internal/v1/support-search"


class Membership(Answer):
    """One tenant of a person; `status` is the tenant's."""

    org_id: str
    slug: str
    role: str
    status: str


class FoundPerson(Answer):
    user_id: str
    email: str
    name: str
    email_verified: bool
    memberships: tuple[Membership, ...]


class SearchBudget(Answer):
    """How many searches are left; at `reset_at` the next one comes back."""

    limit: int
    remaining: int
    reset_at: datetime
    tenants_told: bool = True
    """Whether tenants read of searches in their own log; told before a search only."""


class SearchAudit(Answer):
    event_id: str
    row_count: int


class NextPage(Answer):
    next_cursor: str | None


class FoundPeople(Answer):
    """One page of a search, with the audit row that tells of it."""

    data: tuple[FoundPerson, ...]
    page: NextPage
    audit: SearchAudit
    rate_limit: SearchBudget


class PredicateVerdict(Answer):
    matches: bool


@dataclass(frozen=True, slots=True)
class PersonQuery:
    """What the operator typed, unjudged; `field` is `email` or `q`."""

    field: str
    match: str
    text: str
    justification: str = ""
    ticket_ref: str = ""
    cursor: str = ""


class SupportSearch:
    """Asks in the operator's own name; the tenant service counts, records and refuses."""

    def __init__(self, tenants: TenantApi) -> None:
        self._tenants = tenants

    async def search(self, behalf: OnBehalf, query: PersonQuery) -> FoundPeople:
        """One page, which costs one search. Raises the tenant service's refusal, or UnavailableError."""
        body = {
            query.field: query.text,
            "match": query.match,
            "justification": query.justification,
            "ticketRef": query.ticket_ref,
            "cursor": query.cursor or None,
        }
        return await self._tenants.at(FoundPeople, _SEARCH, behalf, body)

    async def budget(self, behalf: OnBehalf) -> SearchBudget:
        """What is left; asking costs nothing."""
        return await self._tenants.at(SearchBudget, f"{_SEARCH}/budget", behalf)

    async def check(self, behalf: OnBehalf, event_id: str, params: Mapping[str, Any]) -> bool:
        """Whether a recorded search was for these values (R-124)."""
        body = {"eventId": event_id, "params": dict(params)}
        verdict = await self._tenants.at(PredicateVerdict, f"{_SEARCH}/predicate-check", behalf, body)
        return verdict.matches
