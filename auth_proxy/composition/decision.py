"""The pipeline of a sidecar: every step with its policy."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from auth_proxy.access.key_set import KeySet
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.composition.operators import Operators
from auth_proxy.composition.routes import effective_routes
from auth_proxy.forwarding import Networks
from auth_proxy.header_names import letters
from auth_proxy.pipeline.admit import AdmitPolicy
from auth_proxy.pipeline.authenticate import Authenticator, InsecureDevAuthenticator
from auth_proxy.pipeline.authorize import Authorizer
from auth_proxy.pipeline.screen import ScreenPolicy
from auth_proxy.pipeline.vouch import Signer, Voucher
from auth_proxy.plan import Pipeline
from auth_proxy.routes import RouteTable
from auth_proxy.settings import ProxySettings
from service_kit.clock import Clock
from service_kit.identity.keys import SigningKey
from service_kit.identity.signing import IdentitySigner


@dataclass(frozen=True, slots=True)
class Lasting:
    """What decides the same whatever the routes are, with all that it remembers of tokens and people."""

    verifier: AccessVerifier
    operators: Operators
    voucher: Voucher
    clock: Clock


def lasting_of(
    settings: ProxySettings,
    keys: KeySet,
    operators: Operators,
    signer: Signer,
    clock: Clock,
    *,
    checked: Callable[[bool], None] = lambda _holds: None,
) -> Lasting:
    policy = VerifierPolicy(issuer=settings.issuer_url, leeway_seconds=settings.leeway_seconds)
    voucher = Voucher(signer, clock, binding=settings.identity_binding)
    return Lasting(AccessVerifier(policy, keys, clock, checked=checked), operators, voucher, clock)


def pipeline_of(settings: ProxySettings, lasting: Lasting) -> Pipeline:
    """Every step of a decision; `explain` decides with the same ones."""
    routes, operators = effective_routes(settings), lasting.operators
    return Pipeline(
        admit_policy=AdmitPolicy(
            hosts=frozenset(settings.admin_hosts),
            most_body_bytes=settings.max_body_bytes,
            encoded_slashes=any(route.encoded_slashes for route in routes),
        ),
        screen_policy=ScreenPolicy(
            reserved=frozenset(letters(name) for route in routes for name, _ in route.identity_headers),
            allow_cookie=settings.allow_cookie,
            scheme=_scheme(settings),
            trusted=_trusted(settings),
        ),
        authenticator=_authenticator(settings, lasting),
        accepted_types=frozenset(settings.token_types),
        authorizer=Authorizer(
            routes=RouteTable(routes),
            roster=operators.roster,
            enrollment=operators.enrollment,
            activity=operators.activity,
            origins=settings.origins_by_host,
        ),
        voucher=lasting.voucher,
        is_misconfigured=settings.is_misconfigured,
    )


def signer_of(
    settings: ProxySettings, keys: Callable[[], tuple[SigningKey, ...]], clock: Clock
) -> IdentitySigner:
    """The signer of the internal identity."""
    lead = timedelta(seconds=settings.signing_lead_seconds)
    return IdentitySigner(keys, clock, issuer=settings.issuer, lead=lead)


def _authenticator(settings: ProxySettings, lasting: Lasting) -> Authenticator | InsecureDevAuthenticator:
    if settings.dev_gate_is_open:
        return InsecureDevAuthenticator(settings.dev_email, lasting.clock)
    return Authenticator(lasting.verifier, settings.audiences_by_host)


def _trusted(settings: ProxySettings) -> Networks:
    return Networks(ipaddress.ip_network(network, strict=False) for network in settings.trusted_proxies)


def _scheme(settings: ProxySettings) -> str:
    origins = next(iter(settings.origins_by_host.values()))
    return next(iter(origins), "https").partition("://")[0]
