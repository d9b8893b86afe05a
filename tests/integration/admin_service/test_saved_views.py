"""Saved views on each kind of database, with the rights that the service has there."""

import asyncio

from admin_service.saved_views.models import MOST_OF_ONE, ListName, TooManyViewsError
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import AdminProcess, asker


async def test_views_are_kept_replaced_bounded_and_dropped(process: AdminProcess) -> None:
    """Rule 2: one name is one view, saves at once keep within the bound, and everybody has their own."""
    await process.add(Role.SUPPORT)
    await process.add(Role.READ_ONLY)
    views, own, other = process.services.saved_views, asker(Role.SUPPORT), asker(Role.READ_ONLY)
    await asyncio.gather(*(views.save(own, ListName.TENANTS, "Mine", f"q={number}") for number in range(4)))
    await views.save(other, ListName.TENANTS, "Mine", "q=other")
    found = await asyncio.gather(
        *(views.save(own, ListName.TENANTS, f"View {number}", "") for number in range(MOST_OF_ONE)),
        return_exceptions=True,
    )

    assert [type(one) for one in found if one is not None] == [TooManyViewsError]
    kept = await views.of(own.actor, ListName.TENANTS)
    assert len(kept) == MOST_OF_ONE
    assert await views.of(own.actor, ListName.AUDIT) == []
    (theirs,) = await views.of(other.actor, ListName.TENANTS)
    for stranger in (theirs.id, "view_1", "\0", "\ud800", ""):
        await views.remove(own, stranger)
    for view in kept:
        await views.remove(own, view.id)
    assert [row["query"] for row in await process.rows("saved_views")] == ["q=other"]
