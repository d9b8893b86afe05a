"""The values that flow through the pipeline, made the way their steps make them."""

from auth_proxy.access.claims import AccessClaims
from auth_proxy.pipeline.admit import AdmitPolicy, admit
from auth_proxy.pipeline.exchange import Grant, Inbound, Person, RawRequest, Screened, VerifiedClaims
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.routes import Requirement, Route, Target
from service_kit.identity.model import Role
from tests.unit.auth_proxy.pipeline.hostile import HOST

POLICY = AdmitPolicy(hosts=frozenset({HOST}))
Header = tuple[str | bytes, str | bytes]


def raw(
    target: str = "/",
    *headers: Header,
    method: str = "GET",
    version: tuple[int, int] = (1, 1),
    host: str | bytes | None = HOST,
) -> RawRequest:
    """A request as the parser hands it over; `host=None` sends no Host."""
    named = headers if host is None else (("Host", host), *headers)
    return RawRequest(method, target, version, tuple((_bytes(n), _bytes(v)) for n, v in named), "127.0.0.1")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def inbound(target: str = "/", *headers: Header, method: str = "GET") -> Inbound:
    return admit(raw(target, *headers, method=method), POLICY)


def screened(target: str = "/", *headers: Header, method: str = "GET") -> Screened:
    return screen(inbound(target, *headers, method=method), ScreenPolicy())


def claims(**changes: object) -> AccessClaims:
    honest: dict[str, object] = {
        "issuer": "https://team.cloudflareaccess.com",
        "audiences": ("aud",),
        "subject": "sub-ada",
        "email": "ada@example.com",
        "token_type": "app",
        "common_name": None,
        "issued_at": 1,
        "expires_at": 301,
        "not_before": None,
        "country": None,
        "identity_nonce": None,
        "key_id": "k",
    }
    return AccessClaims(**{**honest, **changes})  # type: ignore[arg-type]  # a table of changes has no type


def verified(target: str = "/", *headers: Header, **changes: object) -> VerifiedClaims:
    return VerifiedClaims(screened(target, *headers), claims(**changes))


def person(target: str = "/", *headers: Header, method: str = "GET", sub: str = "sub-ada") -> Person:
    return Person(screened(target, *headers, method=method), sub, "ada@example.com", 301)


def operator(role: Role = Role.SUPPORT, *, active: bool = True, sub: str = "sub-ada") -> OperatorEntry:
    return OperatorEntry("adm_ada", sub, "ada@example.com", "Ada", role, active=active)


ANY_ROUTE = Route("/", frozenset({"GET", "POST"}), Requirement.OPERATOR, Target.FRONTEND)


def grant(
    target: str = "/",
    *,
    method: str = "GET",
    route: Route = ANY_ROUTE,
    operator: OperatorEntry | None = None,
    roster_version: int = 1,
    sub: str = "sub-ada",
) -> Grant:
    return Grant(person(target, method=method, sub=sub), route, operator, roster_version)
