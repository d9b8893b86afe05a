"""Who is named as the actor of an audit row."""

import pytest

from service_kit.audit.events import (
    SYSTEM,
    Actor,
    ActorType,
    AuditEntry,
    EventType,
    Outcome,
    Severity,
    Visibility,
)
from service_kit.identity.model import InternalIdentity, Role

PERSON = InternalIdentity(
    subject="sub-1", email="ada@example.com", name="Ada", audience="kit", token_id="t", expires_at=0
)


@pytest.mark.parametrize("role", Role)
def test_an_operator_is_named_by_id_and_role(role: Role) -> None:
    """R-126: actor_type=global_admin and actor_id=operator.id, never the subject or the email."""
    operator = InternalIdentity(
        subject="sub-1",
        email="ada@example.com",
        name="Ada",
        audience="kit",
        token_id="t",
        expires_at=0,
        operator_id="adm_1",
        role=role,
    )

    assert Actor.of(operator) == Actor(ActorType.GLOBAL_ADMIN, "adm_1", role.value, "ada@example.com", "Ada")


def test_a_person_who_is_no_operator_is_anonymous() -> None:
    """A refused enrollment is told of the proven subject, without a role that nobody gave."""
    assert Actor.of(PERSON) == Actor(ActorType.ANONYMOUS, "sub-1", "", "ada@example.com", "Ada")


def test_a_command_is_the_system() -> None:
    """No person stands behind a command on the host."""
    assert (SYSTEM.type, SYSTEM.id, SYSTEM.role, SYSTEM.email) == (ActorType.SYSTEM, "system", "", "")


def test_an_entry_claims_nothing_that_it_was_not_given() -> None:
    """Defaults are empty, and no two entries share their details."""
    kind = EventType("tenant.created", "create_tenant", Severity.NOTICE, Visibility.DUAL, "tenant")
    first, second = AuditEntry(kind, SYSTEM, "org_1"), AuditEntry(kind, SYSTEM, "org_1")

    assert first.outcome is Outcome.SUCCESS
    assert (first.organization_id, first.reason, first.ip) == (None, "", "")
    assert first.details == {}
    assert first.details is not second.details
