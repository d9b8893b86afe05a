"""Making a tenant: organization, owner invitation and both audit rows, or none of them (R-100…R-104).

The letter to the owner goes into the outbox with them, and leaves after the commit (R-105). It sends no
mail and opens no session; nobody but an operator with `tenant.create` comes here.
"""

import json
from dataclasses import dataclass
from typing import Final

from service_kit.audit.events import AuditEntry
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.ids import IdFactory
from service_kit.jobs.outbox import Outbox
from service_kit.web.idempotency import IdempotencyStore, IdempotentRequest, StoredAnswer, hash_of
from tenant_service.asking import Asker
from tenant_service.events import TENANT_CREATED
from tenant_service.hosts import TenantHosts
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.mail import Invited, invitation_message
from tenant_service.invitations.models import (
    INVITATION_LIFETIME,
    Invitation,
    InvitationRole,
    InvitationStatus,
)
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.recording import Recorder
from tenant_service.tenants.errors import slug_refusal
from tenant_service.tenants.models import Organization, TenantStatus
from tenant_service.tenants.repository import TenantRepository
from tenant_service.tenants.schemas import CreatedTenant, NewTenant, ReplayedTenant
from tenant_service.tenants.slugs import SlugRule, broken_rule, candidates

_ROUTE: Final = "POST /api/admin/tenants"
_CREATED: Final = 201
_MOST_SUGGESTIONS: Final = 3


class _SlugRefusedError(Exception):
    """A slug cannot be had; free ones are looked up outside the transaction that found out."""

    def __init__(self, rule: SlugRule) -> None:
        super().__init__(rule.value)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class _Made:
    """What the transaction inserts."""

    organization: Organization
    invitation: Invitation
    code: InvitationCode


@dataclass(frozen=True, slots=True)
class TenantCreation:
    """The one way in which a tenant comes to be (R-101)."""

    database: Database
    tenants: TenantRepository
    invitations: InvitationRepository
    recorder: Recorder
    outbox: Outbox
    idempotency: IdempotencyStore
    ids: IdFactory
    clock: Clock
    hosts: TenantHosts
    reserved_slugs: frozenset[str]

    async def create(self, asker: Asker, wish: NewTenant, *, key: str | None) -> CreatedTenant:
        """Make the tenant; give the stored answer again when the key was used for the same wish.

        Raises SlugInvalidError, SlugConflictError, and the errors of `IdempotencyStore.begin`.
        """
        try:
            async with self.database.write() as session:
                return await self._create_once(session, asker, wish, key)
        except _SlugRefusedError as error:
            raise slug_refusal(error.rule, await self._free_slugs(wish)) from None

    async def _create_once(
        self, session: WriteSession, asker: Asker, wish: NewTenant, key: str | None
    ) -> CreatedTenant:
        request = _request(asker, wish, key)
        stored = await self.idempotency.begin(session, request) if request else None
        if stored is not None:
            return ReplayedTenant.model_validate_json(json.dumps(stored.body))
        made = self._make(asker, wish)
        await self._insert(session, made)
        await self.outbox.put(session, invitation_message(_invited(made), self.hosts))
        if request is not None:
            answer = StoredAnswer(_CREATED, self._without_secret(made))
            await self.idempotency.finish(session, request, answer)
        # Last, because it locks the heads of the audit chains until the commit.
        await self.recorder.record(session, _entry(asker, wish, made))
        return self._answer(made)

    def _make(self, asker: Asker, wish: NewTenant) -> _Made:
        now, operator_id = self.clock.now(), asker.actor.id
        organization = Organization(
            id=self.ids.new("org"),
            slug=wish.slug,
            name=wish.name,
            primary_email=wish.primary_admin_email,
            plan=wish.plan,
            currency=wish.currency,
            status=TenantStatus.ACTIVE,
            created_by_operator_id=operator_id,
            created_at=now,
            updated_at=now,
        )
        code = InvitationCode.new(self.ids.new("inv"))
        invitation = Invitation(
            id=code.public_id,
            organization_id=organization.id,
            email=wish.primary_admin_email,
            role=InvitationRole.OWNER,
            status=InvitationStatus.PENDING,
            inviter_operator_id=operator_id,
            created_at=now,
            expires_at=now + INVITATION_LIFETIME,
        )
        return _Made(organization, invitation, code)

    async def _insert(self, session: WriteSession, made: _Made) -> None:
        slug = made.organization.slug
        rule = broken_rule(slug, self.reserved_slugs)
        if rule is not None:
            raise _SlugRefusedError(rule)
        if not await self.tenants.add(session, made.organization):
            raise _SlugRefusedError(SlugRule.TAKEN)
        # Only now: the insert waited for a deletion that was under way, and its tombstone can be seen.
        if await self.tenants.is_tombstoned(session, slug):
            raise _SlugRefusedError(SlugRule.TOMBSTONED)
        await self.invitations.add(session, made.invitation, secret_hash=made.code.secret_hash)

    async def _free_slugs(self, wish: NewTenant) -> list[str]:
        near = candidates(wish.slug, wish.name, self.reserved_slugs)
        async with self.database.read() as session:
            not_free = await self.tenants.not_free(session, near)
        return [slug for slug in near if slug not in not_free][:_MOST_SUGGESTIONS]

    def _answer(self, made: _Made) -> CreatedTenant:
        slug = made.organization.slug
        return CreatedTenant(
            org_id=made.organization.id,
            invitation_id=made.code.full,
            hosted_at=self.hosts.host(slug),
            accept_url=self.hosts.accept_url(slug, made.code.full),
            expires_at=made.invitation.expires_at,
        )

    def _without_secret(self, made: _Made) -> dict[str, object]:
        """What a replay may show: the public id of the invitation, and no link (data-model 2.5)."""
        shown = ReplayedTenant(
            org_id=made.organization.id,
            invitation_id=made.code.public_id,
            hosted_at=self.hosts.host(made.organization.slug),
            expires_at=made.invitation.expires_at,
        )
        return shown.model_dump(mode="json", by_alias=True)


def _invited(made: _Made) -> Invited:
    """The letter names no operator: who of the staff did it is no business of the tenant's."""
    organization, invitation = made.organization, made.invitation
    return Invited(
        email=invitation.email,
        role=invitation.role.value,
        organization_id=organization.id,
        organization_name=organization.name,
        slug=organization.slug,
        code=made.code,
        expires_at=invitation.expires_at,
    )


def _request(asker: Asker, wish: NewTenant, key: str | None) -> IdempotentRequest | None:
    if key is None:
        return None
    body = wish.model_dump(mode="json", by_alias=True)
    return IdempotentRequest(f"{asker.actor.id} {_ROUTE}", key, hash_of(body))


def _entry(asker: Asker, wish: NewTenant, made: _Made) -> AuditEntry:
    organization = made.organization
    return AuditEntry(
        event=TENANT_CREATED,
        actor=asker.actor,
        resource_id=organization.id,
        organization_id=organization.id,
        request_id=asker.request_id,
        ip=asker.ip,
        user_agent=asker.user_agent,
        reason=wish.reason,
        ticket_ref=wish.ticket_ref,
        details={
            "slug": organization.slug,
            "name": organization.name,
            "plan": organization.plan,
            "currency": organization.currency.value,
            "invitationId": made.invitation.id,
        },
        details_pii={"ownerEmail": made.invitation.email},
    )
