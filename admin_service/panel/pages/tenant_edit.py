"""Editing a tenant (G-02): name, plan, address and currency, held to the version that was seen."""

from typing import Final

from aiohttp import web

from admin_service.panel.labels import currency_name, sentence
from admin_service.panel.pages.tenant_asking import Done, head_of, tenant_of
from admin_service.panel.pages.tenant_life import not_offered
from admin_service.panel.pages.tenant_steps import Seen, Sent, TenantStep, back_to, overview_link
from admin_service.panel.pages.tenants import PLANS
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.tenant_steps import Control, TenantStepView
from admin_service.tenant_answers import TenantDetail
from service_kit.errors import PreconditionFailedError

_CURRENCIES: Final = ("INR", "USD")


async def _view(seen: Seen, state: FormState) -> TenantStepView:
    tenant, head = seen.tenant, head_of(seen.tenant)
    is_conflict = isinstance(seen.error, PreconditionFailedError)
    return TenantStepView(
        head=head,
        heading="Edit tenant",
        action=f"{head.href}/edit",
        back=overview_link(tenant),
        form=state,
        button="Save",
        controls=_controls(seen, is_conflict=is_conflict),
        facts=_as_it_is(tenant) if is_conflict else (("Slug", f"{tenant.slug} (cannot be changed)"),),
        not_offered=not_offered(tenant, "active", "suspended"),
    )


def _controls(seen: Seen, *, is_conflict: bool) -> tuple[Control, ...]:
    tenant = seen.tenant
    # After a conflict the page shows the newest; before, a save must not pass over what nobody saw.
    version = str(tenant.version) if is_conflict else seen.typed("version", str(tenant.version))
    plans = PLANS if tenant.plan in PLANS else (*PLANS, tenant.plan)
    return (
        Control(name="version", label="", kind="hidden", value=version),
        Control(name="name", label="Name", value=seen.typed("name", tenant.name), is_required=True, most=120),
        Control(
            name="primaryEmail",
            label="Email",
            kind="email",
            value=seen.typed("primaryEmail", tenant.email),
            hint="Where letters about the tenant go. It changes no owner.",
            is_required=True,
            most=254,
        ),
        Control(
            name="plan",
            label="Plan",
            kind="select",
            value=seen.typed("plan", tenant.plan),
            options=tuple((plan, sentence(plan)) for plan in plans),
        ),
        Control(
            name="currency",
            label="Billing currency",
            kind="select",
            value=seen.typed("currency", tenant.currency),
            options=tuple((currency, currency_name(currency)) for currency in _CURRENCIES),
        ),
        Control(
            name="reason",
            label="Reason (optional)",
            value=seen.typed("reason"),
            hint="The tenant reads it in its own log.",
        ),
    )


def _as_it_is(tenant: TenantDetail) -> tuple[tuple[str, str], ...]:
    return (
        ("Name now", tenant.name),
        ("Email now", tenant.email),
        ("Plan now", sentence(tenant.plan)),
        ("Currency now", currency_name(tenant.currency)),
    )


async def _save(sent: Sent) -> web.StreamResponse:
    text = sent.form.text
    wanted = {name: text(name) for name in ("name", "primaryEmail", "plan", "currency")}
    version = sent.version()
    try:
        await sent.order(Done, (), {**wanted, "reason": text("reason")}, method="PATCH", version=version)
    except PreconditionFailedError:
        now = await tenant_of(sent.services, sent.call)
        current = {"name": now.name, "primaryEmail": now.email, "plan": now.plan, "currency": now.currency}
        if current != wanted:
            raise
        # The same form, sent twice: it is as it was wanted.
    return back_to(sent.call, "", "saved")


EDIT: Final = TenantStep("tenant-edit", _view, _save)
