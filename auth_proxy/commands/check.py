"""`auth-proxy check`: whether the configuration holds, and what it comes to.

It reads the files that the configuration names and asks nobody: that is `doctor`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from auth_proxy.commands.keys import states_of
from auth_proxy.commands.report import Report, columns, listed
from auth_proxy.composition.routes import effective_routes, servers_of
from auth_proxy.roster.file import load_operators
from auth_proxy.routes import ANY_METHOD, Route
from auth_proxy.settings import ProxySettings
from service_kit.identity.keys import load_signing_keys
from service_kit.settings import variables


def check(settings: ProxySettings, now: datetime) -> Report:
    """The effective configuration. Raises KeyFileError or RosterFileError for a file that is broken."""
    lead = timedelta(seconds=settings.signing_lead_seconds)
    keys = states_of(load_signing_keys(settings.signing_key_file), now, lead)
    document: dict[str, Any] = {
        "settings": effective_variables(settings),
        "hosts": _hosts(settings),
        "roster": _roster(settings),
        "signingKeys": [state.document() for state in keys],
        "routes": [_route(route, settings) for route in sorted(effective_routes(settings), key=_rank)],
    }
    return Report(tuple(_lines(document)), document)


def effective_variables(settings: ProxySettings) -> dict[str, object]:
    """Every variable with the value that counts; a secret is `***`."""
    effective = {
        names[0]: shown(getattr(settings, field)) for field, names in variables(ProxySettings).items()
    }
    effective["CF_ACCESS_TEAM_DOMAIN"] = settings.issuer_url
    effective["AUTH_PROXY_ROSTER"] = settings.roster_source
    return effective


def shown(value: object) -> object:
    """A value as `check` shows it."""
    match value:
        case SecretStr():
            return "***"
        case None | bool() | int() | float():
            return value
        case tuple():
            return ",".join(str(part) for part in value)
        case _:
            return str(value)


def _hosts(settings: ProxySettings) -> list[dict[str, Any]]:
    return [
        {
            "host": host,
            "audiences": sorted(settings.audiences_by_host[host]),
            "origins": sorted(settings.origins_by_host[host]),
        }
        for host in settings.admin_hosts
    ]


def _roster(settings: ProxySettings) -> dict[str, Any]:
    kind, _, detail = settings.roster_source.partition(":")
    if kind == "file":
        operators = load_operators(Path(detail))
        return {
            "source": "file",
            "path": detail,
            "operators": len(operators.by_email),
            "unpinned": sorted(operators.unpinned),
        }
    if kind == "open":
        return {"source": "open", "role": detail}
    return {"source": "feed", "from": str(settings.admin_service)}


def _rank(route: Route) -> tuple[int, int, bool, bool, str]:
    """The order in which the routes are asked: a longer pattern, then a literal one, then one host's."""
    segments = route.segments
    return -len(segments), segments.count("*"), route.host is None, not route.exact, route.name


def _route(route: Route, settings: ProxySettings) -> dict[str, Any]:
    servers = servers_of(settings).get(route.target)
    return {
        "route": route.name,
        "methods": "all" if route.methods == ANY_METHOD else " ".join(sorted(route.methods)),
        "needs": route.needs,
        "target": route.target,
        "servers": [str(address) for address in servers.addresses] if servers else [],
        "audience": route.identity_audience,
        "delegation": route.delegate_to.value if route.delegate_to else None,
        "exact": route.exact,
        "stripPrefix": route.strip_prefix,
        "encodedSlashes": route.encoded_slashes,
        "identityHeaders": {name: field.value for name, field in route.identity_headers},
        "mostBodyBytes": route.most_body_bytes or settings.max_body_bytes,
        "spaFallback": route.spa_fallback,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield "The configuration is valid."
    yield from ("", "Settings")
    yield from columns([(name, _text(value)) for name, value in document["settings"].items()])
    yield from ("", "Hosts")
    for host in document["hosts"]:
        yield f"  {host['host']}"
        yield f"    tokens for   {listed(host['audiences'])}"
        yield f"    origins      {listed(host['origins'])}"
    yield from ("", "Roster", f"  {_roster_line(document['roster'])}")
    yield from ("", "Signing keys")
    keys = document["signingKeys"]
    yield from columns([(key["kid"], key["created"], key["state"]) for key in keys])
    yield from ("", "Routes, the most specific first")
    yield from columns([_route_row(route) for route in document["routes"]])


def _route_row(route: dict[str, Any]) -> tuple[str, str, str, str]:
    name = f"{route['route']} (exact)" if route["exact"] else str(route["route"])
    goes = f"{route['target']} + {route['delegation']}" if route["delegation"] else str(route["target"])
    return name, str(route["methods"]), str(route["needs"]), goes


def _roster_line(roster: dict[str, Any]) -> str:
    match roster["source"]:
        case "open":
            return f"open: everybody whom Access lets in is {roster['role']}"
        case "file":
            unpinned = listed(roster["unpinned"])
            return f"file {roster['path']}: {roster['operators']} operators; without a pinned sub: {unpinned}"
        case _:
            return f"feed from {roster['from']}"


def _text(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "on" if value else "off"
        case _:
            return str(value)
