"""What the tenant service answers, as this service reads it.

A tolerant reader: members that this build does not know are ignored, so that the tenant service may
be newer. A member that is missing or of another kind makes the whole answer unreadable.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Answer(BaseModel):
    """The base of every answer: camelCase outside, snake_case inside, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class AuditRow(Answer):
    """One audit row of the tenant service; what was erased of a person is None."""

    id: str
    occurred_at: datetime
    event: str
    event_version: int
    action: str
    severity: str
    outcome: str
    scope: str
    actor_type: str
    actor_id: str
    actor_role: str
    actor_email: str | None
    actor_name: str | None
    ip: str | None
    user_agent: str | None = None
    target_type: str
    target_id: str
    resource_type: str
    resource_id: str
    organization_id: str | None
    request_id: str
    session_ref: str | None = None
    justification_code: str | None = None
    reason: str
    ticket_ref: str
    predicate_digest: str | None = None
    predicate_shape: str | None = None
    row_count: int | None = None
    page_no: int | None = None
    details: Mapping[str, Any]
    chain: str
    chain_seq: int
    pair_id: str | None
    pii_commitment: str
    prev_hash: str
    hash: str


class AuditRows(Answer):
    data: list[AuditRow]


class AuditPlace(Answer):
    """Where a row of the tenant service stands in its chain."""

    previous_hash: str | None
    next_hash: str | None
    head_seq: int
    checkpoint: str | None
    checkpoint_seq: int | None


class AuditDetail(Answer):
    row: AuditRow
    twin: AuditRow | None
    place: AuditPlace | None = None


class CataloguedEvent(Answer):
    """One kind of event that the tenant service records."""

    event: str
    action: str
    severity: str
    scope: str
    version: int
    resource_type: str


class EventCount(Answer):
    event: str
    severity: str
    outcome: str
    count: int


class ActorCount(Answer):
    actor_type: str
    actor_id: str
    actor_email: str
    count: int


class AuditCountsAnswer(Answer):
    """How much the tenant service recorded in a period."""

    events: list[EventCount]
    actors: list[ActorCount]


class EventCatalogue(Answer):
    data: list[CataloguedEvent]


class DayCount(Answer):
    day: date
    count: int


class AuditActivity(Answer):
    data: list[DayCount]


class ChainBreak(Answer):
    """Where a chain of the tenant service is not what it was."""

    chain: str
    seq: int
    row_id: str
    differs: str
    column: str


class Anchors(Answer):
    state: str
    checked: int
    newest_at: datetime | None


class AuditProof(Answer):
    """What the tenant service found when it verified its own log."""

    ok: bool
    checked: int
    first_break: ChainBreak | None
    checkpoints: Anchors
    witness: Anchors


class TenantRow(Answer):
    """One line of the list (R-020)."""

    id: str
    slug: str
    name: str
    email: str
    plan: str
    status: str
    created_at: datetime
    credits_remaining: int | None
    owner_state: str


class PageInfo(Answer):
    next_cursor: str | None
    prev_cursor: str | None


class TenantPage(Answer):
    data: list[TenantRow]
    page: PageInfo


class CreatedTenant(Answer):
    """`accept_url` holds the invitation's secret; None when this answer is a replay of an earlier one."""

    org_id: str
    hosted_at: str
    expires_at: datetime
    accept_url: str | None = Field(repr=False)


class Owner(Answer):
    name: str
    email: str
    since: datetime
    last_sign_in_at: datetime | None


class PendingInvitation(Answer):
    id: str
    email: str
    role: str
    created_at: datetime
    expires_at: datetime


class ConnectedAccount(Answer):
    id: str
    provider: str
    display_name: str
    external_id: str
    status: str
    connected_at: datetime


class BillingSummary(Answer):
    remaining: int
    used: int
    granted: int
    reserved: int
    expires_next: datetime | None


class FeatureFlag(Answer):
    """`version` is 0 while nobody has set it."""

    key: str
    enabled: bool
    note: str
    updated_by: str | None
    updated_at: datetime | None
    version: int


class DetailCounts(Answer):
    members: int
    pending_invitations: int
    connected_accounts: int
    open_sessions: int


class TenantDetail(Answer):
    """One tenant (R-021, R-022). `billing` is None until it has an account; `recent_audit` is None for a
    role that may not read the audit log.
    """

    id: str
    slug: str
    name: str
    email: str
    plan: str
    currency: str
    status: str
    status_since: datetime | None
    status_reason: str | None
    purge_after: datetime | None
    purged_at: datetime | None
    hosted_at: str
    created_at: datetime
    created_by: str | None
    version: int
    owner: Owner | None
    pending_invitations: list[PendingInvitation]
    counts: DetailCounts
    connected_accounts: list[ConnectedAccount]
    billing: BillingSummary | None
    flags: list[FeatureFlag]
    recent_audit: list[AuditRow] | None


class TenantCounts(Answer):
    """R-018."""

    total: int
    active: int
    suspended: int
    pending_invitations: int


class TenantAttention(Answer):
    """What of all tenants wants looking at; `low_balances` is None for a role that does not see billing."""

    expiring_invitations: int
    low_balances: int | None
    partial_failures: int
