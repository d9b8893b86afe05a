"""The states of a tenant: every way between them, and every way that there is not (data-model 2.7)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import ProblemError
from tenant_service.tenants.models import Currency, Organization, TenantStatus
from tenant_service.tenants.states import GRACE, Step, deleted, purged, restored, suspended, undeleted

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ACTIVE = Organization(
    id="org_1",
    slug="acme",
    name="Acme Inc",
    primary_email="bob@example.com",
    plan="free",
    currency=Currency.INR,
    status=TenantStatus.ACTIVE,
    created_by_operator_id="adm_1",
    created_at=NOW,
    updated_at=NOW,
)
Way = Callable[[Organization, Step], Organization]
SUSPENDED = suspended(ACTIVE, Step("adm_2", NOW, "unpaid"))
DELETED = deleted(ACTIVE, Step("adm_3", NOW, "asked to"))
BOTH = deleted(SUSPENDED, Step("adm_3", NOW, "asked to"))
PURGED = purged(DELETED, Step("system", NOW + GRACE))

LATER = Step("adm_9", NOW + timedelta(days=1), "because")
TABLE: list[tuple[str, Organization, Way, str]] = [
    ("active", ACTIVE, suspended, "suspended"),
    ("active", ACTIVE, restored, "same"),
    ("active", ACTIVE, deleted, "deleted"),
    ("active", ACTIVE, undeleted, "PURGED"),
    ("suspended", SUSPENDED, suspended, "same"),
    ("suspended", SUSPENDED, restored, "active"),
    ("suspended", SUSPENDED, deleted, "deleted"),
    ("deleted", DELETED, suspended, "TENANT_DELETED"),
    ("deleted", DELETED, restored, "TENANT_DELETED"),
    ("deleted", DELETED, deleted, "same"),
    ("deleted", DELETED, undeleted, "active"),
    ("suspended, then deleted", BOTH, undeleted, "suspended"),
    ("purged", PURGED, suspended, "TENANT_DELETED"),
    ("purged", PURGED, deleted, "same"),
    ("purged", PURGED, undeleted, "PURGED"),
]


@pytest.mark.parametrize(("state", "tenant", "way", "outcome"), TABLE)
def test_each_state_has_its_ways(state: str, tenant: Organization, way: Way, outcome: str) -> None:
    """G-10, G-11: suspend, restore, delete and undelete lead where the state table says, or nowhere."""
    assert led_to(tenant, way) == outcome, state


def led_to(tenant: Organization, way: Way) -> str:
    """The status after a step, `same` when nothing was changed, or the code of the refusal."""
    try:
        after = way(tenant, LATER)
    except ProblemError as refusal:
        return refusal.code
    if after is tenant:
        return "same"
    assert after.version == tenant.version + 1
    return after.status.value


def test_a_step_says_who_when_and_why() -> None:
    """G-10, G-11: the row keeps who suspended or deleted it, since when and for which reason."""
    assert (SUSPENDED.suspended_by, SUSPENDED.suspended_at, SUSPENDED.suspension_reason) == (
        "adm_2",
        NOW,
        "unpaid",
    )
    assert (BOTH.deleted_by, BOTH.status_since, BOTH.status_reason) == ("adm_3", NOW, "asked to")
    assert BOTH.purge_after == NOW + timedelta(days=30)


def test_nothing_of_a_suspension_is_left_after_it() -> None:
    """G-10: a restored tenant is the one that it was, but for its version."""
    back = restored(SUSPENDED, Step("adm_9", NOW))

    assert replace(back, version=ACTIVE.version) == ACTIVE


def test_the_time_of_grace_ends_on_the_microsecond() -> None:
    """G-11: until then a deletion can be undone, from then on not, whether or not the purge has run."""
    last = Step("adm_9", NOW + GRACE - timedelta(microseconds=1))

    assert undeleted(DELETED, last).status is TenantStatus.ACTIVE
    with pytest.raises(ProblemError, match="PURGED"):
        undeleted(DELETED, replace(last, at=NOW + GRACE))


def test_a_purge_leaves_no_person_and_no_free_text() -> None:
    """G-11: name, address and reasons go; id, slug, times and operators' ids stay."""
    gone = purged(BOTH, Step("system", NOW + GRACE))

    assert not {"bob@example.com", "Acme Inc", "unpaid", "asked to"} & set(map(str, vars_of(gone)))
    assert (gone.id, gone.slug, gone.suspended_by, gone.deleted_by) == ("org_1", "acme", "adm_2", "adm_3")


def vars_of(tenant: Organization) -> list[object]:
    return [getattr(tenant, name) for name in tenant.__dataclass_fields__]


@given(st.lists(st.tuples(st.sampled_from([suspended, restored, deleted, undeleted]), st.integers(0, 20))))
def test_no_sequence_of_steps_leads_to_a_row_that_cannot_be(steps: list[tuple[Way, int]]) -> None:
    """data-model 2.3: after any steps the status and the times agree, as the table's CHECKs ask."""
    tenant, at = ACTIVE, NOW
    for way, days in steps:
        at += timedelta(days=days)
        before = tenant
        try:
            tenant = way(tenant, Step("adm_1", at))
        except ProblemError:
            tenant = before

    is_deleted = tenant.status is TenantStatus.DELETED
    assert is_deleted == (tenant.deleted_at is not None) == (tenant.purge_after is not None)
    assert tenant.status is not TenantStatus.ACTIVE or tenant.suspended_at is None
    assert tenant.status is not TenantStatus.SUSPENDED or tenant.suspended_at is not None
