"""What the dashboard's tiles say: read from both services, as far as this operator may see it (P-01).

A number that may not be seen, or that nobody could count, is absent; it is never shown as zero.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from admin_service.panel.context import PanelServices, behalf_of, both, reader_of, usable_delegation
from admin_service.panel.rendering import number
from admin_service.panel.views.audit import AUDIT_PATH
from admin_service.panel.views.dashboard import Tile
from admin_service.panel.views.parts import page_url
from admin_service.panel.views.tenants import TENANTS_PATH
from admin_service.tenant_answers import TenantAttention, TenantCounts
from service_kit.audit.own_events import BROKEN
from service_kit.audit.queries import AuditFilter
from service_kit.errors import UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

ATTENTION: Final = "/internal/v1/tenant-attention"
QUEUES_PATH: Final = "/manage/system/queues"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pulse:
    """None: not for this role, or nobody could count it; `missing` says that a service did not answer."""

    counts: TenantCounts | None = None
    attention: TenantAttention | None = None
    dead: int | None = None
    chain_is_broken: bool | None = None
    missing: bool = False


async def take_pulse(services: PanelServices, call: Call) -> Pulse:
    """One reading of everything that whoever calls may see; each source is asked once, side by side."""
    may = call.actor.may
    lists = may(Permission.TENANT_LIST)
    (counts, attention), (dead, broken) = await both(
        both(
            _known(_counts(services, call)) if lists else _nothing(),
            _known(_attention(services, call)) if lists else _nothing(),
        ),
        both(
            _dead(services, call) if may(Permission.VIEW_SYSTEM_METRICS) else _nothing(),
            _broken(services, call) if may(Permission.VIEW_ADMIN_AUDIT_EVENTS) else _nothing(),
        ),
    )
    missing = lists and (counts is None or attention is None)
    return Pulse(counts, attention, dead, broken, missing)


def tiles_of(pulse: Pulse) -> tuple[Tile, ...]:
    """The tiles in the order of the page."""
    return (*_tenant_tiles(pulse.counts), *_attention_tiles(pulse.attention), *_platform_tiles(pulse))


def _tenant_tiles(counts: TenantCounts | None) -> tuple[Tile, ...]:
    if counts is None:
        return ()
    status = {name: page_url(TENANTS_PATH, {"status": name}) for name in ("active", "suspended")}
    sizes = (
        Tile("tile-tenants", "Tenants", number(counts.total), TENANTS_PATH),
        Tile("tile-active", "Active", number(counts.active), status["active"]),
        Tile("tile-suspended", "Suspended", number(counts.suspended), status["suspended"]),
        Tile("tile-invitations", "Pending invitations", number(counts.pending_invitations)),
    )
    return tuple(replace(tile, is_watched=False) for tile in sizes)


def _attention_tiles(attention: TenantAttention | None) -> tuple[Tile, ...]:
    if attention is None:
        return ()
    failures, low = attention.partial_failures, attention.low_balances
    failed = page_url(AUDIT_PATH, {"event": "org.invitation.partial_failure", "range": "all"})
    running_out = page_url(TENANTS_PATH, {"lowBalance": "true"})
    expiring = Tile("tile-expiring", "Expiring in 24 h", number(attention.expiring_invitations))
    partial = Tile("tile-partial", "Partial failures", number(failures), failed)
    if failures:
        partial = replace(partial, note="accounts without a place", tone="warning")
    is_low = () if low is None else (Tile("tile-low", "Low balances", number(low), running_out),)
    return (replace(expiring, note="invitations"), *is_low, partial)


def _platform_tiles(pulse: Pulse) -> tuple[Tile, ...]:
    tiles = []
    if pulse.dead is not None:
        dead = Tile("tile-dead", "Dead messages", number(pulse.dead), QUEUES_PATH)
        tiles.append(replace(dead, note="given up", tone="danger") if pulse.dead else dead)
    if pulse.chain_is_broken is not None:
        breaks = page_url(AUDIT_PATH, {"event": BROKEN.name, "range": "all"})
        intact = Tile("tile-chain", "Audit chain", "Intact", breaks, "no break on record")
        broken = Tile("tile-chain", "Audit chain", "Broken", breaks, "a break is on record", "danger")
        tiles.append(broken if pulse.chain_is_broken else intact)
    return tuple(tiles)


async def _nothing() -> None:
    return None


async def _known(answer: Awaitable[T]) -> T | None:
    try:
        return await answer
    except UnavailableError:
        return None


async def _counts(services: PanelServices, call: Call) -> TenantCounts:
    return await services.tenants.counts(behalf_of(call))


async def _attention(services: PanelServices, call: Call) -> TenantAttention:
    return await services.tenants.at(TenantAttention, ATTENTION, behalf_of(call))


async def _dead(services: PanelServices, call: Call) -> int | None:
    """None while one of the services does not answer: half a sum would look like a whole one."""
    found = await services.system.queues(call, usable_delegation(call.request))
    return None if found.unavailable else sum(queue.dead for queue in found.rows)


async def _broken(services: PanelServices, call: Call) -> bool | None:
    """Each service verifies its own log without end, and records a break once; so a row tells of one.

    Only whoever may read that row may ask: to anybody else every log would look intact (R-080).
    """
    found = await services.audit.page(
        reader_of(call), AuditFilter(event=BROKEN.name), limit=1, allow_partial=True
    )
    return True if found.rows else None if found.missing else False
