"""The page for finding a person with data: before a search, with people, and refused (P-15)."""

from dataclasses import replace
from datetime import timedelta

from admin_service.panel.layout import Frame
from admin_service.panel.views.parts import FieldError, Notice
from admin_service.panel.views.users import (
    BudgetLine,
    PeoplePage,
    PersonForm,
    PersonRow,
    PersonTenant,
    UsersView,
)
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import FRAME, NOW, READER

BUDGET = BudgetLine(60, 12, NOW + timedelta(minutes=31))
EMPTY = UsersView("form-token", budget=BUDGET)
TYPED = PersonForm("ann", "q:prefix", "Asked about an invoice", "SUP-2041")
ACME = PersonTenant("acme", "owner", "active", "org_01JD7Q2M4XK9V6T8R3N5B00001")
NORTH = PersonTenant("north-wind", "member", "suspended", "org_01JD7Q2M4XK9V6T8R3N5B00002")
PEOPLE = (
    PersonRow("Anna Zeller", "anna.zeller@acme.example", True, (ACME, NORTH)),
    PersonRow("Annika Roy", "annika@north-wind.example", False, (NORTH,)),
    PersonRow("Anne Holt", "anne.holt@former.example", True, ()),
)
PAGE = PeoplePage(PEOPLE, "aud_01JD7Q2M4XK9V6T8R3N5B00009", event_linked=True, next_cursor="next")
FOUND = replace(EMPTY, form=TYPED, found=PAGE)
SPENT = Notice(
    "warning",
    "Your searches of this hour are spent",
    "60 searches an hour; the next one is free in 912 seconds. That you asked again was recorded.",
)

USERS_PAGES = (
    Page("users", FRAME, EMPTY),
    Page("users-found", FRAME, FOUND),
    Page(
        "users-found-security",
        READER,
        replace(FOUND, found=replace(PAGE, rows=(replace(PEOPLE[0], tenants=(replace(ACME, org_id=""),)),))),
    ),
    Page("users-nobody", FRAME, replace(FOUND, found=replace(PAGE, rows=(), next_cursor=""))),
    Page(
        "users-refused",
        FRAME,
        replace(EMPTY, form=TYPED, errors=(FieldError("text", "Type at least three characters."),)),
    ),
    Page("users-spent", FRAME, replace(EMPTY, budget=replace(BUDGET, remaining=0), problem=SPENT)),
    Page("users-away", FRAME, UsersView("form-token", problem=replace(SPENT, tone="danger"))),
)


def hostile_users_pages(frame: Frame, text: str) -> tuple[Page, ...]:
    """The page with one text in every place where people typed."""
    tenant = PersonTenant(text, text, text, text)
    view = UsersView(
        text,
        PersonForm(text, text, text, text),
        BUDGET,
        PeoplePage((PersonRow(text, text, True, (tenant,)),), text, event_linked=True, next_cursor=text),
        (FieldError("text", text),),
        Notice("warning", text, text),
    )
    return (Page("users", frame, view),)
