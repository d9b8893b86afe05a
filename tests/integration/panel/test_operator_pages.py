"""The list of operators, one of them in detail, one's own page, and ending sessions (P-19, P-20)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from yarl import URL

from admin_service.operators.models import GLOBAL_ADMINS
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BackOffice, Shown

LIST = "/manage/operators"
SUPPORT = f"{LIST}/adm_support"
OWN = "/manage/me"


async def add_pending(office: BackOffice, name: str = "new", hours: float = 24) -> None:
    await office.add_operator(
        Role.SUPPORT,
        sub=None,
        name=name,
        enrollment_token_hash=f"digest of {name}",
        enrollment_token_expires_at=office.clock.now() + timedelta(hours=hours),
    )


def names(page: Shown) -> list[str]:
    """The addresses of the rows, in order."""
    links = [link for link in page.tree.iter("a") if "row-link" in link.get("class", "")]
    return ["".join(link.itertext()).split()[-1].split("@")[0] for link in links]


async def shown_filter(office: BackOffice, **query: str) -> Shown:
    return await office.get(str(URL(LIST).with_query(query)))


class TestList:
    async def test_it_shows_state_sessions_and_the_tokens_time(self, office: BackOffice) -> None:
        """P-19: name, address, role, state with the time that is left, live sessions, last active."""
        await add_pending(office, hours=20.5)
        await office.hold("adm_support", "ops_1")
        await office.hold("adm_support", "ops_2")
        await office.hold("adm_support", "ops_old", chain_id="ops_2")
        await office.hold("adm_support", "ops_3", revoked_at=office.clock.now(), revoked_reason="signed_out")
        page = await office.get(LIST)
        (row,) = [row for row in page.tree.iter("tr") if "support@example.com" in "".join(row.itertext())]
        cells = {cell.get("data-label"): "".join(cell.itertext()) for cell in row.iter("td")}

        assert (cells["Live sessions"], cells["Role"], cells["Last active"]) == ("2", "Support", "Never")
        assert "Pending token: 20 h 30 min left" in page.words
        assert {SUPPORT, f"{LIST}/new"} <= page.links

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"state": "pending"}, ["new"]),
            ({"state": "deactivated"}, ["gone"]),
            ({"role": "security"}, ["security"]),
            ({"q": "SUPER"}, ["super_admin"]),
            ({"state": "active", "role": "support"}, ["support"]),
        ],
    )
    async def test_filters_stand_in_the_url(
        self, office: BackOffice, query: dict[str, str], found: list[str]
    ) -> None:
        """State, role and text narrow the list (rule 2)."""
        await add_pending(office)
        await office.add_operator(
            Role.READ_ONLY, sub="sub-gone", name="gone", deactivated_at=office.clock.now()
        )
        page = await shown_filter(office, **query)

        assert names(page) == found
        assert f"{len(found)} operator match the filters" in page.words

    async def test_a_chip_keeps_the_other_filters(self, office: BackOffice) -> None:
        """Choosing a state keeps the text and the role that were chosen (rule 2)."""
        page = await shown_filter(office, q="example", state="active", role="support")

        assert f"{LIST}?q=example&state=pending&role=support" in page.links
        assert f"{LIST}?q=example&state=active" in page.links

    async def test_nobody_found_says_what_to_do(self, office: BackOffice) -> None:
        """An empty list names its filters and leads out of them (rule 5)."""
        page = await shown_filter(office, q="nobody", state="pending")

        assert "No operators match q=nobody state=pending" in page.words
        assert {LIST, f"{LIST}/new"} <= page.links

    @pytest.mark.parametrize("query", [{"state": "gone"}, {"role": "root"}, {"q": "\0"}, {"q": "x" * 121}])
    async def test_a_filter_without_sense_is_named(self, office: BackOffice, query: dict[str, str]) -> None:
        """It is said, and everybody is shown: never a blank page, never a defect."""
        page = await shown_filter(office, **query)

        assert page.status == 200
        assert f"These filters were not applied There is no such value for: {next(iter(query))}" in page.words
        assert len(names(page)) == 4

    async def test_long_lists_have_pages(self, office: BackOffice) -> None:
        """Keyset paging at a hundred rows; the filters travel along, and a foreign cursor is named."""
        now = office.clock.now()
        rows = [
            {"id": f"adm_x{n}", "email": f"x{n}@example.com", "name": f"X {n}", "role": "support"}
            | {"created_by": "system", "created_at": now, "updated_at": now, "version": 1}
            for n in range(105)
        ]
        async with office.database.write() as session:
            await session.execute(insert(GLOBAL_ADMINS), rows)
        first = await shown_filter(office, q="x", state="pending")
        (older,) = [link for link in first.links if "cursor=" in link]
        second = await office.get(URL(older, encoded=True))
        foreign = await shown_filter(office, q="x1", cursor=URL(older).query["cursor"])

        assert (len(names(first)), len(names(second))) == (100, 5)
        assert {*names(first), *names(second)} == {f"x{n}" for n in range(105)}
        assert {"q", "state", "cursor"} == set(URL(older).query)
        assert "This is the first page" in foreign.words


class TestDetail:
    async def test_it_shows_the_row_the_sessions_and_the_last_actions(self, office: BackOffice) -> None:
        """P-20: who, with which role, from where, and what they did, linked to the audit log."""
        await office.hold("adm_super_admin", "ops_1")
        await office.post(
            f"{SUPPORT}/role",
            {
                **(await office.get(f"{SUPPORT}/role")).fields(),
                "role": "security",
                "reason": "moves to the security team",
            },
        )
        page = await office.get(f"{LIST}/adm_super_admin")

        assert page.heading.startswith("Test super_admin")
        assert "Firefox 192.0.2.9 · ops_1" in page.words
        assert "Operator role changed" in page.words
        assert "/manage/audit?actorEmail=super_admin%40example.com&range=all" in page.links
        assert any(link.startswith("/manage/audit/aud_") for link in page.links)

    async def test_who_provisioned_somebody_is_named(self, office: BackOffice) -> None:
        """By name, also when they have left since; a process and the id of nobody stand as they are."""
        await office.add_operator(
            Role.SUPPORT, sub="sub-gone", name="gone", deactivated_at=office.clock.now()
        )
        authors = {"first": "adm_gone", "second": "adm_nobody", "third": "system"}
        for name, author in authors.items():
            await office.add_operator(Role.SUPPORT, sub=f"sub-{name}", name=name, created_by=author)
        pages = [(await office.get(f"{LIST}/adm_{name}")).words for name in authors]

        for words, said in zip(pages, ("by Test gone", "by adm_nobody", "by system"), strict=True):
            assert said in words
        assert "adm_gone" not in pages[0]

    async def test_the_changes_that_apply_are_offered(self, office: BackOffice) -> None:
        """An active operator can be given a role, rebound and deactivated; a deactivated one comes back."""
        active = await office.get(SUPPORT)
        await office.add_operator(
            Role.SUPPORT, sub="sub-gone", name="gone", deactivated_at=office.clock.now()
        )
        gone = await office.get(f"{LIST}/adm_gone")

        assert {f"{SUPPORT}/{step}" for step in ("role", "token", "deactivate")} <= active.links
        assert f"{SUPPORT}/reactivate" not in active.links
        assert f"{LIST}/adm_gone/reactivate" in gone.links
        assert f"{LIST}/adm_gone/role" not in gone.links

    async def test_actions_on_oneself_are_explained(self, office: BackOffice) -> None:
        """R-078: nothing is offered that would be refused; the page says who can do it."""
        page = await office.get(f"{LIST}/adm_super_admin")

        assert "Nobody changes their own role, rebinds or deactivates themselves" in page.words
        assert not {f"{LIST}/adm_super_admin/{step}" for step in ("role", "token", "deactivate")} & page.links

    @pytest.mark.parametrize("step", ["role", "token", "deactivate"])
    async def test_a_step_on_oneself_has_no_form(self, office: BackOffice, step: str) -> None:
        """Who types the address is told why, and finds nothing to send."""
        page = await office.get(f"{LIST}/adm_super_admin/{step}")

        assert page.status == 200
        assert "Nobody" in page.words
        main = page.tree.find(".//main")
        assert main is not None
        assert list(main.iter("form")) == []

    async def test_a_token_counts_down_and_dies(self, office: BackOffice) -> None:
        """P-19: a pending operator's page tells how long the token works, and then that it does not."""
        await add_pending(office)
        office.clock.advance(3600)
        waiting = await office.get(f"{LIST}/adm_new")
        office.clock.advance(23 * 3600)
        late = await office.get(f"{LIST}/adm_new")

        assert "Waiting for enrollment, 23 h left" in waiting.words
        assert "The enrollment token has expired" in late.words
        assert "digest of new" not in waiting.text

    @pytest.mark.parametrize("name", ["adm_nobody", "%00", "..", "%ED%A0%80"])
    @pytest.mark.parametrize("step", ["", "/role", "/token", "/deactivate", "/reactivate", "/sessions"])
    async def test_an_operator_who_does_not_exist_is_a_page(
        self, office: BackOffice, name: str, step: str
    ) -> None:
        """404 with a way back, also for a text that is no id of anything."""
        page = await office.get(URL(f"{LIST}/{name}{step}", encoded=True))

        assert page.status in (404, 303) if name == ".." else page.status == 404

    async def test_a_source_that_is_away_is_said(self, office: BackOffice, tenants: FakeTenantApi) -> None:
        """The rest of the page stands; what is missing is named (rule 12)."""
        tenants.steer.away = True
        page = await office.get(SUPPORT)

        assert page.status == 200
        assert "Incomplete: the tenant service did not answer" in page.words


class TestAccess:
    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
    @pytest.mark.parametrize("step", ["", "/role", "/token", "/deactivate", "/reactivate", "/sessions"])
    async def test_only_who_manages_operators_gets_in(
        self, office: BackOffice, role: Role, step: str
    ) -> None:
        """R-073…R-075: reading and sending are refused, with the permission that is missing."""
        read = await office.get(f"{SUPPORT}{step}", role)
        sent = await office.post(f"{SUPPORT}{step}", {"reason": "because I can do it"}, role)

        assert read.status == 403
        assert "platform.manage_global_admins" in read.words
        assert sent.status == (403 if step else 405)

    @pytest.mark.parametrize("role", Role)
    async def test_everybody_sees_their_own_page(self, office: BackOffice, role: Role) -> None:
        """Own row, own sessions, and no other's; every page leads there (R-064)."""
        await office.hold(f"adm_{role.value}", "ops_mine")
        other = Role.SUPPORT if role is not Role.SUPPORT else Role.SECURITY
        await office.hold(f"adm_{other.value}", "ops_theirs")
        page = await office.get(OWN, role)

        assert page.status == 200
        assert f"{role.value}@example.com" in page.words
        assert "ops_mine" in page.words
        assert "ops_theirs" not in page.text
        assert OWN in page.links

    async def test_a_person_who_is_no_operator_has_no_page(self, office: BackOffice) -> None:
        """R-063: there is no own row to show; the sidecar leads them to enrollment before."""
        page = await office.get(OWN, None)

        assert page.status == 403
        assert "Live sessions" not in page.words


class TestSessions:
    async def test_nothing_ends_before_it_was_asked(self, office: BackOffice) -> None:
        """Rule 1: a destructive step has its own page; opening it changes nothing."""
        await office.hold("adm_support", "ops_1")
        page = await office.get(f"{SUPPORT}/sessions")

        assert page.heading == "End every session"
        assert await office.live_sessions("adm_support") == 1

    async def test_one_session_is_ended(self, office: BackOffice) -> None:
        """The chosen one ends, the others go on, and the detail says so."""
        await office.hold("adm_support", "ops_1")
        await office.hold("adm_support", "ops_2")
        form = await office.get(f"{SUPPORT}/sessions?session=ops_1")
        done = await office.post(f"{SUPPORT}/sessions", form.fields())
        after = await office.get(done.headers["Location"])

        assert done.status == 303
        assert "ops_2" not in form.words
        assert "The sessions were ended" in after.words
        assert "ops_2" in after.words
        assert "ops_1" not in {word for word in after.words.split() if word.startswith("ops_")}

    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.SUPER_ADMIN])
    async def test_all_sessions_are_ended(self, office: BackOffice, role: Role) -> None:
        """One's own from one's own page, and another's by who manages operators."""
        path = f"{OWN}/sessions" if role is Role.SUPPORT else f"{SUPPORT}/sessions"
        for number in range(3):
            await office.hold("adm_support", f"ops_{number}")
        await office.hold("adm_security", "ops_other")
        done = await office.post(path, (await office.get(path, role)).fields(), role)

        assert done.status == 303
        assert done.headers["Location"] == path.removesuffix("/sessions") + "?done=sessions"
        assert await office.live_sessions("adm_support") == 0
        assert await office.live_sessions("adm_security") == 1

    async def test_nobody_ends_anothers_from_their_own_page(self, office: BackOffice) -> None:
        """A foreign session's id in one's own form ends nothing (R-064)."""
        await office.hold("adm_support", "ops_mine")
        await office.hold("adm_security", "ops_theirs")
        fields = (await office.get(f"{OWN}/sessions", Role.SUPPORT)).fields()
        page = await office.post(f"{OWN}/sessions", {**fields, "session": "ops_theirs"}, Role.SUPPORT)

        assert page.status == 404
        assert "There is nothing to end" in page.words
        assert await office.live_sessions("adm_security") == 1
        assert await office.live_sessions("adm_support") == 1

    async def test_a_session_that_is_over_is_said(self, office: BackOffice) -> None:
        """Somebody was faster: the page says that there is nothing to end."""
        await office.hold("adm_support", "ops_1")
        fields = (await office.get(f"{SUPPORT}/sessions?session=ops_1")).fields()
        await office.post(f"{SUPPORT}/sessions", fields)
        again = await office.post(f"{SUPPORT}/sessions", fields)

        assert again.status == 404
        assert "There is nothing to end" in again.words

    @pytest.mark.parametrize("change", [{"csrf_token": ""}, {"csrf_token": "1.x"}])
    async def test_a_foreign_form_ends_nothing(self, office: BackOffice, change: dict[str, Any]) -> None:
        """Without our token nothing ends, and the page that comes back works."""
        await office.hold("adm_support", "ops_1")
        fields = (await office.get(f"{SUPPORT}/sessions")).fields()
        page = await office.post(f"{SUPPORT}/sessions", {**fields, **change})

        assert page.status == 403
        assert "This form is no longer valid" in page.words
        assert await office.live_sessions("adm_support") == 1
        assert (await office.post(f"{SUPPORT}/sessions", page.fields())).status == 303
