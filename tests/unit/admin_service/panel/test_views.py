"""What views work out from what they were given: addresses, counts, summaries."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_service.panel.rendering import clock_text, day_text, iso_time, plural, utc_text, zoned_text
from admin_service.panel.views.audit import AuditFilters, AuditListView
from admin_service.panel.views.operators import time_left
from admin_service.panel.views.parts import FieldError, count_text, messages_by_field, page_url, path_segment
from admin_service.panel.views.problem import account_deactivated, internal, not_found, tenant_service_away
from tests.unit.admin_service.panel.sample_operators import DETAIL, TOKEN
from tests.unit.admin_service.panel.sample_values import EVENTS, OPERATORS, TENANT_LIST, TENANTS

INDIA = timezone(timedelta(hours=5, minutes=30))
LATE = datetime(2026, 11, 21, 20, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0 tenants"),
        (1, "1 tenant"),
        (8214, "8,214 tenants"),
        (10_000, "10,000 tenants"),
        (10_001, "about 10,000 tenants"),
        (12_345, "about 12,000 tenants"),
    ],
)
def test_a_large_count_does_not_look_exact(count: int, text: str) -> None:
    """http-api 3.0: counts are approximate above 10 000."""
    assert count_text(count, "tenant") == text


def test_one_state_of_a_page_has_one_address() -> None:
    """Empty parameters are left out, and values are quoted."""
    assert page_url("/manage/tenants", {"q": "", "status": None}) == "/manage/tenants"
    assert (
        page_url("/manage/tenants", {"q": "a&b=c d", "plan": "pro"})
        == "/manage/tenants?q=a%26b%3Dc+d&plan=pro"
    )


@given(st.text())
def test_an_id_is_always_one_segment(value: str) -> None:
    """No id or slug can add a path segment, a query or a fragment to a link."""
    assert not set("/?#\\ \r\n") & set(path_segment(value))


def test_a_chip_changes_one_filter_and_keeps_the_others() -> None:
    """State lives in the URL: choosing a status keeps search and plan (panel.md, rule 2)."""
    view = replace(TENANT_LIST, query="acme", status="active", plan="pro")

    assert [(choice.label, choice.selected) for choice in view.status_choices][:2] == [
        ("All", False),
        ("Active", True),
    ]
    assert view.status_choices[0].href == "/manage/tenants?q=acme&plan=pro"
    assert view.status_choices[2].href == "/manage/tenants?q=acme&status=suspended&plan=pro"
    assert view.plan_choices[0].href == "/manage/tenants?q=acme&status=active"
    assert view.filter_text == "q=acme status=active plan=pro"


def test_a_tenant_row_leads_to_its_page() -> None:
    """The row link is built from the id."""
    assert TENANTS[0].href == f"/manage/tenants/{TENANTS[0].id}"


def test_the_default_range_is_chosen_and_said() -> None:
    """P-16: the log opens with its default range chip on."""
    view = AuditListView(rows=())

    assert [choice.label for choice in view.range_choices if choice.selected] == ["90 days"]
    assert view.range_label == "in the last 90 days"


def test_a_range_chip_gives_up_typed_dates_and_keeps_the_rest() -> None:
    """Two dates and a range would contradict each other, so no chip is chosen while dates are typed."""
    view = AuditListView(
        rows=(), filters=AuditFilters(action="create_tenant", from_date="2026-11-01", to_date="2026-11-02")
    )

    assert not any(choice.selected for choice in view.range_choices)
    assert view.range_choices[1].href == "/manage/audit?action=create_tenant&range=7d"


def test_a_filter_can_be_removed_alone() -> None:
    """Each filter that is on links to the same list without it."""
    view = AuditListView(rows=(), filters=AuditFilters(action="create_tenant", outcome="denied", range="7d"))

    assert [removal[2] for removal in view.removals] == [
        "/manage/audit?outcome=denied&range=7d",
        "/manage/audit?action=create_tenant&range=7d",
    ]
    assert view.all_time == "/manage/audit?action=create_tenant&outcome=denied&range=all"


def test_details_are_short_in_the_row_and_whole_below() -> None:
    """Two members in the line, the number of the others, and the full JSON in a stable order."""
    row = replace(EVENTS[0], details={"b": "x" * 60, "a": {"n": 1}, "c": None})

    assert row.details_summary == f'b: {"x" * 39}…, a: {{"n": 1}} +1'
    assert row.details_json == '{\n  "a": {\n    "n": 1\n  },\n  "b": "' + "x" * 60 + '",\n  "c": null\n}'


def test_the_first_message_of_a_field_is_shown_beside_it() -> None:
    """The summary lists every error; the field shows one."""
    errors = (FieldError("slug", "first"), FieldError("slug", "second"), FieldError("name", "third"))

    assert messages_by_field(errors) == {"slug": "first", "name": "third"}


def test_times_speak_the_operators_zone_and_utc() -> None:
    """Rule 10: local text, UTC in the title, and the day is that of the zone."""
    assert zoned_text(LATE, INDIA) == "22 Nov 2026, 01:33"
    assert zoned_text(LATE, INDIA, seconds=True) == "22 Nov 2026, 01:33:04"
    assert clock_text(LATE, INDIA) == "01:33:04"
    assert day_text(LATE, INDIA) == "22 Nov 2026"
    assert day_text(date(2026, 11, 21)) == "21 Nov 2026"
    assert utc_text(LATE.astimezone(INDIA)) == "2026-11-21 20:03:04 UTC"
    assert iso_time(LATE.astimezone(INDIA)) == "2026-11-21T20:03:04Z"


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive time would be wrong by hours for somebody, so it never reaches a page."""
    with pytest.raises(ValueError, match="zone"):
        iso_time(LATE.replace(tzinfo=None))


@pytest.mark.parametrize(
    "left, words",
    [
        (timedelta(hours=24), "24 h"),
        (timedelta(hours=20, minutes=57, seconds=59), "20 h 57 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=-5), "less than a minute"),
    ],
)
def test_a_tokens_time_is_rounded_down(left: timedelta, words: str) -> None:
    """P-19: the countdown promises no minute that the token does not have."""
    assert time_left(left) == words


def test_only_the_steps_that_apply_are_offered() -> None:
    """P-20: a pending operator gets a new token, an active one a rebind, one who left a way back."""
    steps = {
        row.state: [link.label for link in replace(DETAIL, operator=row).actions]
        for row in OPERATORS
        if not row.is_you
    }

    assert steps == {
        "active": ["Change role", "Rebind", "Deactivate"],
        "pending": ["Change role", "New token", "Deactivate"],
        "deactivated": ["Reactivate"],
    }
    assert replace(DETAIL, operator=OPERATORS[0]).actions == ()


def test_the_message_to_send_holds_no_token() -> None:
    """R-069: the address, the role and the end of the token, and never the token; no repr shows it either."""
    assert TOKEN.token not in TOKEN.message
    assert TOKEN.token not in repr(TOKEN)
    assert "https://admin.example.com/enrollment" in TOKEN.message


def test_one_is_not_plural() -> None:
    """`1 member`, `1,204 members`."""
    assert (plural(1, "member"), plural(1204, "member"), plural(2, "entry", "entries")) == (
        "1 member",
        "1,204 members",
        "2 entries",
    )


def test_every_problem_says_what_changed_and_what_next() -> None:
    """Rule 12: what was and was not changed, and a next step."""
    for view in (account_deactivated(), internal(), not_found(), tenant_service_away()):
        assert view.changed
        assert view.next_steps
