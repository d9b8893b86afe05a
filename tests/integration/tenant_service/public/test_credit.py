"""What a tenant sees of credit: the packs on offer in its own currency."""

from typing import Any

from tests.integration.tenant_service.public.tenant_site import TenantSite
from tests.integration.tenant_service.tenant_process import AUDIENCE

PACKS = "/api/admin/credit-packs"


async def post(site: TenantSite, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What an operator's POST is answered."""
    target = f"{PACKS}{path}"
    proof = site.process.vouch.headers(audience=AUDIENCE, method="POST", target=target)
    answer = await site.process.client.post(target, json=body, headers=proof)
    assert answer.status in (200, 201), await answer.text()
    read: dict[str, Any] = await answer.json()
    return read


async def test_only_packs_on_offer_are_shown(site: TenantSite) -> None:
    """R-027, http-api 3.3: active packs alone, by sort order, in its currency; changes show at once."""
    owner = await site.owner()
    made = {}
    for order, name in enumerate(("Small", "Large", "Retired")):
        pack = {"name": name, "replies": 100, "prices": {"INR": 24900, "USD": 300}, "sortOrder": 9 - order}
        made[name] = (await post(site, "", pack))["id"]

    async def shown() -> list[tuple[str, int, str]]:
        said = await owner.ask("GET", "/api/tenant/credit-packs")
        assert said.status == 200
        return [(pack["name"], pack["amountMinor"], pack["priceDisplay"]) for pack in said.body["data"]]

    await post(site, f"/{made['Retired']}/deactivate")
    assert await shown() == [("Large", 24900, "₹249.00"), ("Small", 24900, "₹249.00")]
    await post(site, f"/{made['Small']}/deactivate")
    await post(site, f"/{made['Retired']}/activate")
    assert [name for name, _, _ in await shown()] == ["Retired", "Large"]
