"""Forms whose COMMIT is kept while its answer is lost: no page says that nothing was changed, and a repeat
counts once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import text

from admin_service.app import DATABASE as ADMIN
from service_kit.db.session import Database, ReadSession, WriteSession
from service_kit.errors import ConflictError, UnavailableError
from service_kit.identity.model import Role
from tenant_service.app import DATABASE as TENANT
from tests.integration.panel.back_office import NEW, BackOffice, House, Shown, house
from tests.integration.panel.operator_forms import LIST, STEPS, add_gone, every_step, everybody, filled
from tests.integration.panel.test_billing_pages import (
    BILLING,
    REASON,
    acme,
    events,
    grant,
    packs,
    send,
    two_packs,
)

UNKNOWN = "Nobody knows yet whether"
SYSTEM_RUN = "/manage/system/workflows/tenant.sweep_sessions/run"


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[House]:
    """Both services, with a flag to switch."""
    async with house(tmp_path, FEATURE_FLAGS="voice") as running:
        yield running


def lose_one_commit(monkeypatch: pytest.MonkeyPatch, database: Database) -> list[bool]:
    """The next change that the panel asks for is kept, and its answer is lost; told when it was."""
    served, lost = database.write, list[bool]()

    @asynccontextmanager
    async def write() -> AsyncIterator[WriteSession]:
        async with served() as session:
            before = await recorded(session)
            yield session
            asked_for = await recorded(session) > before  # and not by a workflow that runs meanwhile
        if asked_for and not lost:
            lost.append(True)
            raise away()

    monkeypatch.setattr(database, "write", write)
    return lost


async def recorded(session: ReadSession) -> int:
    query = text("SELECT count(*) FROM audit_events WHERE request_id = 'req_panel1'")
    return int(await session.scalar(query))


def away() -> UnavailableError:
    return UnavailableError("DATABASE_UNAVAILABLE", "The database does not answer")


def assert_nobody_knows(page: Shown) -> None:
    assert page.status == 503
    assert UNKNOWN in page.words
    for false in ("Nothing was changed", "Nothing was granted yet", "was not created"):
        assert false not in page.words


class TestTheTenantService:
    """Its database went away after the COMMIT."""

    @pytest.fixture(autouse=True)
    def _patched(self, whole: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.whole, self.patch = whole, monkeypatch

    def lose(self) -> list[bool]:
        return lose_one_commit(self.patch, self.whole.tenant.apps.internal[TENANT])

    async def lost_and_repeated(self, path: str, **typed: str) -> tuple[Shown, Shown]:
        """Fill the form in, lose its answer, and send what came back exactly as it is; both answers."""
        fields = {**(await self.whole.office.get(path)).fields(), **typed}
        lost = self.lose()
        page = await self.whole.office.post(path, fields)
        assert lost
        assert_nobody_knows(page)
        return page, await self.whole.office.post(action(page), page.fields())

    async def test_a_grant_is_granted_once(self) -> None:
        """R-029, G-12: the money is there once, and no number on the page is of a second grant."""
        tenant = await acme(self.whole)
        path = f"{BILLING}/grant/{tenant}"
        fields = (await send(self.whole.office, path, replies="500", reason=REASON)).fields()
        self.lose()
        page = await self.whole.office.post(path, fields)
        again = await self.whole.office.post(path, page.fields())

        assert_nobody_knows(page)
        assert page.value("idempotency_key") == fields["idempotency_key"]
        assert "→" not in page.words
        assert again.status == 303
        (made,) = await self.whole.tenant.rows("credit_grants")
        assert made["amount"] == 500
        assert (await events(self.whole)).count("billing.credits.granted") == 2  # the pair of one grant

    async def test_other_values_after_it_are_no_second_grant(self) -> None:
        """Who changes the number instead of repeating the form is told that the first one counts."""
        tenant = await acme(self.whole)
        self.lose()
        page, _ = await grant(self.whole, tenant)
        path = f"{BILLING}/grant/{tenant}"
        preview = await self.whole.office.post(path, {**page.fields(), "replies": "600"}, Role.SUPPORT)
        refused = await self.whole.office.post(path, preview.fields(), Role.SUPPORT)

        assert_nobody_knows(page)
        assert (refused.status, "sent before, with other values" in refused.words) == (422, True)
        assert [row["amount"] for row in await self.whole.tenant.rows("credit_grants")] == [500]

    async def test_a_wrong_field_after_it_is_no_way_to_a_second_grant(self) -> None:
        """A refusal keeps the key: the form may have counted before, and nobody has found out yet."""
        tenant = await acme(self.whole)
        self.lose()
        page, _ = await grant(self.whole, tenant)
        path = f"{BILLING}/grant/{tenant}"
        wrong = await self.whole.office.post(path, {**page.fields(), "reason": "short"}, Role.SUPPORT)
        preview = await self.whole.office.post(path, {**wrong.fields(), "reason": REASON}, Role.SUPPORT)
        again = await self.whole.office.post(path, preview.fields(), Role.SUPPORT)

        assert [wrong.status, preview.status, again.status] == [422, 200, 303]
        assert len(await self.whole.tenant.rows("credit_grants")) == 1

    async def test_a_form_left_open_for_too_long_keeps_its_key(self) -> None:
        """It may have been sent before: refused for its token only, it is still the same form."""
        tenant = await acme(self.whole)
        self.lose()
        page, _ = await grant(self.whole, tenant)
        path = f"{BILLING}/grant/{tenant}"
        old = await self.whole.office.post(path, {**page.fields(), "csrf_token": "1.x"}, Role.SUPPORT)
        preview = await self.whole.office.post(path, old.fields(), Role.SUPPORT)
        again = await self.whole.office.post(path, preview.fields(), Role.SUPPORT)

        assert [old.status, preview.status, again.status] == [403, 200, 303]
        assert len(await self.whole.tenant.rows("credit_grants")) == 1

    async def test_while_the_database_stays_away_the_page_says_so_too(self) -> None:
        """The form cannot be shown then: the page says where to look, and the form still counts once."""
        tenant = await acme(self.whole)
        path = f"{BILLING}/grant/{tenant}"
        fields = (await send(self.whole.office, path, replies="500", reason=REASON)).fields()
        database, lost = self.whole.tenant.apps.internal[TENANT], self.lose()
        served = database.read

        @asynccontextmanager
        async def read() -> AsyncIterator[ReadSession]:
            if lost:
                raise away()
            async with served() as session:
                yield session

        with self.patch.context() as patch:
            patch.setattr(database, "read", read)
            page = await self.whole.office.post(path, fields)
        again = await self.whole.office.post(path, fields)

        assert_nobody_knows(page)
        assert {BILLING, "/manage/audit"} <= page.links
        assert again.status == 303
        assert len(await self.whole.tenant.rows("credit_grants")) == 1

    async def test_a_grant_is_voided_once(self) -> None:
        """P-08: the form is offered again, although nothing of the grant is left."""
        tenant = await acme(self.whole)
        await grant(self.whole, tenant)
        (made,) = await self.whole.tenant.rows("credit_grants")
        path = f"/manage/tenants/{tenant}/billing/grants/{made['id']}/void"
        _, again = await self.lost_and_repeated(path, reason=REASON)

        assert again.status == 303
        assert (await events(self.whole)).count("billing.credits.voided") == 2

    async def test_a_tenant_is_created_once(self) -> None:
        """R-101: the same form leads to the tenant that is there."""
        self.lose()
        page, sent = await self.whole.create()
        again = await self.whole.office.post(NEW, page.fields(), Role.SUPPORT)

        assert_nobody_knows(page)
        assert page.value("idempotency_key") == sent["idempotency_key"]
        assert again.status == 303
        assert again.headers["Location"].endswith("?notice=sent-twice")
        assert len(await self.whole.tenant.rows("organizations")) == 1

    async def test_a_tenant_is_suspended_once(self) -> None:
        """The form is offered again, although the tenant is suspended."""
        tenant = await acme(self.whole)
        page, again = await self.lost_and_repeated(f"/manage/tenants/{tenant}/suspend", reason=REASON)
        rows = await self.whole.tenant.rows("audit_events")

        assert "?notice=suspended" in again.headers["Location"]
        assert page.value("reason") == REASON
        assert [row["event"] for row in rows].count("tenant.suspended") == 2  # the pair of one step

    async def test_a_flag_is_not_switched_back(self) -> None:
        """G-03: what came back asks for the same switch, as of the same version."""
        tenant = await acme(self.whole)
        page, again = await self.lost_and_repeated(f"/manage/tenants/{tenant}/flags/voice", note="they asked")
        shown = await self.whole.office.get(again.headers["Location"])

        assert page.value("enabled") == "on"
        assert again.headers["Location"].endswith("flag-on")
        assert "they asked" in shown.words

    async def test_a_pack_is_changed_once(self) -> None:
        """R-026: the version stays that of the first try."""
        small, _ = await two_packs(self.whole)
        page, again = await self.lost_and_repeated(f"{small}/edit", replies="7")
        pack = (await packs(self.whole))["Small"]

        assert page.value("version") == "1"  # what somebody else changes meanwhile is a conflict, as ever
        assert (again.status, pack["replies"], pack["version"]) == (303, 7, 2)

    async def test_a_pack_goes_off_the_offer_once(self) -> None:
        """R-027: the form leads to the step that it is of, although the pack is off the offer."""
        small, _ = await two_packs(self.whole)
        page, again = await self.lost_and_repeated(f"{small}/deactivate")

        assert action(page) == f"{small}/deactivate"
        assert "done=deactivated" in again.headers["Location"]
        assert (await events(self.whole)).count("billing.pack.deactivated") == 1

    async def test_a_pack_that_was_deleted_is_told_as_deleted(self) -> None:
        """R-028: there is no form to show for a pack that is gone."""
        small, _ = await two_packs(self.whole)
        fields = {**(await self.whole.office.get(f"{small}/delete")).fields(), "confirm": "Small"}
        self.lose()
        answer = await self.whole.office.post(f"{small}/delete", fields)

        assert answer.headers["Location"] == f"{BILLING}?done=deleted"
        assert list(await packs(self.whole)) == ["Large"]

    async def test_a_moved_pack_is_to_be_looked_at(self) -> None:
        """Rule 9: the list is shown as it is; to press the button again would be another move."""
        _, large = await two_packs(self.whole)
        fields = (await self.whole.office.get(BILLING)).fields()
        self.lose()
        page = await self.whole.office.post(BILLING, {**fields, "move": f"up {large.rpartition('/')[2]}"})

        assert_nobody_knows(page)
        assert "move the pack only if it is not where you want it" in page.words
        assert page.words.index("Large") < page.words.index("Small")

    async def test_a_workflow_is_asked_for_once(self) -> None:
        """R-096."""
        while not await self.whole.tenant.rows("jobs"):
            await asyncio.sleep(0.05)
        _, again = await self.lost_and_repeated(SYSTEM_RUN, reason=REASON)
        rows = await self.whole.tenant.rows("audit_events")

        assert again.status == 303
        assert [row["event"] for row in rows].count("system.workflow.requested") == 1


class TestTheAdminService:
    """Its own database went away after the COMMIT: the page says where to look."""

    async def test_an_operator_is_provisioned_once(
        self, office: BackOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R-067: the same form again leads to the operator who is there."""
        path, there = f"{LIST}/new", len(await everybody(office))
        fields = await filled(office, path)
        lost = lose_one_commit(monkeypatch, office.apps.internal[ADMIN])
        page = await office.post(path, fields)
        again = await office.post(path, fields)

        assert lost
        assert_nobody_knows(page)
        assert "DATABASE_UNAVAILABLE" in page.words
        assert {LIST, "/manage/audit"} <= page.links
        assert (again.status, "sent-twice" in again.headers["Location"]) == (303, True)
        assert len(await everybody(office)) == there + 1

    async def test_the_page_leads_to_where_it_shows(
        self, office: BackOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One's own page for preferences, and no log for whom it is not open; a read changed nothing."""

        async def refuse(*_args: object, **_options: object) -> NoReturn:
            raise away()

        form = await office.get("/manage/me")
        typed = {"theme": "dark", "density": "compact", "timeZone": "UTC"}
        person: dict[str, Any] = {"sub": "sub-new", "email": "new@example.com"}
        enrolling = (await office.get("/enrollment", None, **person)).fields()
        fields = {"csrf_token": form.value("csrf_token"), **typed}
        monkeypatch.setattr(office.services.profiles, "prefer", refuse)
        monkeypatch.setattr(office.services.enrollment, "claim", refuse)
        monkeypatch.setattr(office.services.operators, "page", refuse)
        own = await office.post("/manage/me/preferences", fields)
        claim = await office.post("/enrollment", {**enrolling, "token": "enr_x"}, None, **person)
        read = await office.get(LIST)

        assert_nobody_knows(own)
        assert "/manage/me" in own.links
        assert_nobody_knows(claim)
        assert "/enrollment" in claim.links
        assert "/manage/audit" not in claim.links
        assert (read.status, "Nothing was changed" in read.words) == (503, True)

    @every_step
    async def test_a_form_that_still_runs_keeps_its_key(
        self, office: BackOffice, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        """To wait and send it again must not be a second change."""

        async def runs(*_args: object, **_options: object) -> NoReturn:
            raise ConflictError("IDEMPOTENCY_IN_PROGRESS", "runs")

        await add_gone(office)
        fields = await filled(office, path)
        for method in ("create", "reissue", "reactivate"):
            monkeypatch.setattr(office.services.provisioning, method, runs)
        for method in ("change_role", "deactivate"):
            monkeypatch.setattr(office.services.standing, method, runs)
        page = await office.post(path, fields)

        assert page.value("idempotency_key") == fields["idempotency_key"]
        assert {name: page.value(name) for name in STEPS[path]} == STEPS[path]


def action(page: Shown) -> str:
    """Where the page's own form leads."""
    main = page.tree.find(".//main")
    assert main is not None
    return next(one.get("action", "") for one in main.iter("form") if one.get("method") == "post")
