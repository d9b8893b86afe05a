"""Creating a tenant in the browser: once, with everything kept when it fails, and its link shown once."""

import pytest

from admin_service.panel.forms import TOKEN_SECONDS
from service_kit.errors import (
    ConflictError,
    FieldProblem,
    ForbiddenError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, Shown

NEW = "/manage/tenants/new"
TYPED = {
    "name": "Acme & Söhne",
    "slug": "acme",
    "primaryAdminEmail": "Boss@Acme.example",
    "plan": "pro",
    "currency": "USD",
}


async def filled(office: BackOffice, role: Role = Role.SUPPORT, **typed: str) -> dict[str, str]:
    """The form as the page gave it, with the values typed in."""
    return {**(await office.get(NEW, role)).fields(), **TYPED, **typed}


async def send(office: BackOffice, fields: dict[str, str], **options: object) -> Shown:
    role = options.pop("role", Role.SUPPORT)
    assert isinstance(role, Role)
    return await office.post(NEW, fields, role, **options)  # type: ignore[arg-type] # passed through


def assert_values_kept(page: Shown) -> None:
    assert {name: page.value(name) for name in TYPED} == TYPED


async def test_a_tenant_is_created_in_the_operators_name(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The values reach the tenant service with the operator's delegation and the form's key (R-101)."""
    fields = await filled(office)
    page = await send(office, fields)

    assert page.status == 200
    (creation,) = tenants.memory.creations
    assert creation.key == fields["idempotency_key"]
    assert (creation.wanted.slug, creation.wanted.name) == ("acme", "Acme & Söhne")
    assert (creation.wanted.plan, creation.wanted.currency) == ("pro", "USD")
    assert creation.wanted.primary_admin_email == "Boss@Acme.example"
    assert (creation.behalf.origin.request_id, creation.behalf.origin.ip) == ("req_panel1", "203.0.113.7")
    assert creation.behalf.origin.user_agent == "Firefox"


async def test_the_invitation_link_is_shown_once(office: BackOffice) -> None:
    """The answer to the POST holds the link and is never stored; no other page has it (R-104)."""
    page = await send(office, await filled(office))

    assert "accept-invite/inv_public_SECRET" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "/manage/tenants/org_acme" in page.links
    for path in ("/manage/tenants/org_acme", "/manage/tenants", "/manage", "/manage/audit"):
        assert "SECRET" not in (await office.get(path)).text


async def test_a_form_sent_twice_makes_one_tenant(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A reload or double click leads to the tenant, without the link, and creates nothing."""
    fields = await filled(office)
    await send(office, fields)
    again = await send(office, fields)

    assert again.status == 303
    assert again.headers["Location"] == "/manage/tenants/org_acme?notice=sent-twice"
    assert "SECRET" not in again.text
    assert len(tenants.memory.tenants) == 1
    told = await office.get(again.headers["Location"])
    assert "This tenant was created already" in told.words


async def test_each_form_has_a_key_of_its_own(office: BackOffice) -> None:
    """Two open forms make two tenants."""
    first, second = await filled(office), await filled(office)

    assert first["idempotency_key"] != second["idempotency_key"]


async def test_a_lost_answer_is_healed_by_the_same_form(office: BackOffice, tenants: FakeTenantApi) -> None:
    """When nobody knows whether it was created, the form keeps its key: sending it again is safe."""
    fields = await filled(office)
    tenants.steer.loses_answers = True
    page = await send(office, fields)

    assert page.status == 503
    assert "Nobody knows yet" in page.words
    assert_values_kept(page)
    assert page.value("idempotency_key") == fields["idempotency_key"]
    tenants.steer.loses_answers = False
    assert (await send(office, page.fields())).status == 303
    assert len(tenants.memory.tenants) == 1


async def test_wrong_fields_are_named_and_kept(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Each refused field has its message, in the summary and at the field; every value is kept (rule 6)."""
    tenants.steer.refuses = UnprocessableError(
        "VALIDATION_FAILED",
        "A field is wrong",
        fields=(
            FieldProblem("/name", "STRING_TOO_LONG", "String should have at most 120 characters"),
            FieldProblem("/primaryAdminEmail", "VALUE_ERROR", "must be one plain e-mail address"),
        ),
    )
    fields = await filled(office)
    page = await send(office, fields)

    assert page.status == 422
    assert_values_kept(page)
    assert {"#name", "#primaryAdminEmail"} <= page.links
    assert "Enter one plain email address" in page.words
    assert page.value("idempotency_key") == fields["idempotency_key"]
    assert page.tree.findtext(".//title", "").startswith("Error: ")


@pytest.mark.parametrize("code", ["SLUG_TAKEN", "SLUG_RESERVED", "SLUG_TOMBSTONED"])
async def test_a_slug_that_is_gone_comes_with_free_ones(
    office: BackOffice, tenants: FakeTenantApi, code: str
) -> None:
    """409 is an error of the slug's field, with suggestions (data-model 2.7)."""
    tenants.steer.refuses = ConflictError(
        code,
        "This slug is in use",
        fields=(FieldProblem("/slug", code, "This slug is in use"),),
        extra={"rule": "taken", "suggestions": ["acme-2", "acme-inc"]},
    )
    page = await send(office, await filled(office))

    assert page.status == 409
    assert_values_kept(page)
    assert "#slug" in page.links
    assert "acme-2 acme-inc" in page.words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            UnprocessableError("IDEMPOTENCY_KEY_REUSED", "used"),
            "This form was sent before, with other values",
        ),
        (ConflictError("IDEMPOTENCY_IN_PROGRESS", "runs"), "The same form is being worked on right now"),
        (RateLimitedError("RATE_LIMITED", "Slow down"), "Slow down"),
        (
            UnavailableError("DATABASE_UNAVAILABLE", "The database does not answer"),
            "Nobody knows yet whether the tenant was created",
        ),
    ],
)
async def test_other_refusals_are_told_above_the_form(
    office: BackOffice, tenants: FakeTenantApi, error: UnprocessableError, words: str
) -> None:
    """What is no field's fault stands above the form; the key stays where it stands for no other change."""
    tenants.steer.refuses = error
    fields = await filled(office)
    page = await send(office, fields)
    may_be_done = error.code in {"IDEMPOTENCY_IN_PROGRESS", "DATABASE_UNAVAILABLE"}

    assert page.status == error.status
    assert words in page.words
    assert "was not created" not in page.words or not may_be_done
    assert_values_kept(page)
    is_used = error.code == "IDEMPOTENCY_KEY_REUSED"
    assert (page.value("idempotency_key") != fields["idempotency_key"]) == is_used


async def test_markup_that_was_typed_comes_back_as_text(office: BackOffice, tenants: FakeTenantApi) -> None:
    """A hostile value is kept exactly and breaks out of nothing."""
    tenants.steer.refuses = UnprocessableError("SLUG_INVALID", "no")
    evil = '"><script>alert(1)</script>'
    page = await send(office, await filled(office, name=evil, slug=evil))

    assert page.value("name") == evil
    assert page.value("slug") == evil
    assert len(list(page.tree.iter("script"))) == 1


async def test_a_permission_that_was_lost_meanwhile_is_the_403_page(
    office: BackOffice, tenants: FakeTenantApi
) -> None:
    """The tenant service checks again; its refusal is a page that says who may."""
    tenants.steer.refuses = ForbiddenError(
        "PERMISSION_DENIED", "Permission denied", extra={"permission": "tenant.create", "roles": ["support"]}
    )
    page = await send(office, await filled(office))

    assert page.status == 403
    assert "tenant.create" in page.words


@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.SECURITY])
async def test_roles_without_the_permission_create_nothing(
    office: BackOffice, tenants: FakeTenantApi, role: Role
) -> None:
    """A mutation of read_only or security is refused even with a form that is right (R-074, R-075)."""
    page = await send(office, await filled(office), role=role)

    assert page.status == 403
    assert tenants.memory.creations == []


class TestForgery:
    @pytest.mark.parametrize("token", [None, "", "1.x", "99999999999." + "A" * 43])
    async def test_without_a_token_of_ours_nothing_is_created(
        self, office: BackOffice, tenants: FakeTenantApi, token: str | None
    ) -> None:
        """A missing or forged token shows the form again, values kept, with a new token that works."""
        fields = await filled(office)
        key = fields["idempotency_key"]
        if token is None:
            del fields["csrf_token"]
        else:
            fields["csrf_token"] = token
        page = await send(office, fields)

        assert page.status == 403
        assert "This form is no longer valid" in page.words
        assert_values_kept(page)
        assert page.value("idempotency_key") == key
        assert tenants.memory.creations == []
        assert (await send(office, page.fields())).status == 200

    async def test_a_token_of_somebody_else_is_refused(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """The token is bound to the person (http-api 3.0)."""
        page = await send(office, await filled(office, Role.SUPER_ADMIN))

        assert page.status == 403
        assert tenants.memory.creations == []

    async def test_a_token_of_another_form_is_refused(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """The theme form's token, which stands on every page, creates no tenant."""
        shown = await office.get(NEW, Role.SUPPORT)
        theme = next(form for form in shown.tree.iter("form") if form.get("action") == "/manage/theme")
        token = next(c.get("value", "") for c in theme.iter("input") if c.get("name") == "csrf_token")
        page = await send(office, {**shown.fields(), **TYPED, "csrf_token": token})

        assert page.status == 403
        assert tenants.memory.creations == []

    async def test_an_old_token_is_refused(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """After twelve hours the form asks to be looked over again."""
        fields = await filled(office)
        office.clock.advance(TOKEN_SECONDS)
        page = await send(office, fields)

        assert page.status == 403
        assert tenants.memory.creations == []

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": None},
            {"Origin": "null"},
            {"Origin": "https://evil.example"},
            {"Origin": "https://admin.example.com.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_a_foreign_origin_is_refused(
        self, office: BackOffice, tenants: FakeTenantApi, headers: dict[str, str | None]
    ) -> None:
        """Even with a right token, a form that another site sent does nothing (R-097)."""
        page = await send(office, await filled(office), headers=headers)

        assert page.status == 403
        assert "ORIGIN_REJECTED" in page.words
        assert tenants.memory.creations == []

    async def test_a_browser_without_fetch_metadata_may_create(self, office: BackOffice) -> None:
        """`Sec-Fetch-Site` may be absent."""
        assert (await send(office, await filled(office), headers={"Sec-Fetch-Site": None})).status == 200

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"name=a&name=b", "application/x-www-form-urlencoded", 400),
            (b"name=a%00b", "application/x-www-form-urlencoded", 400),
            (b"{}", "application/json", 415),
            (b"name=a", "text/plain", 415),
            (b"name=" + b"a" * 70_000, "application/x-www-form-urlencoded", 413),
        ],
    )
    async def test_a_body_that_is_no_form_of_ours_is_refused(
        self, office: BackOffice, tenants: FakeTenantApi, body: bytes, content_type: str, status: int
    ) -> None:
        """Refused with a page and a named status; nothing is created."""
        page = await office.post(NEW, body, Role.SUPPORT, headers={"Content-Type": content_type})

        assert page.status == status
        assert page.headers["Content-Type"].startswith("text/html")
        assert tenants.memory.creations == []

    async def test_a_form_without_its_key_creates_nothing(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """A form that could not be repeated safely is not sent on; the page offers one that can."""
        fields = await filled(office)
        del fields["idempotency_key"]
        page = await send(office, fields)

        assert page.status == 400
        assert tenants.memory.creations == []
        assert (await send(office, page.fields())).status == 200

    async def test_without_a_delegation_nothing_is_created(
        self, office: BackOffice, tenants: FakeTenantApi
    ) -> None:
        """The panel never creates in its own name (R-101)."""
        page = await send(office, await filled(office), delegated=False)

        assert page.status == 503
        assert_values_kept(page)
        assert tenants.memory.creations == []
