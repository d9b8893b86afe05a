"""Provisioning, tokens that are shown once, roles, and offboarding in the browser (P-19…P-21)."""

from datetime import timedelta

import pytest

from admin_service.operators.models import OperatorState
from admin_service.panel.pages.operator_forms import roles_to_hand_out
from service_kit.identity.model import Role
from tests.integration.panel.back_office import ORIGIN, BackOffice
from tests.integration.panel.operator_forms import (
    LIST,
    NEW,
    REASON,
    SUPPORT,
    TOKEN,
    TYPED,
    add_gone,
    enroll,
    everybody,
    fill,
    filled,
    sam,
    token_of,
)


class TestProvision:
    async def test_the_token_is_shown_with_what_to_do(self, office: BackOffice) -> None:
        """R-067, R-068, R-069: the token once, its end, out of band, and the message without it."""
        page = await fill(office, NEW)
        token = token_of(page)
        (message,) = ["".join(pre.itertext()) for pre in page.tree.iter("pre")]

        assert TOKEN.fullmatch(token)
        assert page.headers["Cache-Control"] == "no-store"
        assert "Out of band" in page.words
        assert "Never in the same channel as the address of this panel" in page.words
        assert f"{ORIGIN}/enrollment" in message
        assert "sam.ito@example.com" in message
        assert token not in message
        until = office.clock.now() + timedelta(hours=24)
        assert f"{until:%Y-%m-%dT%H:%M:%SZ}" in page.text

    async def test_the_token_opens_the_panel_once_and_stands_nowhere_else(self, office: BackOffice) -> None:
        """The person enrolls with it; no page of the panel ever has it again (R-066, R-068)."""
        token = token_of(await fill(office, NEW))
        pages = [LIST, f"{LIST}/{(await sam(office)).id}", "/manage/audit", "/manage"]
        texts = [(await office.get(path)).text for path in pages]
        claimed = await enroll(office, token, "sam.ito@example.com", "sub-sam")

        assert not [text for text in texts if token in text]
        assert claimed.headers["Location"] == "/manage"
        assert (await sam(office)).state is OperatorState.ACTIVE
        assert (await enroll(office, token, "sam.ito@example.com", "sub-other")).status == 403

    async def test_a_reload_shows_no_token(self, office: BackOffice) -> None:
        """R-068: the same form again makes nobody and leads to the operator, with a clear word."""
        fields = await filled(office, NEW)
        token = token_of(await office.post(NEW, fields))
        again = await office.post(NEW, fields)
        told = await office.get(again.headers["Location"])

        assert again.status == 303
        assert token not in again.text + told.text
        assert "cannot be shown again" in told.words
        assert len(await everybody(office)) == 5
        assert (await enroll(office, token, "sam.ito@example.com", "sub-sam")).status == 303

    @pytest.mark.parametrize(
        ("typed", "control", "words"),
        [
            ({"name": ""}, "name", "Enter the person’s name"),
            ({"name": "x" * 121}, "name", "at most 120 characters"),
            ({"email": "sam"}, "email", "Enter one plain email address"),
            ({"email": "Sam <sam@example.com>"}, "email", "Enter one plain email address"),
            ({"role": ""}, "role", "Choose a role"),
            ({"role": "root"}, "role", "Choose a role"),
            ({"email": "support@example.com"}, "email", "exists already"),
        ],
    )
    async def test_a_wrong_field_is_named_beside_it(
        self, office: BackOffice, typed: dict[str, str], control: str, words: str
    ) -> None:
        """Each refusal stands in the summary and at its field, and everything typed is kept (rule 6)."""
        page = await fill(office, NEW, **typed)
        kept = {name: page.value(name) for name in ("name", "email")}

        assert page.status in (409, 422)
        assert f"#{control}" in page.links
        assert words in page.words
        assert kept == {name: {**TYPED, **typed}[name] for name in kept}
        assert page.tree.findtext(".//title", "").startswith("Error: ")
        assert len(await everybody(office)) == 4

    async def test_the_form_of_a_refusal_works(self, office: BackOffice) -> None:
        """What comes back can be corrected and sent."""
        page = await fill(office, NEW, email="sam")

        token_of(await office.post(NEW, {**page.fields(), **TYPED}))

    async def test_other_values_under_the_same_key_are_refused(self, office: BackOffice) -> None:
        """Back, another address, send: the first one counts, and no second token appears."""
        fields = await filled(office, NEW)
        await office.post(NEW, fields)
        page = await office.post(NEW, {**fields, "email": "other@example.com"})

        assert page.status == 422
        assert "This form was sent before, with other values" in page.words
        assert len(await everybody(office)) == 5

    def test_who_may_not_grant_super_admin_does_not_see_it(self) -> None:
        """R-076: the choice is offered to a super_admin alone."""
        offered = {role: roles_to_hand_out(role) for role in Role}

        assert [role for role in Role if "super_admin" in offered[role]] == [Role.SUPER_ADMIN]
        assert offered[Role.SUPPORT] == ("support", "read_only", "security")
        assert "super_admin" not in roles_to_hand_out(None)


class TestRole:
    async def test_a_role_is_changed(self, office: BackOffice) -> None:
        """R-072…R-075: it counts at once, and the reason is kept in the log."""
        done = await fill(office, f"{SUPPORT}/role")
        told = await office.get(done.headers["Location"])
        log = await office.get("/manage/audit?event=admin.operator.role_changed")

        assert done.status == 303
        assert "The role was changed" in told.words
        assert (await office.operator("adm_support")).role is Role.SECURITY
        assert "Operator role changed" in log.words

    async def test_a_conflict_shows_the_present_state(self, office: BackOffice) -> None:
        """Two super admins at once: the later one is told what the row says now, and decides anew."""
        late = await filled(office, f"{SUPPORT}/role")
        await fill(office, f"{SUPPORT}/role", role="read_only")
        page = await office.post(f"{SUPPORT}/role", late)

        assert page.status == 412
        assert "now Read only, active" in page.words
        assert "Current role Read only" in page.words
        assert page.value("reason") == REASON
        assert (await office.operator("adm_support")).role is Role.READ_ONLY
        assert (await office.post(f"{SUPPORT}/role", page.fields())).status == 303
        assert (await office.operator("adm_support")).role is Role.SECURITY

    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ({"reason": "short"}, "at least 10 characters"),
            ({"reason": "x" * 501}, "at most 500 characters"),
            ({"role": "root"}, "Choose a role"),
            ({"version": ""}, "does not say which version"),
            ({"version": "-1"}, "does not say which version"),
        ],
    )
    async def test_a_form_without_sense_changes_nothing(
        self, office: BackOffice, typed: dict[str, str], words: str
    ) -> None:
        """Refused with words; the role stays."""
        page = await fill(office, f"{SUPPORT}/role", **typed)

        assert page.status in (400, 422)
        assert words in page.words
        assert (await office.operator("adm_support")).role is Role.SUPPORT

    async def test_ones_own_role_stays(self, office: BackOffice) -> None:
        """A form for another, sent to oneself, is refused and explained."""
        fields = await filled(office, f"{SUPPORT}/role")
        page = await office.post(f"{LIST}/adm_super_admin/role", fields)

        assert page.status == 409
        assert "Nobody changes their own role" in page.words
        assert (await office.operator("adm_super_admin")).role is Role.SUPER_ADMIN


class TestToken:
    async def test_a_new_token_replaces_the_old_one(self, office: BackOffice) -> None:
        """R-070: what was issued before is dead, and the new one works."""
        first = token_of(await fill(office, NEW))
        path = f"{LIST}/{(await sam(office)).id}/token"
        second = token_of(await fill(office, path))

        assert first != second
        assert (await enroll(office, first, "sam.ito@example.com", "sub-sam")).status == 403
        assert (await enroll(office, second, "sam.ito@example.com", "sub-sam")).status == 303

    async def test_a_rebind_asks_for_the_address(self, office: BackOffice) -> None:
        """G-09: what it does is said before; without the typed address nothing happens."""
        form = await office.get(f"{SUPPORT}/token")
        wrong = await office.post(f"{SUPPORT}/token", {**form.fields(), "confirm": "sup-port@example.com"})

        assert "locked out at once" in form.words
        assert wrong.status == 400
        assert "#confirm" in wrong.links
        assert "Type the operator’s email address" in wrong.words
        assert (await office.operator("adm_support")).state is OperatorState.ACTIVE

    async def test_a_rebind_unbinds_and_ends_sessions(self, office: BackOffice) -> None:
        """The old subject is out at once; the new one enrolls with the token."""
        await office.hold("adm_support", "ops_1")
        token = token_of(await fill(office, f"{SUPPORT}/token"))

        assert (await office.get("/manage", Role.SUPPORT)).status != 200
        assert await office.live_sessions("adm_support") == 0
        assert (await enroll(office, token, "support@example.com", "sub-anew")).status == 303

    async def test_who_enrolled_meanwhile_is_not_unbound_by_accident(self, office: BackOffice) -> None:
        """A form for a new token, sent late, is refused; the page then explains a rebind."""
        token = token_of(await fill(office, NEW))
        path = f"{LIST}/{(await sam(office)).id}/token"
        late = await filled(office, path)
        await enroll(office, token, "sam.ito@example.com", "sub-sam")
        page = await office.post(path, late)

        assert page.status == 409
        assert "This operator enrolled meanwhile" in page.words
        assert "What a rebind does" in page.words
        assert (await sam(office)).state is OperatorState.ACTIVE

    async def test_nobody_rebinds_themselves(self, office: BackOffice) -> None:
        """It would lock the operator out; the page says who can do it, and nothing is done."""
        await office.add_operator(Role.SUPER_ADMIN, sub="sub-second", name="second")
        fields = await filled(office, f"{SUPPORT}/token")
        path = f"{LIST}/adm_super_admin/token"
        page = await office.post(path, {**fields, "confirm": "super_admin@example.com"})

        assert page.status == 409
        assert "Nobody rebinds themselves here" in page.words
        assert (await office.operator("adm_super_admin")).state is OperatorState.ACTIVE

    @pytest.mark.parametrize("step", ["token", "reactivate"])
    async def test_a_reload_shows_no_token(self, office: BackOffice, step: str) -> None:
        """R-068: neither a rebind nor a return shows or makes a second token."""
        await add_gone(office)
        path = f"{LIST}/adm_gone/reactivate" if step == "reactivate" else f"{SUPPORT}/token"
        fields = await filled(office, path)
        token = token_of(await office.post(path, fields))
        again = await office.post(path, fields)
        told = await office.get(again.headers["Location"])

        assert again.status == 303
        assert not TOKEN.search(again.text + told.text)
        assert "cannot be shown again" in told.words
        email, sub = path.split("/")[3].replace("adm_", "") + "@example.com", "sub-anew"
        assert (await enroll(office, token, email, sub)).status == 303


class TestOffboarding:
    async def test_both_steps_in_order(self, office: BackOffice) -> None:
        """R-133: the row says no at once, with every session; then the page leads to Access."""
        await office.hold("adm_support", "ops_1")
        first = await office.get(f"{SUPPORT}/deactivate")
        done = await office.post(f"{SUPPORT}/deactivate", {**first.fields(), "reason": REASON})
        refused = await office.get("/manage", Role.SUPPORT)
        second = await office.get(done.headers["Location"])

        assert "1 live session ends" in first.words
        assert done.status == 303
        assert refused.status == 403
        assert refused.heading == "Your account is deactivated"
        assert await office.live_sessions("adm_support") == 0
        assert "Step 2: remove the person from the Access policy" in second.words
        assert "https://one.dash.cloudflare.com/" in second.links
        assert len([box for box in second.tree.iter("input") if box.get("type") == "checkbox"]) == 4

    async def test_cancel_has_the_focus(self, office: BackOffice) -> None:
        """Rule 7: the harmless way is the default."""
        page = await office.get(f"{SUPPORT}/deactivate")
        focused = [element for element in page.tree.iter() if "autofocus" in element.attrib]

        assert ["".join(element.itertext()) for element in focused] == ["Cancel"]

    async def test_a_reason_is_needed(self, office: BackOffice) -> None:
        """Rule 7: without one nobody is deactivated."""
        page = await fill(office, f"{SUPPORT}/deactivate", reason="bye")

        assert page.status == 422
        assert "#reason" in page.links
        assert (await office.operator("adm_support")).state is OperatorState.ACTIVE

    async def test_nobody_deactivates_themselves(self, office: BackOffice) -> None:
        """R-078: refused by the service, and explained."""
        fields = await filled(office, f"{SUPPORT}/deactivate")
        page = await office.post(f"{LIST}/adm_super_admin/deactivate", fields)

        assert page.status == 409
        assert "Nobody deactivates themselves" in page.words
        assert (await office.operator("adm_super_admin")).state is OperatorState.ACTIVE

    async def test_a_return_gives_a_token(self, office: BackOffice) -> None:
        """G-04: pending again, bound to nobody, with the role that they had."""
        await add_gone(office)
        token = token_of(await fill(office, f"{LIST}/adm_gone/reactivate"))
        back = await office.operator("adm_gone")

        assert (back.state, back.role) == (OperatorState.PENDING, Role.SECURITY)
        assert (await enroll(office, token, "gone@example.com", "sub-anew")).status == 303

    async def test_a_return_to_a_taken_address_is_refused(self, office: BackOffice) -> None:
        """The address has another owner now; the page says so."""
        await add_gone(office, email="support@example.com")
        page = await fill(office, f"{LIST}/adm_gone/reactivate")

        assert page.status == 409
        assert "The address belongs to another operator now" in page.words
        assert (await office.operator("adm_gone")).state is OperatorState.DEACTIVATED

    async def test_who_is_back_already_is_not_brought_back_twice(self, office: BackOffice) -> None:
        """A second form, sent late, changes nothing and makes no second token."""
        await add_gone(office)
        late = await filled(office, f"{LIST}/adm_gone/reactivate")
        await fill(office, f"{LIST}/adm_gone/reactivate")
        page = await office.post(f"{LIST}/adm_gone/reactivate", late)

        assert page.status == 409
        assert "This operator is not deactivated" in page.words
        assert not TOKEN.search(page.text)

    @pytest.mark.parametrize("step", ["role", "token"])
    async def test_a_step_for_who_left_is_explained(self, office: BackOffice, step: str) -> None:
        """A form that was open while they were deactivated changes nothing."""
        fields = await filled(office, f"{SUPPORT}/{step}")
        await fill(office, f"{SUPPORT}/deactivate")
        version = str((await office.operator("adm_support")).version)
        page = await office.post(f"{SUPPORT}/{step}", {**fields, "version": version})

        assert page.status == 409
        assert "This operator is deactivated" in page.words
        assert (await office.operator("adm_support")).state is OperatorState.DEACTIVATED
