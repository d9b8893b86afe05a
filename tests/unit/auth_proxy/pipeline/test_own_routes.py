"""What a configured route changes in the steps: roles, sizes, encoded slashes, prefixes, plain headers."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_proxy.pipeline.admit import AdmitPolicy, admit
from auth_proxy.pipeline.authorize import Authorizer
from auth_proxy.pipeline.exchange import Person
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.pipeline.vouch import Voucher
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.open import NoActivity, NoEnrollment
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.routes import ANY_METHOD, IdentityField, Requirement, Route, RouteTable
from service_kit.identity.model import Permission, Role
from service_kit.identity.signing import RequestBinding, Subject
from tests.fakes.clock import FrozenClock
from tests.unit.auth_proxy.pipeline.hostile import HOST, spelled
from tests.unit.auth_proxy.pipeline.values import grant, operator, person, raw

ORIGIN = f"https://{HOST}"
APP = Route("/app", ANY_METHOD, Requirement.OPERATOR, "http://127.0.0.1:3000", audience="app")
SLASHES = AdmitPolicy(hosts=frozenset({HOST}), encoded_slashes=True)


@dataclass(frozen=True)
class OneOperator:
    """A roster with one person in it."""

    entry: OperatorEntry
    version: int = 1

    def find(self, sub: str, email: str) -> OperatorEntry | None:
        return self.entry if (sub, email) == (self.entry.sub, self.entry.email) else None

    def binds_email(self, email: str) -> bool:
        return email == self.entry.email


def authorizer_for(route: Route, entry: OperatorEntry | None = None) -> Authorizer:
    world = OneOperator(entry or operator())
    return Authorizer(RouteTable([route]), world, NoEnrollment(), NoActivity(), {HOST: frozenset({ORIGIN})})


async def decide(route: Route, who: Person, entry: OperatorEntry | None = None) -> Reason | Route:
    try:
        return (await authorizer_for(route, entry).authorize(who)).route
    except Refusal as refusal:
        return refusal.reason


@pytest.mark.parametrize("role", Role)
async def test_a_route_for_roles_takes_those_roles_and_no_other(role: Role) -> None:
    """R-003, R-007: `roles` is a list of who may, not a level above which everybody may."""
    route = replace(APP, requirement=frozenset({Role.SECURITY, Role.SUPPORT}))
    found = await decide(route, person("/app"), operator(role))

    assert found is (route if role in (Role.SECURITY, Role.SUPPORT) else Reason.PERMISSION_DENIED)


async def test_a_route_with_a_permission_asks_for_it() -> None:
    """R-081: permissions of configured routes come from the one matrix."""
    route = replace(APP, requirement=Permission.TENANT_VIEW)

    assert await decide(route, person("/app"), operator(Role.READ_ONLY)) is route
    assert await decide(route, person("/app"), operator(Role.SECURITY)) is Reason.PERMISSION_DENIED


async def test_a_refusal_knows_whom_it_hit() -> None:
    """The audit log is told who was refused: the operator where there is one, else the proven person."""
    authorizer = authorizer_for(APP, operator(active=False))

    with pytest.raises(Refusal) as deactivated:
        await authorizer.authorize(person("/app"))
    with pytest.raises(Refusal) as stranger:
        await authorizer.authorize(person("/app", sub="sub-x"))

    assert (deactivated.value.reason, deactivated.value.operator_id) == (
        Reason.OPERATOR_DEACTIVATED,
        "adm_ada",
    )
    assert (deactivated.value.sub, deactivated.value.email) == ("sub-ada", "ada@example.com")
    assert (deactivated.value.role, deactivated.value.route) == ("support", "/app")
    assert (stranger.value.reason, stranger.value.operator_id) == (Reason.SUBJECT_CHANGED, "")
    assert (stranger.value.sub, stranger.value.email) == ("sub-x", "ada@example.com")


@pytest.mark.parametrize("length, passes", [("10", True), ("11", False), (None, True)])
async def test_a_route_has_its_own_limit_of_a_body(length: str | None, passes: bool) -> None:
    """A body that announces more than the route takes is refused before the first byte is asked for."""
    headers = (("Origin", ORIGIN), *((("Content-Length", length),) if length else ()))
    found = await decide(replace(APP, most_body_bytes=10), person("/app", *headers, method="POST"))

    assert (found is Reason.BODY_TOO_LARGE) is not passes


async def test_a_route_that_takes_no_body_takes_a_request_without_one() -> None:
    """A limit of zero bytes is none on requests that announce nothing."""
    route = replace(APP, most_body_bytes=0)
    one_byte = person("/app", ("Origin", ORIGIN), ("Content-Length", "1"), method="POST")

    assert await decide(route, person("/app")) is route
    assert await decide(route, one_byte) is Reason.BODY_TOO_LARGE


CHAT = replace(APP, websocket=True)


def upgrading(*headers: tuple[str, str], protocol: str = "websocket", method: str = "GET") -> Person:
    asked = (("Connection", "upgrade"), ("Upgrade", protocol), ("Origin", ORIGIN))
    return person("/app", *asked, *headers, method=method)


async def test_a_websocket_is_for_the_routes_that_say_so() -> None:
    """A GET without a body from a page of ours, on a route that speaks it, and nothing else."""
    assert await decide(CHAT, upgrading()) is CHAT
    assert await decide(CHAT, upgrading(("Content-Length", "0"))) is CHAT
    assert await decide(APP, upgrading()) is Reason.UPGRADE_NOT_ALLOWED


@pytest.mark.parametrize(
    "who",
    [
        upgrading(("Content-Length", "1")),
        upgrading(("Transfer-Encoding", "chunked")),
        upgrading(method="POST"),
        upgrading(method="HEAD"),
        upgrading(protocol="h2c"),
        upgrading(protocol="websocket, h2c"),
        upgrading(protocol=""),
    ],
    ids=["length", "chunks", "POST", "HEAD", "h2c", "two protocols", "none"],
)
async def test_no_other_request_becomes_a_websocket(who: Person) -> None:
    """What follows the handshake would be read as frames here and as a request body there."""
    assert await decide(CHAT, who) is Reason.UPGRADE_NOT_ALLOWED


async def test_a_websocket_from_a_foreign_page_is_refused() -> None:
    """R-097: a handshake is a GET that a browser sends with cookies from any page."""
    foreign = (("Connection", "upgrade"), ("Upgrade", "websocket"), ("Origin", "https://evil.example"))

    assert await decide(CHAT, person("/app", *foreign)) is Reason.ORIGIN_REJECTED


async def test_a_route_of_one_host_is_no_route_of_another() -> None:
    """R-003: the host that was asked chooses among the routes."""
    here, elsewhere = replace(APP, host=HOST), replace(APP, host="other.example")

    assert await decide(here, person("/app")) is here
    assert await decide(elsewhere, person("/app")) is Reason.ROUTE_NOT_FOUND


@pytest.mark.parametrize(
    "requirement, detail",
    [
        (frozenset({Role.SECURITY, Role.READ_ONLY}), "needs roles read_only, security"),
        (Permission.MANAGE_GLOBAL_ADMINS, f"needs {Permission.MANAGE_GLOBAL_ADMINS.value}"),
    ],
    ids=["roles", "permission"],
)
async def test_the_log_is_told_what_was_missing(
    requirement: frozenset[Role] | Permission, detail: str
) -> None:
    """Whoever reads the line knows which permission to ask for."""
    with pytest.raises(Refusal) as caught:
        await authorizer_for(replace(APP, requirement=requirement)).authorize(person("/app"))

    assert (caught.value.reason, caught.value.detail) == (Reason.PERMISSION_DENIED, detail)


def with_slashes(target: str) -> Person:
    return Person(screen(admit(raw(target), SLASHES), ScreenPolicy()), "sub-ada", "ada@example.com", 301)


async def test_an_encoded_slash_passes_only_where_a_route_says_so() -> None:
    """Architecture 6: allowed on one route, it is still refused on every other."""
    who = with_slashes("/app/group%2fproject")

    assert who.screened.inbound.target == "/app/group%2Fproject"
    with pytest.raises(Refusal) as caught:
        await authorizer_for(APP).authorize(who)
    assert (caught.value.reason, caught.value.detail) == (Reason.PATH_AMBIGUOUS, "escape of a delimiter")
    open_route = replace(APP, encoded_slashes=True)
    assert await decide(open_route, who) is open_route


@pytest.mark.parametrize(
    "target",
    [
        "/app/a%2f..%2fb",
        "/app/%2e%2e%2fb",
        "/app%2f..",
        "/app/a%2F%2Fb",
        "/app/a/%2Fb",
        "/app/a%2F/b",
        "/app/.%2Fb",
        "/app/a%5Cb",
        "/app/a%252Fb",
        "/app/a%2F%2e%2e",
    ],
)
def test_an_encoded_slash_is_judged_as_the_most_eager_decoder_reads_it(target: str) -> None:
    """What is a dot segment or an empty segment after decoding is refused also where %2F is allowed."""
    with pytest.raises(Refusal) as caught:
        admit(raw(target), SLASHES)

    assert caught.value.reason is Reason.PATH_AMBIGUOUS


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b.", "/", "%2F", "%2f", "..", ".", "%2e", "%41", "~"]), max_size=8))
def test_an_allowed_encoded_slash_never_leaves_its_prefix(parts: list[str]) -> None:
    """However it is decoded, an admitted path has no dot segment and no empty one."""
    try:
        admitted = admit(raw("/app/" + "".join(parts)), SLASHES)
    except Refusal:
        return

    assert admit(raw(admitted.target), SLASHES).target == admitted.target
    segments = admitted.path.replace("%2F", "/").removesuffix("/").split("/")[1:]
    assert segments[0] == "app"
    assert not {"", ".", ".."} & set(segments)


@pytest.mark.parametrize(
    "pattern, target, forwarded",
    [
        ("/app", "/app", "/"),
        ("/app", "/app/", "/"),
        ("/app", "/app/x/y?q=1", "/x/y?q=1"),
        ("/app", "/app?q=/app/x", "/?q=/app/x"),
        ("/a/b", "/a/b/a/b", "/a/b"),
        ("/", "/x?y", "/x?y"),
    ],
)
def test_a_stripped_prefix_is_gone_once_and_nothing_else_is(
    pattern: str, target: str, forwarded: str
) -> None:
    """The upstream gets the rest of the very bytes that were decided on."""
    route = replace(APP, pattern=pattern, strip_prefix=True)

    assert grant(target, route=route).forwarded_target == forwarded
    assert grant(target, route=replace(route, strip_prefix=False)).forwarded_target == target


@dataclass
class RecordingSigner:
    """Writes down what it was asked to sign."""

    audiences: list[str] = field(default_factory=list)
    bindings: list[RequestBinding | None] = field(default_factory=list)

    def sign(
        self,
        subject: Subject,
        *,
        audience: str,
        binding: RequestBinding | None = None,
        delegate: str | None = None,
    ) -> str:
        assert subject.sub
        assert delegate is None
        self.audiences.append(audience)
        self.bindings.append(binding)
        return "token"


def test_an_identity_is_bound_to_what_the_upstream_receives() -> None:
    """R-005: with a stripped prefix the digest is of the stripped path, and the audience is the route's."""
    signer = RecordingSigner()
    route = replace(APP, strip_prefix=True)
    Voucher(signer, FrozenClock()).vouch(grant("/app/x?y", method="POST", route=route, operator=operator()))

    assert signer.audiences == ["app"]
    assert signer.bindings == [RequestBinding("POST", "/x?y")]


ALL_FIELDS = tuple((f"X-Is-{field.value}", field) for field in IdentityField)


def test_plain_headers_carry_what_was_proven() -> None:
    """Architecture 4: each field from the grant, never from a header of the client."""
    route = replace(APP, identity_headers=ALL_FIELDS)
    signed = Voucher(RecordingSigner(), FrozenClock()).vouch(grant(route=route, operator=operator()))

    assert dict(signed.identity_headers[1:]) == {
        "X-Is-email": "ada@example.com",
        "X-Is-name": "Ada",
        "X-Is-sub": "sub-ada",
        "X-Is-role": "support",
        "X-Is-operator_id": "adm_ada",
    }


def test_who_is_no_operator_has_no_role_header_at_all() -> None:
    """An empty value would be somebody to a careless upstream."""
    route = replace(APP, identity_headers=ALL_FIELDS)
    signed = Voucher(RecordingSigner(), FrozenClock()).vouch(grant(route=route))

    assert dict(signed.identity_headers[1:]) == {"X-Is-email": "ada@example.com", "X-Is-sub": "sub-ada"}


@pytest.mark.parametrize(
    "name", ["Ada\r\nX-Is-role: super_admin", "Ada\x00", "Ada\x1b[0m", "Ada\u2028"], ids=spelled
)
def test_a_name_that_is_no_header_value_stops_the_request(name: str) -> None:
    """A line break in an operator's name would be a header of its own: nothing is forwarded."""
    route = replace(APP, identity_headers=(("X-Is-name", IdentityField.NAME),))
    hostile = operator()._replace(name=name)

    with pytest.raises(Refusal) as caught:
        Voucher(RecordingSigner(), FrozenClock()).vouch(grant(route=route, operator=hostile))

    assert caught.value.reason is Reason.CANNOT_VOUCH
    assert caught.value.detail == "name does not fit into a header"
