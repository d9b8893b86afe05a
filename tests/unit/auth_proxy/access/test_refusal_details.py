"""What a refused token's log line says, word for word: what was wrong, and nothing that the token said."""

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth_proxy.access.claims import parse_claims, require_person
from auth_proxy.access.compact_jws import parse_compact
from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.jwk_set import parse_jwk_set, require_fit
from auth_proxy.access.key_set import RemoteKeySet, StaticKeySet
from auth_proxy.access.key_source import HttpKeySource
from auth_proxy.access.refresh_pace import RefreshPolicy
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey
from tests.fakes import jwks_server
from tests.fakes.clock import FrozenClock
from tests.fakes.jwks_server import JwksServer
from tests.fakes.key_source import FakeKeySource
from tests.unit.auth_proxy.access.test_claims import BOTH_TYPES, PERSON, parse
from tests.unit.auth_proxy.access.test_compact_jws import GOOD, GOOD_HEADER, part, token
from tests.unit.auth_proxy.access.test_verifier import AUDIENCES, TEAM, claims_of

DETAILS: dict[str, tuple[Callable[[], object], str]] = {
    "parts": (lambda: parse_compact("a.b"), "not three parts"),
    "alphabet": (lambda: parse_compact(f"{GOOD}="), "not base64url"),
    "spelling": (lambda: parse_compact(GOOD.rpartition(".")[0] + ".YR"), "not canonical base64url"),
    "header": (lambda: parse_compact(token(b"[]")), "header: not an object"),
    "header length": (lambda: parse_compact(token(b" " * 4097)), "header: too long"),
    "alg": (lambda: parse_compact(token(GOOD_HEADER | {"alg": "none"})), "alg is not RS256"),
    "jku": (lambda: parse_compact(token(GOOD_HEADER | {"jku": "x"})), "header member jku"),
    "typ": (lambda: parse_compact(token(GOOD_HEADER | {"typ": 1})), "typ is not JWT"),
    "kid": (lambda: parse_compact(token(GOOD_HEADER | {"kid": 1})), "kid is missing or not printable"),
    "payload": (lambda: parse_claims(b"{", key_id="k"), "payload: not JSON"),
    "iss": (lambda: parse(PERSON | {"iss": 1}), "iss is missing or of a wrong type"),
    "aud": (lambda: parse(PERSON | {"aud": []}), "aud is missing or of a wrong type"),
    "audiences": (lambda: parse(PERSON | {"aud": [1]}), "aud is missing or of a wrong type"),
    "sub": (lambda: parse(PERSON | {"sub": 1}), "sub is missing or of a wrong type"),
    "email": (lambda: parse(PERSON | {"email": 1}), "email is missing or of a wrong type"),
    "exp": (lambda: parse(PERSON | {"exp": 1.5}), "exp is missing or of a wrong type"),
    "common_name": (lambda: person(common_name="a"), "common_name is present"),
    "type": (lambda: person(type="svc"), "type is missing or not accepted"),
    "address": (lambda: person(email="ada"), "must be one plain e-mail address"),
}


def person(**changes: object) -> object:
    return require_person(parse(PERSON | changes), accepted_types=BOTH_TYPES)


@pytest.mark.parametrize("refused, detail", DETAILS.values(), ids=DETAILS.keys())
def test_a_refused_token_says_in_the_log_what_was_wrong(refused: Callable[[], object], detail: str) -> None:
    """Whoever reads the decision line finds the fault without the token (R-013, R-014, R-038)."""
    with pytest.raises(Refusal) as caught:
        refused()

    assert caught.value.detail == detail


async def _detail_of(verifier: AccessVerifier, text: str) -> str:
    with pytest.raises(Refusal) as caught:
        await verifier.verify(text, audiences=AUDIENCES)
    return caught.value.detail


async def test_the_verifier_says_in_the_log_what_it_did(
    first_key: SigningKey, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A token that is too long, and one that was refused a moment ago, are told apart from fresh ones."""
    keys = StaticKeySet({first_key.kid: first_key.private.public_key()})
    verifier = AccessVerifier(VerifierPolicy(TEAM), keys, clock)
    forged = issuer.mint_claims(claims_of())[:-4] + "AAAA"

    assert await _detail_of(verifier, "x" * 16_385) == "too long or not ASCII"
    assert [await _detail_of(verifier, forged) for _ in range(2)] == ["", "remembered"]


async def test_an_outage_of_the_key_set_is_told_as_one(clock: FrozenClock) -> None:
    """The log says that the fault is not the token's."""
    keys = RemoteKeySet(FakeKeySource(KeyRefreshError(RefreshOutcome.TIMEOUT)), clock=clock)

    with pytest.raises(Refusal) as caught:
        await keys.key("k1")
    assert caught.value.detail == "the team's key set cannot be fetched"


def test_a_failed_fetch_is_named_by_its_outcome() -> None:
    """The error's text is the metric's label."""
    assert str(KeyRefreshError(RefreshOutcome.TOO_LARGE)) == "too_large"


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "issuer": (
        lambda: VerifierPolicy(f"{TEAM}/"),
        "the issuer is the team domain without a trailing slash (R-043)",
    ),
    "leeway": (lambda: VerifierPolicy(TEAM, leeway_seconds=121), "the leeway is 0 to 120 seconds (C-07)"),
    "lifetime": (lambda: VerifierPolicy(TEAM, max_lifetime_seconds=0), "limits are positive"),
    "token length": (lambda: VerifierPolicy(TEAM, max_token_bytes=0), "limits are positive"),
    "floor": (
        lambda: RefreshPolicy(forced_floor_seconds=29),
        "tokens may not force fetches more often than every 30 seconds (R-047)",
    ),
    "age": (
        lambda: RefreshPolicy(refresh_every_seconds=86_400),
        "keys must be renewed before they are too old to trust",
    ),
    "pause": (
        lambda: RefreshPolicy(first_pause_seconds=61),
        "the first pause is positive and not above the longest",
    ),
    "strikes": (lambda: RefreshPolicy(strikes=0), "at least one strike"),
}


@pytest.mark.parametrize("make, text", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_wrong_policy_says_what_the_rule_is(make: Callable[[], object], text: str) -> None:
    """R-043, R-047, C-07: a limit that would open the door stops the start, with the rule as its text."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        make()

    assert str(caught.value) == text


def test_an_unfit_key_says_why(first_key: SigningKey) -> None:
    """`explain` and tests may show the text."""
    modulus = first_key.private.public_key().public_numbers().n
    for numbers, text in (
        (RSAPublicNumbers(65537, 2**1023 + 1), "the modulus is even, too small or too large"),
        (RSAPublicNumbers(2**32 + 1, modulus), "the public exponent is even, too small or too large"),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
            require_fit(numbers.public_key())
        assert str(caught.value) == text


def test_a_header_of_the_limit_is_read() -> None:
    """4096 bytes of header are the last that are read."""
    header = json.dumps(GOOD_HEADER).encode()
    padded = header + b" " * (4096 - len(header))

    assert parse_compact(f"{part(padded)}.{part(b'{}')}.{part(b's')}").unverified_key_id == "k1"


def test_the_limits_of_a_policy_may_be_used() -> None:
    """The last allowed value of each setting is allowed (R-047, C-07)."""
    policy = RefreshPolicy(
        refresh_every_seconds=0.5, hard_age_seconds=0.6, forced_floor_seconds=30, strikes=1,
        first_pause_seconds=0.5, longest_pause_seconds=0.5,
    )  # fmt: skip

    assert policy.strikes == 1
    assert VerifierPolicy(TEAM, leeway_seconds=120, max_lifetime_seconds=1, max_token_bytes=1).issuer == TEAM
    assert VerifierPolicy(TEAM, leeway_seconds=0).leeway_seconds == 0


@pytest.mark.parametrize("size, usable", [(1050, True), (1051, False)])
def test_a_number_of_a_key_has_at_most_1400_characters(
    first_key: SigningKey, size: int, *, usable: bool
) -> None:
    """Leading zeroes are no end of work for us: 1050 bytes are the last that are read."""
    exponent = part((65537).to_bytes(size, "big"))
    document = json.dumps({"keys": [{**first_key.jwk(), "e": exponent}]}).encode()

    if usable:
        assert list(parse_jwk_set(document)) == [first_key.kid]
    else:
        with pytest.raises(KeyRefreshError, match="no_usable_key"):
            parse_jwk_set(document)


@pytest.mark.parametrize("exponent, bits", [(3, 2048), (2**32 - 1, 2048), (65537, 8192)])
def test_a_key_of_the_limits_is_fit(exponent: int, bits: int) -> None:
    """The smallest and the largest size and exponent that are trusted."""
    key = RSAPublicNumbers(exponent, 2 ** (bits - 1) + 1).public_key()

    assert require_fit(key) is key


async def test_the_environment_names_no_proxy_for_the_keys(
    monkeypatch: pytest.MonkeyPatch, clock: FrozenClock
) -> None:
    """Whoever may set HTTP_PROXY must not stand between us and the team's keys (R-044)."""
    async with (
        JwksServer(jwks_server.body(b"ours")) as server,
        JwksServer(jwks_server.body(b"theirs")) as proxy,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        source = HttpKeySource(server.url, clock=clock, insecure_allow_loopback_http=True)

        assert await source.read() == b"ours"
        assert proxy.requests == []
        assert "Accept: application/json\r\n" in server.requests[0]


def test_an_unsafe_address_says_what_the_rule_is(clock: FrozenClock) -> None:
    """The text stands in the start-up error (CVE-2026-48522)."""
    texts = {
        "http://team.example/certs": "the key set is read over https only",
        "https://team.example/certs?x": "the address of the key set is a plain "
        "https://<team>.cloudflareaccess.com/… URL",
    }
    for url, text in texts.items():
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
            HttpKeySource(url, clock=clock)
        assert str(caught.value) == text


def test_the_last_second_of_the_year_9999_is_a_time() -> None:
    """One second more is milliseconds or nonsense."""
    assert parse(PERSON | {"exp": 253_402_300_799}).expires_at == 253_402_300_799
