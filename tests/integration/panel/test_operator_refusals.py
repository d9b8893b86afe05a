"""What the forms about operators refuse: the rules in words, and forged forms (R-076…R-079, R-097)."""

from typing import NoReturn

import pytest

from admin_service.operators import errors
from admin_service.panel.forms import TOKEN_SECONDS
from service_kit.errors import ConflictError, ProblemError, UnprocessableError
from tests.integration.panel.back_office import BackOffice
from tests.integration.panel.operator_forms import STEPS, add_gone, every_step, everybody, filled


class TestRefusals:
    @every_step
    @pytest.mark.parametrize(
        ("refusal", "words"),
        [
            (errors.LastSuperAdminError(), "This is the last active super admin"),
            (errors.SelfDeactivationError(), "Nobody deactivates themselves"),
            (errors.SelfRoleChangeError(), "Nobody changes their own role"),
            (errors.SuperAdminGrantForbiddenError(), "Only a super admin makes super admins"),
            (errors.AlreadyEnrolledError(), "This operator enrolled meanwhile"),
            (errors.OperatorDeactivatedError(), "This operator was deactivated meanwhile"),
            (errors.OperatorNotDeactivatedError(), "This operator is not deactivated any more"),
            (ConflictError("IDEMPOTENCY_IN_PROGRESS", "runs"), "is being worked on right now"),
            (UnprocessableError("IDEMPOTENCY_KEY_REUSED", "used"), "sent before, with other values"),
            (ConflictError("SOMETHING_NEW", "A rule of tomorrow"), "A rule of tomorrow"),
        ],
        ids=lambda value: value.code if isinstance(value, ProblemError) else "",
    )
    async def test_every_refusal_is_told_beside_the_form(
        self,
        office: BackOffice,
        monkeypatch: pytest.MonkeyPatch,
        path: str,
        refusal: ProblemError,
        words: str,
    ) -> None:
        """R-076, R-078, R-079: in words, with its status, the form and all that was typed."""

        async def refuse(*_args: object, **_options: object) -> NoReturn:
            raise refusal

        await add_gone(office)
        fields = await filled(office, path)
        for service, method in (
            (office.services.provisioning, "create"),
            (office.services.provisioning, "reissue"),
            (office.services.provisioning, "reactivate"),
            (office.services.standing, "change_role"),
            (office.services.standing, "deactivate"),
        ):
            monkeypatch.setattr(service, method, refuse)
        page = await office.post(path, fields)

        assert page.status == refusal.status
        assert words in page.words
        assert {name: page.value(name) for name in STEPS[path]} == STEPS[path]


class TestForgery:
    @every_step
    @pytest.mark.parametrize("token", [None, "", "1.x", "99999999999." + "A" * 43])
    async def test_without_a_token_of_ours_nothing_changes(
        self, office: BackOffice, path: str, token: str | None
    ) -> None:
        """The form comes back with everything in it, and works then (http-api 3.0)."""
        await add_gone(office)
        before = await everybody(office)
        fields = {**await filled(office, path), "csrf_token": token or ""}
        if token is None:
            del fields["csrf_token"]
        page = await office.post(path, fields)

        assert page.status == 403
        assert "This form is no longer valid" in page.words
        assert await everybody(office) == before
        assert (await office.post(path, page.fields())).status in (200, 303)

    @every_step
    async def test_a_token_of_another_form_or_an_old_one_is_refused(
        self, office: BackOffice, path: str
    ) -> None:
        """A token counts for one kind of form, and for twelve hours."""
        await add_gone(office)
        before = await everybody(office)
        others = [(await office.get(other)).value("csrf_token") for other in STEPS if other != path]
        fields = await filled(office, path)
        answers = [await office.post(path, {**fields, "csrf_token": other}) for other in others]
        office.clock.advance(TOKEN_SECONDS)
        answers.append(await office.post(path, fields))

        assert {page.status for page in answers} == {403}
        assert await everybody(office) == before

    @every_step
    @pytest.mark.parametrize("headers", [{"Origin": None}, {"Origin": "https://evil.example"}])
    async def test_a_foreign_origin_is_refused(
        self, office: BackOffice, path: str, headers: dict[str, str | None]
    ) -> None:
        """R-097: even with a right token."""
        await add_gone(office)
        before = await everybody(office)
        page = await office.post(path, await filled(office, path), headers=headers)

        assert page.status == 403
        assert "ORIGIN_REJECTED" in page.words
        assert await everybody(office) == before

    @every_step
    async def test_a_form_without_its_key_is_refused(self, office: BackOffice, path: str) -> None:
        """What could not be repeated safely is not done."""
        await add_gone(office)
        before = await everybody(office)
        fields = await filled(office, path)
        del fields["idempotency_key"]
        page = await office.post(path, fields)

        assert page.status == 400
        assert await everybody(office) == before

    @every_step
    async def test_looking_changes_nothing(self, office: BackOffice, path: str) -> None:
        """A GET of any form leaves every row as it is."""
        await add_gone(office)
        before = await everybody(office)
        await office.get(path)

        assert await everybody(office) == before
