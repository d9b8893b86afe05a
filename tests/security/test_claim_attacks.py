"""Really signed tokens whose claims prove no person of ours: attacks.md section 2 (R-014, R-038, R-043).

Claims, Cloudflare's own shapes, and identity continuity, over a raw socket against the running sidecar.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey
from deploy.demo.people import Person
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fixtures.attacked import Attacked, attacked_sidecar, request
from tests.fixtures.forgery import Forge
from tests.fixtures.sidecar import AUD, DEACTIVATED, STRANGER, SidecarUnderTest, person
from tests.fixtures.token_corpus import lines_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS = person(Role.SUPER_ADMIN).email
SUBJECT = person(Role.SUPER_ADMIN).sub
FOREIGN_AUD = "f" * 64
DAY, MONTH = 86_400, 31 * 86_400
MISSING = object()

Claims = dict[str, Any]
Change = Callable[[Claims], Claims]


@dataclass(frozen=True)
class Case:
    """What is changed in a good payload, and the reason to refuse it; None lets it pass."""

    line: str
    name: str
    change: Change
    reason: Reason | None


CASES: list[Case] = []


def case(line: str, name: str, reason: Reason | None, change: Change) -> None:
    CASES.append(Case(line, name, change, reason))


def put(claim: str, value: object) -> Change:
    """Set a claim, or take it out."""

    def change(claims: Claims) -> Claims:
        kept = {name: held for name, held in claims.items() if name != claim}
        return kept if value is MISSING else kept | {claim: value}

    return change


def values(line: str, claim: str, reason: Reason | None, table: dict[str, object]) -> None:
    for name, value in table.items():
        case(line, f"{claim} {name}", reason, put(claim, value))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Attacked]:
    """One sidecar for the whole table."""
    folder = tmp_path_factory.mktemp("claims")
    async with attacked_sidecar(access_key, SigningKey.generate(), folder) as running:
        yield running


# --- times -----------------------------------------------------------------------------------------

TIMES = "exp/nbf/iat missing, string, float, bool, negative, huge, ms"
NO_TIMES: dict[str, object] = {
    "null": None,
    "a string": "1700000000",
    "a string with underscores": "4_102_444_800",
    "a string of Arabic digits": "٤١٠٢٤٤٤٨٠٠",
    "a string with blanks": " 4102444800 ",
    "an ISO date": "2030-01-01T00:00:00Z",
    "a float": 4_102_444_800.5,
    "a whole float": 4_102_444_800.0,
    "true": True,
    "false": False,
    "negative": -1,
    "2^31 negative": -(2**31),
    "beyond the year 9999": 253_402_300_800,
    "2^53+1": 2**53 + 1,
    "2^63": 2**63,
    "1e300": 1e300,
    "a list": [4_102_444_800],
    "an object": {"seconds": 4_102_444_800},
}
for time_claim in ("exp", "nbf", "iat"):
    values(TIMES, time_claim, Reason.TOKEN_CLAIMS, NO_TIMES)
for time_claim in ("exp", "iat"):
    values(TIMES, time_claim, Reason.TOKEN_CLAIMS, {"missing": MISSING})
values(TIMES, "nbf", None, {"missing": MISSING, "zero": 0})
for time_claim in ("exp", "nbf", "iat"):
    case(
        TIMES,
        f"{time_claim} in milliseconds",
        Reason.TOKEN_CLAIMS,
        lambda claims, name=time_claim: claims | {name: claims[name] * 1000},  # type: ignore[misc]  # a bound name
    )
case(TIMES, "exp zero", Reason.TOKEN_EXPIRED, lambda claims: claims | {"exp": 0, "iat": 0, "nbf": 0})
case(
    TIMES,
    "expired beyond the leeway",
    Reason.TOKEN_EXPIRED,
    lambda claims: claims | {"iat": claims["iat"] - DAY, "exp": claims["iat"] - 61},
)
case(
    TIMES,
    "expired within the leeway",
    None,
    lambda claims: claims | {"iat": claims["iat"] - DAY, "exp": claims["iat"] - 30},
)
for time_claim in ("nbf", "iat"):
    case(
        TIMES,
        f"{time_claim} beyond the leeway",
        Reason.TOKEN_NOT_YET_VALID,
        lambda claims, name=time_claim: claims | {name: claims["iat"] + 120},  # type: ignore[misc]  # a bound name
    )
    case(
        TIMES,
        f"{time_claim} within the leeway",
        None,
        lambda claims, name=time_claim: claims | {name: claims["iat"] + 30},  # type: ignore[misc]  # a bound name
    )

LIFETIME = "lifetime longer than a month"
for days in (32, 365, 3650):
    case(
        LIFETIME,
        f"{days} days",
        Reason.TOKEN_LIFETIME,
        lambda claims, days=days: claims | {"exp": claims["iat"] + days * DAY},  # type: ignore[misc]  # a bound number
    )
case(
    LIFETIME,
    "a month and 61 seconds",
    Reason.TOKEN_LIFETIME,
    lambda claims: claims | {"exp": claims["iat"] + MONTH + 61},
)
case(LIFETIME, "a month", None, lambda claims: claims | {"exp": claims["iat"] + MONTH})
case(LIFETIME, "since 1970", Reason.TOKEN_LIFETIME, lambda claims: claims | {"iat": 0, "nbf": 0})
case(LIFETIME, "nothing", Reason.TOKEN_LIFETIME, lambda claims: claims | {"exp": claims["iat"]})
case(LIFETIME, "backwards", Reason.TOKEN_LIFETIME, lambda claims: claims | {"exp": claims["iat"] - 5})

# --- audience and issuer ---------------------------------------------------------------------------

AUDIENCES = "aud string, list, list with a foreign one, empty, substring, case, number, object"
values(
    AUDIENCES,
    "aud",
    None,
    {"a string": AUD, "a list": [AUD], "a list with a foreign one": [FOREIGN_AUD, AUD], "twice": [AUD, AUD]},
)
values(
    AUDIENCES,
    "aud",
    Reason.TOKEN_AUDIENCE,
    {
        "a foreign list": [FOREIGN_AUD],
        "a substring": AUD[:-1],
        "longer": f"{AUD}a",
        "in capitals": AUD.upper(),
        "joined with a comma": f"{AUD},{FOREIGN_AUD}",
        "joined with a blank": f"{FOREIGN_AUD} {AUD}",
        "with a blank": f" {AUD}",
        "with a NUL": f"{AUD}\x00",
        "full-width": "ａ" * 64,
        "one letter": "a",
        "a pattern": ".*",
        "a star": "*",
        "letter by letter": list(AUD),
    },
)
values(
    AUDIENCES,
    "aud",
    Reason.TOKEN_CLAIMS,
    {
        "missing": MISSING,
        "null": None,
        "an empty string": "",
        "an empty list": [],
        "a list with an empty string": ["", AUD],
        "a number": 1,
        "true": True,
        "an object": {AUD: True},
        "an object in a list": [{"aud": AUD}],
        "a list in a list": [[AUD]],
        "a list with a number": [AUD, 1],
        "a list with null": [AUD, None],
        "65 entries": [AUD] * 65,
    },
)

ISSUERS = "iss with slash, http, case, substring, list"


def issuer(name: str, reason: Reason, make: Callable[[str], object]) -> None:
    case(ISSUERS, f"iss {name}", reason, lambda claims: claims | {"iss": make(claims["iss"])})


issuer("with a slash", Reason.TOKEN_ISSUER, lambda team: f"{team}/")
issuer("with two slashes", Reason.TOKEN_ISSUER, lambda team: f"{team}//")
issuer("with a path", Reason.TOKEN_ISSUER, lambda team: f"{team}/cdn-cgi")
issuer("with the other scheme", Reason.TOKEN_ISSUER, lambda team: team.replace("http:", "https:"))
issuer("in capitals", Reason.TOKEN_ISSUER, str.upper)
issuer("with a scheme in capitals", Reason.TOKEN_ISSUER, lambda team: team.replace("http", "HTTP"))
issuer("without a scheme", Reason.TOKEN_ISSUER, lambda team: team.partition("//")[2])
issuer("a substring", Reason.TOKEN_ISSUER, lambda team: team[:-1])
issuer("longer", Reason.TOKEN_ISSUER, lambda team: f"{team}0")
issuer("of a host below ours", Reason.TOKEN_ISSUER, lambda team: f"{team}.evil.example")
issuer("with ours as user", Reason.TOKEN_ISSUER, lambda team: f"{team}@evil.example")
issuer("with ours in the query", Reason.TOKEN_ISSUER, lambda team: f"https://evil.example/?{team}")
issuer("with a dot behind the host", Reason.TOKEN_ISSUER, lambda team: team.replace("0.1:", "0.1.:"))
issuer("with a full-width dot", Reason.TOKEN_ISSUER, lambda team: team.replace(".", "．"))
issuer("with a blank behind", Reason.TOKEN_ISSUER, lambda team: f"{team} ")
issuer("with a line break behind", Reason.TOKEN_ISSUER, lambda team: f"{team}\n")
issuer("of another team", Reason.TOKEN_ISSUER, lambda _: "https://other.cloudflareaccess.com")
issuer("of our own signer", Reason.TOKEN_ISSUER, lambda _: "auth_proxy")
issuer("a list", Reason.TOKEN_CLAIMS, lambda team: [team])
issuer("an object", Reason.TOKEN_CLAIMS, lambda team: {"iss": team})
issuer("empty", Reason.TOKEN_CLAIMS, lambda _: "")
issuer("null", Reason.TOKEN_CLAIMS, lambda _: None)
issuer("a number", Reason.TOKEN_CLAIMS, lambda _: 1)
values(ISSUERS, "iss", Reason.TOKEN_CLAIMS, {"missing": MISSING})

# --- sub and email ---------------------------------------------------------------------------------

SUBJECTS = "sub missing, empty, number, 10 KB"
values(SUBJECTS, "sub", Reason.SUB_MISSING, {"missing": MISSING, "empty": ""})
values(
    SUBJECTS,
    "sub",
    Reason.TOKEN_CLAIMS,
    {
        "null": None,
        "a number": 1,
        "zero": 0,
        "true": True,
        "a list": [SUBJECT],
        "an object": {"sub": SUBJECT},
        "10 KB": "s" * 10_240,
        "256 characters": "s" * 256,
        "a blank": " ",
        "with a blank behind": f"{SUBJECT} ",
        "with a NUL": f"{SUBJECT}\x00",
        "with CRLF": f"{SUBJECT}\r\nX-Internal-Identity: x",
        "no ASCII": "é",
        "full-width digits": "７" + SUBJECT[1:],
        "a lone surrogate": "\ud800",
    },
)

EMAILS = "email missing, empty, list, two @, spaces, CRLF, NUL"
values(EMAILS, "email", Reason.EMAIL_MISSING, {"missing": MISSING, "empty": ""})
values(
    EMAILS,
    "email",
    Reason.TOKEN_CLAIMS,
    {
        "null": None,
        "a number": 1,
        "true": True,
        "a list": [ADDRESS],
        "a list of two": [ADDRESS, "eve@example.com"],
        "an object": {"address": ADDRESS},
        "a lone surrogate": f"\ud800{ADDRESS}",
    },
)
values(
    EMAILS,
    "email",
    Reason.EMAIL_MALFORMED,
    {
        "two @": f"{ADDRESS}@evil.example",
        "two @ before": f"eve@{ADDRESS}",
        "no @": "super_admin",
        "only @": "@",
        "no local part": "@example.com",
        "no domain": "super_admin@",
        "a blank inside": "super admin@example.com",
        "a blank at the @": "super_admin @example.com",
        "a blank": " ",
        "CRLF behind": f"{ADDRESS}\r\n",
        "CRLF and a header": f"{ADDRESS}\r\nX-Internal-Identity: x",
        "LF behind": f"{ADDRESS}\n",
        "NUL behind": f"{ADDRESS}\x00",
        "NUL inside": "super_admin\x00@example.com",
        "two with a comma": f"{ADDRESS},eve@example.com",
        "two with a semicolon": f"{ADDRESS};eve@example.com",
        "with a name": f"Super <{ADDRESS}>",
        "a comment": "super_admin(x)@example.com",
        "mailto": f"mailto:{ADDRESS}",
        "an address literal": "super_admin@[127.0.0.1]",
        "a dot behind the domain": f"{ADDRESS}.",
        "two dots in the domain": "super_admin@example..com",
        "a dash before the domain": "super_admin@-example.com",
    },
)
LOOK_ALIKES = "email full-width, Kelvin, dotless i, quoted local part, 400 characters"
values(
    LOOK_ALIKES,
    "email",
    Reason.EMAIL_MALFORMED,
    {
        "full-width": "ｓuper_admin@example.com",
        "a full-width @": "super_admin＠example.com",
        "a full-width dot": "super_admin@example．com",
        "Kelvin": "bac\u212a_office@example.com",
        "long s": "\u017fuper_admin@example.com",
        "dotless i": "super_adm\u0131n@example.com",
        "dotted capital I": "SUPER_ADM\u0130N@EXAMPLE.COM",
        "Cyrillic a": "super_\u0430dmin@example.com",
        "soft hyphen": "super\u00ad_admin@example.com",
        "zero width": "super_admin\u200b@example.com",
        "right to left": "\u202esuper_admin@example.com",
        "a no-break space behind": f"{ADDRESS}\u00a0",
        "a quoted local part": '"super_admin"@example.com',
        "a quoted @": '"super_admin@example.com"@evil.example',
        "an escaped letter": "super\\_admin@example.com",
        "400 characters": f"{'a' * 388}@example.com",
        "a local part of 65": f"{'a' * 65}@example.com",
        "a label of 64": f"a@{'b' * 64}.com",
    },
)

# --- Cloudflare's own shapes -----------------------------------------------------------------------

SERVICE: Claims = {"common_name": "9f8e7d6c5b4a39281706f5e4d3c2b1a0.access", "sub": ""}


def service_shape(**more: object) -> Change:
    return lambda claims: (
        {name: claims[name] for name in ("type", "aud", "exp", "iat", "iss", "serial")} | {**SERVICE, **more}
    )


case("service token (common_name, empty sub)", "as documented", Reason.SERVICE_TOKEN, service_shape())
case(
    "service token (common_name, empty sub)",
    "aud as a plain string, no type, as seen in 2020",
    Reason.SERVICE_TOKEN,
    lambda claims: put("type", MISSING)(service_shape(aud=AUD)(claims)),
)
case(
    "service token (common_name, empty sub)",
    "an empty common_name",
    Reason.SERVICE_TOKEN,
    service_shape(common_name=""),
)
case(
    "service token (common_name, empty sub)",
    "common_name a list",
    Reason.TOKEN_CLAIMS,
    service_shape(common_name=["x"]),
)
case(
    "service token (common_name, empty sub)",
    "common_name null beside a person",
    Reason.TOKEN_CLAIMS,
    put("common_name", None),
)
case("the same with an email added", "an e-mail", Reason.SERVICE_TOKEN, service_shape(email=ADDRESS))
case(
    "the same with an email added",
    "an e-mail and a subject",
    Reason.SERVICE_TOKEN,
    service_shape(email=ADDRESS, sub=SUBJECT),
)
case(
    "the same with an email added",
    "an operator's token with a common_name",
    Reason.SERVICE_TOKEN,
    put("common_name", "x"),
)
case(
    "mTLS identity",
    "the certificate's name as common_name",
    Reason.SERVICE_TOKEN,
    service_shape(common_name="CN=laptop-7,O=Example"),
)
case(
    "mTLS identity",
    "neither a name nor an address",
    Reason.EMAIL_MISSING,
    lambda c: put("email", MISSING)(c | {"sub": ""}),
)
case("mTLS identity", "an address without a subject", Reason.SUB_MISSING, put("sub", ""))
TYPES = "type org / missing / unknown"
values(
    TYPES,
    "type",
    Reason.TOKEN_TYPE,
    {
        "missing": MISSING,
        "empty": "",
        "meta": "meta",
        "service": "service",
        "in capitals": "APP",
        "with a blank": "app ",
        "both": "app,org",
        "full-width": "ａｐｐ",
    },
)
values(TYPES, "type", Reason.TOKEN_CLAIMS, {"null": None, "a list": ["app"], "true": True, "a number": 1})
values(TYPES, "type", None, {"org, which is accepted by default (C-03)": "org"})
LINKED = "linked app token"
case(
    LINKED,
    "a service decision that carries the person's address",
    Reason.SERVICE_TOKEN,
    service_shape(email=ADDRESS, identity_nonce="x", country="US"),
)
case(LINKED, "no subject", Reason.SUB_MISSING, put("sub", ""))
case(LINKED, "the token of the first application", Reason.TOKEN_AUDIENCE, put("aud", [FOREIGN_AUD]))
FOREIGN = "another application's aud on the same team"
case(FOREIGN, "a person's", Reason.TOKEN_AUDIENCE, put("aud", [FOREIGN_AUD]))
case(FOREIGN, "a machine's", Reason.TOKEN_AUDIENCE, service_shape(aud=[FOREIGN_AUD]))
case(
    FOREIGN,
    "the team's global session token",
    Reason.TOKEN_AUDIENCE,
    lambda claims: claims | {"type": "org", "aud": claims["iss"]},
)

# --- identity continuity ---------------------------------------------------------------------------

NEW_SUBJECT = "same email with a new sub"
values(
    NEW_SUBJECT,
    "sub",
    Reason.SUBJECT_CHANGED,
    {
        "another": "0f0f0f0f-0000-4000-8000-000000000000",
        "in capitals": SUBJECT.upper(),
        "cut": SUBJECT[:-1],
        "without dashes": SUBJECT.replace("-", ""),
        "the operator's id": f"adm_{SUBJECT}",
        "the address": ADDRESS,
        "of SQL": "'OR'1'='1",
        "a pattern": "%",
    },
)
OTHER_FORMS = "email in another case or normal form"
for form, address in {
    "in capitals": ADDRESS.upper(),
    "in mixed case": ADDRESS.title(),
    "with blanks around": f" {ADDRESS}\t",
}.items():
    case(OTHER_FORMS, f"{form}, the right sub", None, put("email", address))
    case(
        OTHER_FORMS,
        f"{form}, a new sub",
        Reason.SUBJECT_CHANGED,
        lambda claims, address=address: claims | {"email": address, "sub": "another"},  # type: ignore[misc]  # a bound address
    )
for form, address in {
    "NFC": "ren\u00e9@example.com",
    "NFD": "rene\u0301@example.com",
    "NFKC twin, full-width": "ｓｕｐｅｒ_admin@example.com",
    "Kelvin": "bac\u212a@example.com",
    "dotless i": "super_adm\u0131n@example.com",
    "ligature": "o\ufb03ce@example.com",
}.items():
    case(OTHER_FORMS, f"{form}, the right sub", Reason.EMAIL_MALFORMED, put("email", address))
    case(
        OTHER_FORMS,
        f"{form}, a new sub",
        Reason.EMAIL_MALFORMED,
        lambda claims, address=address: claims | {"email": address, "sub": "another"},  # type: ignore[misc]  # a bound address
    )

ELSEWHERE = {
    "deactivated and re-created operator": "test_a_deactivated_operator_who_is_made_again",
}
"""Lines that need a story of their own: the test that tells it."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.line}: {case.name}")
async def test_a_signed_token_is_judged_by_each_of_its_claims(attacked: Attacked, case: Case) -> None:
    """R-014, R-015, R-038, R-043, R-045, R-060: one wrong claim, one named refusal, nothing upstream."""
    forge = attacked.forge
    token = forge.token(payload=case.change(forge.claims()))
    if case.reason is None:
        told = await attacked.must_let_pass(token)
        # Whatever the token's spelling, what goes on is the one canonical address (R-048).
        assert (told["email"], told["sub"]) == (ADDRESS, SUBJECT)
        return
    for _ in range(2):
        attempt = await attacked.present(token)
        attempt.must_be_refused(case.reason, secret=token)


async def test_the_tables_have_every_line_of_the_attack_list() -> None:
    """attacks.md section 2, claims to continuity: a line without a case is a gap (R-014, R-060)."""
    assert {case.line for case in CASES} | set(ELSEWHERE) == lines_of("test_claim_attacks")
    assert set(ELSEWHERE.values()) <= set(globals())
    assert len({(case.line, case.name) for case in CASES}) == len(CASES)


async def test_org_is_refused_where_it_is_not_accepted(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory, attacked: Attacked
) -> None:
    """R-038, C-03: CF_ACCESS_TOKEN_TYPES=app closes the door to the type of the global session token."""
    folder = tmp_path_factory.mktemp("types")
    forger = attacked.forge.forger
    async with attacked_sidecar(access_key, forger, folder, CF_ACCESS_TOKEN_TYPES="app") as strict:
        token = strict.forge.token(payload=strict.forge.claims(type="org"))
        (await strict.present(token)).must_be_refused(Reason.TOKEN_TYPE, secret=token)
        await strict.must_let_pass(strict.forge.token())


async def test_the_token_of_a_linked_application_proves_nothing_beside_ours(attacked: Attacked) -> None:
    """R-012, R-015: Cf-Access-Token carries another application's token; it is dropped, and names nobody."""
    forge = attacked.forge
    linked = forge.token(payload=forge.claims(aud=[FOREIGN_AUD], email=STRANGER.email, sub=STRANGER.sub))
    alone = await attacked.attempt(request(None, f"Cf-Access-Token: {linked}"))
    alone.must_be_refused(Reason.TOKEN_MISSING, secret=linked)

    told = await attacked.must_let_pass(forge.token(), f"Cf-Access-Token: {linked}")

    assert told["sub"] == SUBJECT
    assert linked.encode() not in bytes(attacked.sidecar.upstream.raw)


@pytest.mark.parametrize(
    "address", ["eve@example.com", "ｓuper_admin@example.com", "super_admin@example.com,eve@example.com", ""]
)
async def test_an_address_in_a_header_contradicts_or_says_nothing(attacked: Attacked, address: str) -> None:
    """R-170, R-171: the header is compared with the proven address, in its one normal form."""
    token = attacked.forge.token()
    attempt = await attacked.present(token, f"Cf-Access-Authenticated-User-Email: {address}")

    attempt.must_be_refused(Reason.EMAIL_HEADER_CONTRADICTS, secret=token)


# --- identity continuity, told as stories ----------------------------------------------------------


async def _known(sidecar: SidecarUnderTest, *entries: dict[str, Any]) -> None:
    """Put operators into the feed, and wait until the sidecar has heard of them."""
    sidecar.admin.put(*entries)
    async with asyncio.timeout(20):
        while sidecar.registry.get_sample_value("auth_proxy_roster_version") != sidecar.admin.version:
            await asyncio.sleep(0.005)


def _token(forge: Forge, who: Person, **changes: Any) -> str:
    return forge.token(payload=forge.claims(email=who.email, sub=who.sub, **changes))


async def test_a_deactivated_operator_who_is_made_again(attacked: Attacked) -> None:
    """R-060, R-064: the old subject stays out; the new row serves the subject it is bound to alone."""
    forge, who = attacked.forge, Person.with_email("again@example.com")
    await _known(attacked.sidecar, operator(who.sub, who.email, Role.SUPPORT))
    assert (await attacked.must_let_pass(_token(forge, who)))["role"] == "support"

    await _known(attacked.sidecar, operator(who.sub, who.email, Role.SUPPORT, active=False))
    token = _token(forge, who)
    (await attacked.present(token)).must_be_refused(Reason.OPERATOR_DEACTIVATED, secret=token)

    # The address comes back with a new row, which is bound to the subject that Access gave on re-adding.
    await _known(attacked.sidecar, operator("sub-again-2", who.email, Role.READ_ONLY))
    token = _token(forge, who)
    (await attacked.present(token)).must_be_refused(Reason.OPERATOR_DEACTIVATED, secret=token)
    for other in ("sub-again-3", "sub-again-", "SUB-AGAIN-2"):
        token = forge.token(payload=forge.claims(email=who.email, sub=other))
        (await attacked.present(token)).must_be_refused(Reason.SUBJECT_CHANGED, secret=token)
    told = await attacked.must_let_pass(forge.token(payload=forge.claims(email=who.email, sub="sub-again-2")))
    assert told["role"] == "read_only"


async def test_a_known_subject_with_another_address_is_the_same_operator(attacked: Attacked) -> None:
    """R-060: the subject is the key; a changed address neither locks out nor opens another one's row."""
    forge = attacked.forge
    token = forge.token(payload=forge.claims(email=person(Role.READ_ONLY).email))

    told = await attacked.must_let_pass(token)

    assert (told["sub"], told["role"]) == (SUBJECT, "super_admin")


async def test_a_token_that_was_good_ends_with_the_operator(attacked: Attacked) -> None:
    """R-064: a remembered token is judged by the roster of this moment, on every request."""
    forge, who = attacked.forge, Person.with_email("leaver@example.com")
    entry = operator(who.sub, who.email, Role.SUPER_ADMIN)
    token = _token(forge, who)
    await _known(attacked.sidecar, entry)
    await attacked.must_let_pass(token)

    await _known(attacked.sidecar, {**entry, "active": False})
    (await attacked.present(token)).must_be_refused(Reason.OPERATOR_DEACTIVATED, secret=token)
    await _known(attacked.sidecar, entry)

    await attacked.must_let_pass(token)


async def test_a_stranger_and_a_deactivated_operator_are_told_apart(attacked: Attacked) -> None:
    """R-063, R-064: no row, and a row that was closed, are two refusals."""
    for who, reason in (
        (STRANGER, Reason.ENROLLMENT_REQUIRED),
        (DEACTIVATED, Reason.OPERATOR_DEACTIVATED),
    ):
        token = _token(attacked.forge, who)
        (await attacked.present(token)).must_be_refused(reason, secret=token)
