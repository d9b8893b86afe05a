"""Doctor's look at who can reach the sidecar, whose word it takes, and who shares the panel's origin (R-136).

It judges addresses as they are written; what a firewall in between does it cannot see.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.report import Finding, fault, fine, listed, warning
from service_kit.settings import Listen

_WIDE_IPV4: Final = 8
_WIDE_IPV6: Final = 16
_OPS_FIX: Final = "set {variable}=127.0.0.1:9090 or a private address: it tells metrics, health and keys"
_GATE_FIX: Final = (
    "set {variable} to loopback, a private address or unix:/path, so that only the tunnel or load balancer "
    "reaches it"
)


async def look_at_listeners(patient: Patient) -> list[Finding]:
    """Whether the world can reach a listener."""
    settings = patient.settings
    return [
        _listener("AUTH_PROXY_LISTEN", settings.listen, _GATE_FIX),
        _listener("AUTH_PROXY_OPS_LISTEN", settings.ops_listen, _OPS_FIX),
    ]


async def look_at_trusted_proxies(patient: Patient) -> list[Finding]:
    """Whether anybody may say where a request came from."""
    networks = [ipaddress.ip_network(text, strict=False) for text in patient.settings.trusted_proxies]
    wide = list(_wide(networks))
    if not wide:
        return [fine("trusted proxies", listed(str(network) for network in networks))]
    fix = "list only the addresses of your own proxies in AUTH_PROXY_TRUSTED_PROXIES (cloudflared: 127.0.0.1)"
    seen = f"{', '.join(map(str, wide))}: a client there can invent its address"
    if any(network.prefixlen == 0 for network in wide):
        return [fault("trusted proxies", seen, fix)]
    return [warning("trusted proxies", seen, fix)]


async def look_at_development(patient: Patient) -> list[Finding]:
    """Whether the development gate stands open."""
    if not patient.settings.dev_gate_is_open:
        return []
    seen = "open: whoever reaches the listener is the operator of LOCAL_DEV_ADMIN_EMAIL"
    return [warning("development gate", seen, "unset ALLOW_DEV_ADMIN_AUTH and LOCAL_DEV_ADMIN_EMAIL")]


async def look_at_panel_origin(patient: Patient) -> list[Finding]:
    """Whether scripts of a frontend would run in the panel's own origin."""
    settings = patient.settings
    if settings.admin_service is None:
        return []  # no panel
    config = settings.config
    panel = [host for host in settings.admin_hosts if host not in config.owned_hosts]
    beside = [route.name for route in config.routes if route.host is None or route.host in panel]
    if settings.upstream is not None:
        beside.append("/ (AUTH_PROXY_UPSTREAM)")
    if not panel or not beside:
        return [fine("panel origin", "nothing but the panel answers there")]
    seen = f"{listed(beside)} beside the panel: a script there can do what the operator who sees it may do"
    fix = "give that frontend a host of its own in AUTH_PROXY_CONFIG, or guard it as you guard the panel"
    return [warning("panel origin", seen, fix)]


def _listener(variable: str, listen: Listen, fix: str) -> Finding:
    name, fix = f"listener {variable}", fix.format(variable=variable)
    if listen.is_loopback:
        return fine(name, f"{listen}: this machine alone")
    try:
        address = ipaddress.ip_address(listen.host)
    except ValueError:
        return warning(name, f"{listen}: a name, so what it resolves to decides who reaches it", fix)
    if address.is_unspecified:
        return warning(name, f"{listen}: every network of this machine reaches it", fix)
    if address.is_global:
        return fault(name, f"{listen}: a public address", fix)
    return fine(name, f"{listen}: a private address")


def _wide(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for network in networks:
        if network.prefixlen < (_WIDE_IPV4 if network.version == 4 else _WIDE_IPV6):  # noqa: PLR2004 - IP's own numbers
            yield network
