"""Every request of both services that must leave an audit row, ready to be sent to a house that is lived in.

A request stands here under its plane, method and registered path; what must not be recorded stands in
`UNRECORDED` with the reason.
"""

from collections.abc import Mapping
from typing import Any, Final

from admin_service.sessions.cookie import AX_TOKEN
from service_kit.identity.model import Role, Scope
from tests.integration.admin_service.denials import reported
from tests.integration.tenant_service.billing.billing_process import new_pack
from tests.integration.tenant_service.public.tenant_site import PASSWORD
from tests.integration.tenant_service.tenant_process import TENANTS, new_tenant
from tests.security.recorded_house import HELD, PACKS, REASON, TOKEN, Lived, Send, Sent

_ADMINS: Final = "/api/admin/global-admins"
_TENANT: Final = f"{TENANTS}/{{id}}"
_CREDITS: Final = f"{_TENANT}/credits/grants"


def _sidecar(path: str, body: Mapping[str, object]) -> Send:
    async def send(lived: Lived) -> Sent:
        proof = lived.office.vouch.headers(
            None, audience="admin_service", method="POST", target=path, scope=Scope.ROSTER
        )
        answer = await lived.office.client.post(path, headers=proof, json=body)
        return answer.status, await answer.text()

    return send


async def _sign_out(lived: Lived) -> Sent:
    proof = lived.office.proof("DELETE", "/api/access-sso", Role.SUPPORT, delegated=False)
    headers = {**proof, "Cookie": f"{AX_TOKEN.name}={TOKEN}"}
    answer = await lived.office.client.delete("/api/access-sso", headers=headers)
    return answer.status, await answer.text()


async def _claim_by_form(lived: Lived) -> Sent:
    person: dict[str, Any] = {"sub": "sub-new", "email": "pending@example.com"}
    fields = (await lived.office.get("/enrollment", None, **person)).fields()
    said = await lived.office.post("/enrollment", {**fields, "token": "enr_wrong"}, None, **person)
    return said.status, said.text


_PENDING: Final = f"{_ADMINS}/adm_pending"
_OTHER: Final = f"{_ADMINS}/adm_support"
_SYSTEM: Final = "/api/admin/system"
_STRANGER: Final = {"sub": "sub-new", "email": "pending@example.com", "token": "enr_wrong"}

ADMIN: Final[Mapping[str, Send]] = {
    f"POST {_ADMINS}": lambda it: it.admin(
        "POST", _ADMINS, {"email": "x@example.com", "name": "X", "role": "support"}
    ),
    f"POST {_ADMINS}/{{id}}/reissue-enrollment": lambda it: it.admin(
        "POST", f"{_PENDING}/reissue-enrollment", {}
    ),
    f"POST {_ADMINS}/{{id}}/reactivate": lambda it: it.admin(
        "POST", f"{_ADMINS}/adm_gone/reactivate", REASON
    ),
    f"POST {_ADMINS}/{{id}}/deactivate": lambda it: it.admin("POST", f"{_OTHER}/deactivate", REASON),
    f"POST {_ADMINS}/{{id}}/role": lambda it: it.admin(
        "POST", f"{_OTHER}/role", {"role": "security", **REASON}, if_match='"1"'
    ),
    f"DELETE {_ADMINS}/{{id}}/sessions": lambda it: it.admin("DELETE", f"{_OTHER}/sessions"),
    f"DELETE {_ADMINS}/{{id}}/sessions/{{sid}}": lambda it: it.admin(
        "DELETE", f"{_OTHER}/sessions/{HELD}_support"
    ),
    "POST /internal/v1/enrollments/claim": _sidecar("/internal/v1/enrollments/claim", _STRANGER),
    "POST /internal/v1/access-denials": _sidecar(
        "/internal/v1/access-denials", {"denials": [reported()], "dropped": 0}
    ),
    "POST /api/access-sso": lambda it: it.admin("POST", "/api/access-sso"),
    "DELETE /api/access-sso": _sign_out,
    "POST /api/admin/audit-logs/predicate-check": lambda it: it.admin(
        "POST",
        "/api/admin/audit-logs/predicate-check",
        {"eventId": it.names["search"], "params": {"email": "max@example.com"}},
    ),
    f"POST {_SYSTEM}/queues/{{name}}/messages/{{id}}/retry": lambda it: it.admin(
        "POST", f"{_SYSTEM}/queues/tenant.mail/messages/{{letter}}/retry", REASON
    ),
    f"POST {_SYSTEM}/workflows/{{name}}/run": lambda it: it.admin(
        "POST", f"{_SYSTEM}/workflows/admin.sweep_sessions/run", REASON
    ),
    "POST /manage/tenants/new": lambda it: it.page(
        "/manage/tenants/new", name="N", slug="new-one", primaryAdminEmail="n@example.com"
    ),
    "POST /manage/users": lambda it: it.page("/manage/users", text="max@example.com"),
    "POST /manage/audit/{id}": lambda it: it.page("/manage/audit/{search}", text="max@example.com"),
    "POST /manage/operators/new": lambda it: it.page(
        "/manage/operators/new", name="X", email="x@example.com", role="support"
    ),
    "POST /manage/operators/{id}/role": lambda it: it.page(
        "/manage/operators/adm_support/role", role="security", **REASON
    ),
    "POST /manage/operators/{id}/token": lambda it: it.page("/manage/operators/adm_pending/token"),
    "POST /manage/operators/{id}/deactivate": lambda it: it.page(
        "/manage/operators/adm_support/deactivate", **REASON
    ),
    "POST /manage/operators/{id}/reactivate": lambda it: it.page(
        "/manage/operators/adm_gone/reactivate", **REASON
    ),
    "POST /manage/operators/{id}/sessions": lambda it: it.page("/manage/operators/adm_support/sessions"),
    "POST /manage/me/sessions": lambda it: it.page("/manage/me/sessions"),
    "POST /manage/system/queues/{name}/messages/{id}/retry": lambda it: it.page(
        "/manage/system/queues/tenant.mail/messages/{letter}/retry", **REASON
    ),
    "POST /manage/system/workflows/{name}/run": lambda it: it.page(
        "/manage/system/workflows/admin.sweep_sessions/run", **REASON
    ),
    "POST /enrollment": _claim_by_form,
    # Reading that is recorded.
    "GET /api/admin/audit-logs": lambda it: it.admin("GET", "/api/admin/audit-logs"),
    "GET /api/admin/audit-logs/export": lambda it: it.admin(
        "GET", "/api/admin/audit-logs/export?format=ndjson"
    ),
    "GET /manage/audit/evidence/pack": lambda it: it.admin("GET", "/manage/audit/evidence/pack"),
    "GET /manage/audit": lambda it: it.admin("GET", "/manage/audit"),
    "GET /manage/tenants": lambda it: it.admin("GET", "/manage/tenants?format=csv"),
    "GET /manage/operators": lambda it: it.admin("GET", "/manage/operators?format=csv"),
    "GET /manage/billing": lambda it: it.admin("GET", "/manage/billing?format=csv"),
    "GET /manage/tenants/{id}/billing": lambda it: it.admin(
        "GET", "/manage/tenants/{live}/billing?format=csv"
    ),
}

TENANT: Final[Mapping[str, Send]] = {
    f"POST {TENANTS}": lambda it: it.operators("POST", TENANTS, new_tenant("another")),
    f"PATCH {_TENANT}": lambda it: it.operators(
        "PATCH", f"{TENANTS}/{{live}}", {"name": "Other"}, if_match='"1"'
    ),
    f"POST {_TENANT}/suspend": lambda it: it.operators("POST", f"{TENANTS}/{{live}}/suspend", REASON),
    f"POST {_TENANT}/restore": lambda it: it.operators("POST", f"{TENANTS}/{{paused}}/restore", REASON),
    f"DELETE {_TENANT}": lambda it: it.operators("DELETE", f"{TENANTS}/{{live}}", REASON),
    f"POST {_TENANT}/sessions/revoke": lambda it: it.operators(
        "POST", f"{TENANTS}/{{live}}/sessions/revoke", REASON
    ),
    f"POST {_TENANT}/invitations": lambda it: it.operators(
        "POST", f"{TENANTS}/{{live}}/invitations", {"email": "z@example.com", "role": "admin"}
    ),
    f"POST {_TENANT}/invitations/{{invitation}}/resend": lambda it: it.operators(
        "POST", f"{TENANTS}/{{live}}/invitations/{{invitation}}/resend"
    ),
    f"DELETE {_TENANT}/invitations/{{invitation}}": lambda it: it.operators(
        "DELETE", f"{TENANTS}/{{live}}/invitations/{{invitation}}"
    ),
    f"DELETE {_TENANT}/connected-accounts/{{account}}": lambda it: it.operators(
        "DELETE", f"{TENANTS}/{{live}}/connected-accounts/{{account}}", REASON
    ),
    f"PUT {_TENANT}/feature-flags/{{key}}": lambda it: it.operators(
        "PUT", f"{TENANTS}/{{live}}/feature-flags/new_inbox", {"enabled": True}, if_match='"0"'
    ),
    "POST /internal/v1/system/queues/{name}/messages/{id}/retry": lambda it: it.operators(
        "POST", "/internal/v1/system/queues/mail/messages/{letter}/retry", REASON
    ),
    "POST /internal/v1/system/workflows/{name}/run": lambda it: it.operators(
        "POST", "/internal/v1/system/workflows/tend_outbox/run", REASON
    ),
    "POST /internal/v1/support-search": lambda it: it.operators(
        "POST", "/internal/v1/support-search", {"email": "max@example.com"}
    ),
    "POST /internal/v1/support-search/predicate-check": lambda it: it.operators(
        "POST",
        "/internal/v1/support-search/predicate-check",
        {"eventId": it.names["search"], "params": {"email": "max@example.com"}},
    ),
    f"POST {PACKS}": lambda it: it.operators("POST", PACKS, new_pack("third")),
    f"POST {PACKS}/reorder": lambda it: it.operators(
        "POST", f"{PACKS}/reorder", {"ids": [it.names["off"], it.names["on"]]}
    ),
    f"PATCH {PACKS}/{{id}}": lambda it: it.operators(
        "PATCH", f"{PACKS}/{{on}}", {"name": "Other"}, if_match='"1"'
    ),
    f"DELETE {PACKS}/{{id}}": lambda it: it.operators(
        "DELETE", f"{PACKS}/{{off}}?confirm=off", if_match='"1"'
    ),
    f"POST {PACKS}/{{id}}/activate": lambda it: it.operators("POST", f"{PACKS}/{{off}}/activate"),
    f"POST {PACKS}/{{id}}/deactivate": lambda it: it.operators("POST", f"{PACKS}/{{on}}/deactivate"),
    f"POST {_CREDITS}": lambda it: it.operators(
        "POST", f"{TENANTS}/{{live}}/credits/grants", {"replies": 5, **REASON}, idempotency_key="second"
    ),
    f"POST {_CREDITS}/{{grant}}/void": lambda it: it.operators(
        "POST", f"{TENANTS}/{{live}}/credits/grants/{{grant}}/void", REASON, idempotency_key="void"
    ),
    f"POST {_CREDITS}/{{grant}}/expiry": lambda it: it.operators(
        "POST",
        f"{TENANTS}/{{live}}/credits/grants/{{grant}}/expiry",
        {"expiresAt": "2027-01-01T00:00:00Z", **REASON},
        idempotency_key="expiry",
    ),
    # Reading that is recorded.
    "GET /api/admin/users": lambda it: it.operators("GET", "/api/admin/users?email=max@example.com"),
}

_ACCEPTED: Final = {"name": "New", "password": PASSWORD}
_MEMBER: Final = "/api/tenant/members/{colleague}"
_MEMBER_PAGE: Final = "/team/members/{colleague}"
_NEW_PASSWORD: Final = "quartz-Mitten-83-velvet"
_SIGN_IN: Final = {"email": "bob@example.com", "password": PASSWORD}

PUBLIC: Final[Mapping[str, Send]] = {
    "POST /api/invitations/accept/{id}": lambda it: it.member(
        "fresh", "POST", "/api/invitations/accept/{fresh}", _ACCEPTED
    ),
    "POST /api/auth/sign-in/email": lambda it: it.member(
        "nobody", "POST", "/api/auth/sign-in/email", _SIGN_IN
    ),
    "POST /api/auth/sign-out": lambda it: it.member("owner", "POST", "/api/auth/sign-out"),
    "POST /api/auth/change-password": lambda it: it.member(
        "owner",
        "POST",
        "/api/auth/change-password",
        {"currentPassword": PASSWORD, "newPassword": _NEW_PASSWORD},
    ),
    "PATCH /api/tenant/members/{id}": lambda it: it.member("owner", "PATCH", _MEMBER, {"role": "admin"}),
    "DELETE /api/tenant/members/{id}": lambda it: it.member("owner", "DELETE", _MEMBER),
    "POST /api/auth/organization/invite-member": lambda it: it.member(
        "owner", "POST", "/api/auth/organization/invite-member", {"email": "y@example.com", "role": "member"}
    ),
    "DELETE /api/tenant/invitations/{id}": lambda it: it.member(
        "owner", "DELETE", "/api/tenant/invitations/{open}"
    ),
    "POST /login": lambda it: it.form("nobody", "/login", "/login", **_SIGN_IN),
    "POST /logout": lambda it: it.form("owner", "/dashboard", "/logout"),
    "POST /accept-invite/{id}": lambda it: it.form(
        "fresh", "/accept-invite/{fresh}", "/accept-invite/{fresh}", **_ACCEPTED
    ),
    "POST /account/password": lambda it: it.form(
        "owner", "/account", "/account/password", current=PASSWORD, new=_NEW_PASSWORD
    ),
    "POST /team/invite": lambda it: it.form(
        "owner", "/team", "/team/invite", email="y@example.com", role="member"
    ),
    "POST /team/invitations/{id}/cancel": lambda it: it.form(
        "owner", "/team", "/team/invitations/{open}/cancel"
    ),
    "POST /team/members/{id}/role": lambda it: it.form(
        "owner", _MEMBER_PAGE, f"{_MEMBER_PAGE}/role", role="admin"
    ),
    "POST /team/members/{id}/remove": lambda it: it.form("owner", _MEMBER_PAGE, f"{_MEMBER_PAGE}/remove"),
}

_LEDGER: Final = "the ledger is the record of what the runtime uses (data-model 2.6)"
UNRECORDED: Final[Mapping[str, str]] = {
    "PATCH /api/admin/me/preferences": "how an operator likes their own screen",
    "POST /manage/me/preferences": "how an operator likes their own screen",
    "POST /manage/theme": "a cookie",
    "POST /manage/views": "how an operator likes their own lists",
    "POST /manage/views/{id}/delete": "how an operator likes their own lists",
    "POST /internal/v1/operators/activity": "when somebody was last seen is no action of theirs",
    "POST /internal/v1/tenants/{id}/credits/consume": _LEDGER,
    "POST /internal/v1/tenants/{id}/credits/reserve": _LEDGER,
    "POST /internal/v1/tenants/{id}/credits/reservations/{reservation}/commit": _LEDGER,
    "POST /internal/v1/tenants/{id}/credits/reservations/{reservation}/release": _LEDGER,
    "POST /internal/v1/tenants/{id}/credits/txns/{txn}/restore": _LEDGER,
}

_ACCOUNT: Final = frozenset({"users", "user_credentials"})
LEFT_BEHIND: Final[Mapping[str, frozenset[str]]] = {
    "POST /api/invitations/accept/{id}": _ACCOUNT,
    "POST /accept-invite/{id}": _ACCOUNT,
}
"""An account is made before its place in the tenant is (data-model 2.6: B, then D): without D it opens
nothing, and the same link works again.
"""

READINGS: Final = frozenset(
    name
    for name in (*ADMIN, *TENANT)
    if name.startswith("GET ") or name.endswith(("/users", "/support-search", "/predicate-check"))
)
"""What must show nothing of what was read."""


FORWARDED: Final[Mapping[str, str]] = {
    "POST /manage/tenants/{id}/edit": f"PATCH {_TENANT}",
    "POST /manage/tenants/{id}/suspend": f"POST {_TENANT}/suspend",
    "POST /manage/tenants/{id}/restore": f"POST {_TENANT}/restore",
    "POST /manage/tenants/{id}/delete": f"DELETE {_TENANT}",
    "POST /manage/tenants/{id}/undelete": f"POST {_TENANT}/restore",
    "POST /manage/tenants/{id}/members/sessions": f"POST {_TENANT}/sessions/revoke",
    "POST /manage/tenants/{id}/invitations/new": f"POST {_TENANT}/invitations",
    "POST /manage/tenants/{id}/invitations/{invitation}/resend": (
        f"POST {_TENANT}/invitations/{{invitation}}/resend"
    ),
    "POST /manage/tenants/{id}/invitations/{invitation}/cancel": (
        f"DELETE {_TENANT}/invitations/{{invitation}}"
    ),
    "POST /manage/tenants/{id}/accounts/{account}/remove": (
        f"DELETE {_TENANT}/connected-accounts/{{account}}"
    ),
    "POST /manage/tenants/{id}/flags/{key}": f"PUT {_TENANT}/feature-flags/{{key}}",
    "POST /manage/billing": f"POST {PACKS}/reorder",
    "POST /manage/billing/packs/new": f"POST {PACKS}",
    "POST /manage/billing/packs/{id}/edit": f"PATCH {PACKS}/{{id}}",
    "POST /manage/billing/packs/{id}/activate": f"POST {PACKS}/{{id}}/activate",
    "POST /manage/billing/packs/{id}/deactivate": f"POST {PACKS}/{{id}}/deactivate",
    "POST /manage/billing/packs/{id}/delete": f"DELETE {PACKS}/{{id}}",
    "POST /manage/billing/grant/{tenant_id}": f"POST {_CREDITS}",
    "POST /manage/tenants/{id}/billing/grants/{grant}/void": f"POST {_CREDITS}/{{grant}}/void",
    "POST /manage/tenants/{id}/billing/grants/{grant}/expiry": f"POST {_CREDITS}/{{grant}}/expiry",
}
"""Forms of the panel that write nothing themselves: they pass on to a request of the tenant service."""
