"""Which routes this sidecar serves, and where each of them leads."""

from dataclasses import replace

from auth_proxy.destinations import Destination, Servers
from auth_proxy.routes import (
    BUILT_IN,
    ON_EVERY_HOST,
    Route,
    Target,
    boot_exchange_route,
    frontend_route,
    welcome_route,
)
from auth_proxy.settings import ProxySettings
from service_kit.web.service_url import ServiceUrl


def effective_routes(settings: ProxySettings) -> tuple[Route, ...]:
    """Every route that this sidecar serves."""
    own = settings.config.routes
    has_own_root = any(route.pattern == "/" and route.host is None for route in own)
    if settings.upstream is not None:
        own = (*own, frontend_route())
    elif settings.admin_service is not None and not has_own_root:
        own = (*own, welcome_route())
    if settings.admin_service is None:
        return (*own, boot_exchange_route())
    owned = settings.config.owned_hosts
    if not owned:
        return (*BUILT_IN, *own)
    panel_hosts = [host for host in settings.admin_hosts if host not in owned]
    panel = (replace(route, host=host) for host in panel_hosts for route in BUILT_IN)
    return (*panel, *(replace(route, host=host) for host in owned for route in ON_EVERY_HOST), *own)


def destinations_of(settings: ProxySettings) -> dict[str, Destination]:
    """Every destination, by the target that routes name it with."""
    named = {
        Target.ADMIN: _one(settings.admin_service),
        Target.TENANT: _one(settings.tenant_service),
        Target.FRONTEND: settings.upstream,
    }
    set_ones = {target.value: destination for target, destination in named.items() if destination is not None}
    return {**settings.config.destinations, **set_ones}


def servers_of(settings: ProxySettings) -> dict[str, Servers]:
    """The servers among the destinations."""
    return {
        target: found for target, found in destinations_of(settings).items() if isinstance(found, Servers)
    }


def _one(service: ServiceUrl | None) -> Servers | None:
    return None if service is None else Servers((service,))
