"""Doctor's look at frontends: whether one of them answers a stranger who comes past the sidecar.

It sends two plain requests for `/`: one without identity, one with an identity that nobody signed.
"""

import asyncio
from typing import Final

import aiohttp

from auth_proxy.commands.doctor.patient import Patient, ask, cause
from auth_proxy.commands.report import Finding, fault, fine, warning
from auth_proxy.destinations import Servers, StaticFolder
from auth_proxy.settings import ProxySettings
from service_kit.identity.binding import IDENTITY_HEADER
from service_kit.web.service_url import ServiceUrl

_FORGED: Final = "forged.by.doctor"
_REFUSES: Final = (401, 403)
_FIX: Final = (
    "verify X-Internal-Identity there (docs/internal-identity.md), or let only the sidecar reach it: a "
    "unix socket, or a network of its own"
)


async def look_at_upstreams(patient: Patient) -> list[Finding]:
    """One finding per folder, and per server of each frontend: of equal ones, each can be wrong alone."""
    return list(await asyncio.gather(*(_look(target) for target in _frontends(patient.settings))))


def _frontends(settings: ProxySettings) -> list[ServiceUrl | StaticFolder]:
    named = [settings.upstream] if settings.upstream is not None else []
    every: dict[str, ServiceUrl | StaticFolder] = {}
    for destination in (*named, *settings.config.destinations.values()):
        parts = destination.addresses if isinstance(destination, Servers) else (destination,)
        every |= {str(part): part for part in parts}
    return list(every.values())


async def _look(target: ServiceUrl | StaticFolder) -> Finding:
    name = f"upstream {target}"
    if isinstance(target, StaticFolder):
        return fine(name, "files of this machine, served by the sidecar alone")
    if target.socket_path:
        return fine(name, "a unix socket: no network reaches it")
    try:
        plain, forged = await asyncio.gather(ask(target, "/"), ask(target, "/", {IDENTITY_HEADER: _FORGED}))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return fault(name, cause(error), "start it, or correct AUTH_PROXY_UPSTREAM or the route's target")
    if plain.status not in _REFUSES:
        seen = f"reachable without the sidecar: answers {plain.status} without identity"
        return warning(name, seen, _FIX)
    if forged.status not in _REFUSES:
        seen = f"believes an identity that nobody signed: answers {forged.status}"
        return warning(name, seen, _FIX)
    return fine(name, "refuses a request without identity, and a forged one")
