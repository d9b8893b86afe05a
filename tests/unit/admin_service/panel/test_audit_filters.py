"""The audit page's URL: what is applied, what is named as wrong, and what stays the same between pages."""

from datetime import UTC, datetime, timedelta

import pytest
from multidict import MultiDict
from yarl import URL

from admin_service.panel.pages.audit_filters import AS_OF, AuditRequest, read_audit_request
from admin_service.panel.views.audit import DEFAULT_RANGE, RANGE_OPTIONS

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
WHOLE = NOW.replace(microsecond=0)


def read(query: str) -> AuditRequest:
    return read_audit_request(URL(f"/manage/audit?{query}").query, NOW)


def test_the_default_range_is_applied_and_shown() -> None:
    """Without a word from the URL the default range is both in the filter and in the form (P-16)."""
    asked = read("")

    assert asked.filters.range == DEFAULT_RANGE
    assert asked.wanted.since is not None
    assert asked.wanted.since < WHOLE
    assert asked.complaint == ""


@pytest.mark.parametrize("name", [name for name, _label in RANGE_OPTIONS])
def test_every_range_of_the_page_can_be_read(name: str) -> None:
    """Each chip leads to a range that the reader knows."""
    asked = read(f"range={name}")

    assert asked.filters.range == name
    assert asked.complaint == ""
    assert (asked.wanted.since is None) == (name == "all")


def test_every_filter_reaches_the_log() -> None:
    """What the form shows is what the log is asked; an address counts in lower case (R-048)."""
    asked = read(
        "event=tenant.*&action=create_tenant&actorEmail=Ada@Example.com&resourceType=tenant"
        "&resourceId=org_1&severity=NOTICE&outcome=success&range=all"
    )

    wanted = asked.wanted
    assert (wanted.event, wanted.action, wanted.actor_email) == (
        "tenant.*",
        "create_tenant",
        "ada@example.com",
    )
    assert (wanted.resource_type, wanted.resource_id) == ("tenant", "org_1")
    assert (wanted.severity, wanted.outcome, wanted.scope) == ("NOTICE", "success", "global")
    assert asked.filters.actor_email == "Ada@Example.com"


def test_one_tenant_is_read_from_its_own_rows() -> None:
    """The platform's rows name no organization, so a tenant's filter reads the tenant's rows (R-126)."""
    assert read("organizationId=org_1").wanted.scope == "tenant"


def test_dates_are_whole_days_and_replace_the_range() -> None:
    """Both typed days are included, in UTC."""
    asked = read("from=2025-12-30&to=2025-12-31&range=24h")

    assert asked.wanted.since == datetime(2025, 12, 30, tzinfo=UTC)
    assert asked.wanted.until == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "severity=HIGH",
        "outcome=maybe",
        "range=1y",
        "from=yesterday",
        "from=2026-02-30",
        "from=20260101",
        "to=0001-01-01",
        "to=9999-12-31",
        "action=a&action=b",
        "resourceId=a%00b",
        "resourceId=a%0a.",
        f"event={'x' * 321}",
    ],
)
def test_a_filter_that_makes_no_sense_is_named(query: str) -> None:
    """It is not applied, and the page says so: a list never looks filtered when it is not."""
    asked = read(query)

    assert query.split("=", maxsplit=1)[0] in asked.complaint
    assert asked.filters.chosen == {}


def test_a_range_begins_where_it_began_on_the_first_page() -> None:
    """An older page repeats the time of the first, so that its cursor still fits the filter."""
    first = read("range=24h")
    later = read_audit_request(
        MultiDict({"range": "24h", AS_OF: str(int(first.as_of.timestamp()))}), NOW + timedelta(hours=3)
    )

    assert later.wanted == first.wanted


@pytest.mark.parametrize("text", ["99999999999", "x", "-5", "1e9", "٣"])
def test_an_odd_time_does_no_harm(text: str) -> None:
    """A time in the future, or none at all, counts as now."""
    assert read_audit_request(MultiDict({AS_OF: text}), NOW).as_of == WHOLE
