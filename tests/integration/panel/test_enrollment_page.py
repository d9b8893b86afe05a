"""The page where a person becomes an operator, and the moment when the sidecar does not know it yet."""

from typing import Any

import pytest

from admin_service.panel.pages import enrollment
from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice

PERSON: dict[str, Any] = {"sub": "sub-noel", "email": "noel@example.com"}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrollment, "_AGAIN_SECONDS", 0.0)


async def add_noel(office: BackOffice) -> None:
    await office.add_operator(Role.SUPPORT, sub="sub-noel", name="noel", email="noel@example.com")


async def test_a_person_whom_nobody_knows_sees_the_form(office: BackOffice) -> None:
    """R-066: who has no row gets the form for the token."""
    page = await office.get("/enrollment", None, **PERSON)

    assert page.status == 200
    assert "token" in page.fields()


async def test_who_enrolled_before_the_sidecar_heard_of_it_comes_again(
    office: BackOffice, at_once: None
) -> None:
    """R-066: the table is ahead of the roster feed; the form would tell an operator to enroll."""
    await add_noel(office)
    path = "/enrollment"
    for times in range(1, 11):
        page = await office.get(path, None, **PERSON)
        path = page.headers["Location"]
        assert (page.status, path) == (303, f"/enrollment?again={times}")


async def test_the_wait_for_the_sidecar_ends(office: BackOffice, at_once: None) -> None:
    """A feed that stays silent is no endless chain of redirects: 503, and what to do."""
    await add_noel(office)
    page = await office.get("/enrollment?again=10", None, **PERSON)

    assert page.status == 503
    assert "ROSTER_UNAVAILABLE" in page.words
    assert "/enrollment" in page.links
    assert page.headers["Retry-After"] == "2"


@pytest.mark.parametrize("again", ["-1", "x", "١", "9" * 400, ""])
async def test_an_odd_count_begins_anew(office: BackOffice, at_once: None, again: str) -> None:
    """What a person types into the address ends nothing and breaks nothing."""
    await add_noel(office)
    page = await office.get(f"/enrollment?again={again}", None, **PERSON)

    assert page.headers["Location"] == "/enrollment?again=1"


async def test_the_sidecar_knows(office: BackOffice) -> None:
    """An operator has no use for the form."""
    page = await office.get("/enrollment?again=3", Role.SUPPORT)

    assert (page.status, page.headers["Location"]) == (303, "/manage")
