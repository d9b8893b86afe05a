"""What every request at a tenant's host can reach: the services of its plane, and how the host is read."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from service_kit.web.forms import FormTokens
from tenant_service.hosts import TenantHosts
from tenant_service.people.accepting import Accepting
from tenant_service.people.managing import Managing
from tenant_service.people.passwords import Passwords
from tenant_service.people.scope import TenantDatabase
from tenant_service.people.signing import Signing
from tenant_service.people.visitor import SignedIn, Visitor
from tenant_service.public.addresses import AddressLimit, TrustedProxies
from tenant_service.public.cookies import SessionCookie
from tenant_service.public.log import TenantLog
from tenant_service.public.purse import Purse


@dataclass(frozen=True, slots=True)
class Plane:
    """The services of the tenants' plane, and no repository."""

    database: TenantDatabase
    hosts: TenantHosts
    accepting: Accepting
    signing: Signing
    managing: Managing
    log: TenantLog
    purse: Purse
    tokens: FormTokens
    passwords: Passwords
    cookie: SessionCookie
    proxies: TrustedProxies
    limit: AddressLimit

    def origin(self, visitor: Visitor) -> str:
        """What the browser says where a page of this tenant sent something from."""
        return f"{self.hosts.scheme}://{self.hosts.host(visitor.tenant.slug)}"


class DoorMetrics:
    """How people come in, by outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sign_ins = _counter(registry, "sign_ins_total", "Sign-ins by outcome.")
        self.accepts = _counter(registry, "invitation_accepts_total", "Accepted invitations by outcome.")
        for doors in (self.sign_ins, self.accepts):
            doors.labels("success")  # a counter that was never moved shows 0, not nothing


def _counter(registry: CollectorRegistry, name: str, text: str) -> Counter:
    return Counter(name, text, ["outcome"], namespace="tenant_public", registry=registry)


PLANE: Final = web.AppKey("tenant_plane", Plane)
DOORS: Final = web.AppKey("tenant_doors", DoorMetrics)
VISITOR: Final = web.RequestKey("visitor", Visitor)
SIGNED_IN: Final = web.RequestKey("signed_in", SignedIn)
