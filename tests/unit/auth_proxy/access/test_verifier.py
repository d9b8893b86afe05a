"""Proves `auth_proxy.access.verifier`: one table of tokens, one reason each (attacks.md 2)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth_proxy.access.key_set import StaticKeySet
from auth_proxy.access.token_cache import RefusedTokenCache, VerifiedTokenCache
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Reason, Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey, sign_compact
from tests.fakes.clock import START, FrozenClock
from tests.fixtures.forgery import SIGNATURES, ForgeSignature, part, public_key_spellings

TEAM = "https://team.cloudflareaccess.com"
AUD = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"
AUDIENCES = frozenset({AUD})
NOW = int(START.timestamp())
DAY = 86_400
MONTH = 31 * DAY


@dataclass(frozen=True, slots=True)
class Ada:
    email: str = "ada@example.com"
    sub: str = "7335d417-61da-459d-899c-0a01c76a2f94"


class CountingKeySet(StaticKeySet):
    """Counts who asks for a key, which comes just before every signature check."""

    def __init__(self, keys: Mapping[str, RSAPublicKey]) -> None:
        super().__init__(keys)
        self.asked = 0
        self.verified = 0
        self.refused = 0
        self.generation_now = 1

    @property
    def generation(self) -> int:
        return self.generation_now

    async def key(self, kid: str) -> RSAPublicKey | None:
        self.asked += 1
        return await super().key(kid)

    def replace(self, keys: Mapping[str, RSAPublicKey]) -> None:
        self._keys = dict(keys)
        self.generation_now += 1

    def signature_verified(self) -> None:
        self.verified += 1

    def signature_refused(self) -> None:
        self.refused += 1


@pytest.fixture
def keys(first_key: SigningKey) -> CountingKeySet:
    return CountingKeySet({first_key.kid: first_key.private.public_key()})


@pytest.fixture
def verifier(keys: CountingKeySet, clock: FrozenClock) -> AccessVerifier:
    return AccessVerifier(VerifierPolicy(TEAM), keys, clock)


def claims_of(**changes: object) -> dict[str, object]:
    claims: dict[str, object] = {
        "aud": [AUD],
        "email": "ada@example.com",
        "exp": NOW + DAY,
        "iat": NOW,
        "nbf": NOW,
        "iss": TEAM,
        "type": "app",
        "sub": Ada().sub,
    }
    return claims | changes


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in claims_of().items() if key != name}


async def refusal_of(verifier: AccessVerifier, token: str, audiences: frozenset[str] = AUDIENCES) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await verifier.verify(token, audiences=audiences)
    return caught.value


async def accepts(verifier: AccessVerifier, token: str) -> bool:
    return (await verifier.verify(token, audiences=AUDIENCES)).issuer == TEAM


async def test_a_persons_token_is_verified(verifier: AccessVerifier, issuer: AccessIssuer) -> None:
    """A real token of the team gives its typed claims (R-012, R-013, R-014, R-015)."""
    claims = await verifier.verify(issuer.mint(Ada(), audience=AUD), audiences=AUDIENCES)

    assert (claims.email, claims.subject) == (Ada().email, Ada().sub)
    assert (claims.issuer, claims.audiences) == (TEAM, (AUD,))
    assert claims.key_id == issuer.current.kid


async def test_a_service_token_is_verified_too(verifier: AccessVerifier, issuer: AccessIssuer) -> None:
    """Its signature is good; that it is no person is require_person's to say (C-03)."""
    claims = await verifier.verify(issuer.mint_service_token(audience=AUD), audiences=AUDIENCES)

    assert claims.common_name is not None


CLAIM_TABLE: dict[str, tuple[dict[str, object], Reason]] = {
    "iss_with_slash": (claims_of(iss=f"{TEAM}/"), Reason.TOKEN_ISSUER),
    "iss_http": (claims_of(iss=TEAM.replace("https", "http")), Reason.TOKEN_ISSUER),
    "iss_in_capitals": (claims_of(iss=TEAM.upper()), Reason.TOKEN_ISSUER),
    "iss_longer": (claims_of(iss=f"{TEAM}.evil.example"), Reason.TOKEN_ISSUER),
    "iss_shorter": (claims_of(iss=TEAM[:-1]), Reason.TOKEN_ISSUER),
    "iss_of_another_team": (claims_of(iss="https://other.cloudflareaccess.com"), Reason.TOKEN_ISSUER),
    "iss_of_our_own_identity": (claims_of(iss="auth_proxy"), Reason.TOKEN_ISSUER),
    "iss_list": (claims_of(iss=[TEAM]), Reason.TOKEN_CLAIMS),
    "iss_missing": (without("iss"), Reason.TOKEN_CLAIMS),
    "aud_of_another_application": (claims_of(aud=["f" * 64]), Reason.TOKEN_AUDIENCE),
    "aud_substring": (claims_of(aud=AUD[:-1]), Reason.TOKEN_AUDIENCE),
    "aud_in_capitals": (claims_of(aud=[AUD.upper()]), Reason.TOKEN_AUDIENCE),
    "aud_joined": (claims_of(aud=f"{AUD},other"), Reason.TOKEN_AUDIENCE),
    "aud_of_characters": (claims_of(aud=list(AUD)), Reason.TOKEN_AUDIENCE),
    "aud_object": (claims_of(aud={AUD: True}), Reason.TOKEN_CLAIMS),
    "aud_empty": (claims_of(aud=[]), Reason.TOKEN_CLAIMS),
    "aud_number": (claims_of(aud=1), Reason.TOKEN_CLAIMS),
    "aud_missing": (without("aud"), Reason.TOKEN_CLAIMS),
    "exp_past": (claims_of(iat=NOW - DAY, exp=NOW - 61), Reason.TOKEN_EXPIRED),
    "exp_zero": (claims_of(iat=0, exp=0), Reason.TOKEN_EXPIRED),
    "exp_string": (claims_of(exp=str(NOW + DAY)), Reason.TOKEN_CLAIMS),
    "exp_with_underscores": (claims_of(exp="4_102_444_800"), Reason.TOKEN_CLAIMS),
    "exp_float": (claims_of(exp=NOW + 0.5), Reason.TOKEN_CLAIMS),
    "exp_bool": (claims_of(exp=True), Reason.TOKEN_CLAIMS),
    "exp_1e300": (claims_of(exp=1e300), Reason.TOKEN_CLAIMS),
    "exp_milliseconds": (claims_of(exp=(NOW + DAY) * 1000), Reason.TOKEN_CLAIMS),
    "exp_negative": (claims_of(exp=-1), Reason.TOKEN_CLAIMS),
    "exp_missing": (without("exp"), Reason.TOKEN_CLAIMS),
    "iat_missing": (without("iat"), Reason.TOKEN_CLAIMS),
    "iat_future": (claims_of(iat=NOW + 61), Reason.TOKEN_NOT_YET_VALID),
    "nbf_future": (claims_of(nbf=NOW + 61), Reason.TOKEN_NOT_YET_VALID),
    "nbf_string": (claims_of(nbf="0"), Reason.TOKEN_CLAIMS),
    "nbf_null": (claims_of(nbf=None), Reason.TOKEN_CLAIMS),
    "lifetime_of_ten_years": (claims_of(exp=NOW + 3650 * DAY), Reason.TOKEN_LIFETIME),
    "lifetime_from_1970": (claims_of(iat=0), Reason.TOKEN_LIFETIME),
    "lifetime_of_nothing": (claims_of(exp=NOW, iat=NOW), Reason.TOKEN_LIFETIME),
    "lifetime_backwards": (claims_of(exp=NOW - 1, iat=NOW), Reason.TOKEN_LIFETIME),
    "email_list": (claims_of(email=["ada@example.com"]), Reason.TOKEN_CLAIMS),
    "sub_number": (claims_of(sub=1), Reason.TOKEN_CLAIMS),
    "sub_with_nul": (claims_of(sub="a\x00"), Reason.TOKEN_CLAIMS),
    "jti_number": (claims_of(jti=1), Reason.TOKEN_CLAIMS),
}


@pytest.mark.parametrize("claims, reason", CLAIM_TABLE.values(), ids=CLAIM_TABLE.keys())
async def test_a_well_signed_token_with_wrong_claims_is_refused(
    verifier: AccessVerifier,
    issuer: AccessIssuer,
    keys: CountingKeySet,
    claims: dict[str, object],
    reason: Reason,
) -> None:
    """Each wrong claim has its reason, and none costs a key look-up (R-014, R-043, R-046, C-07)."""
    refusal = await refusal_of(verifier, issuer.mint_claims(claims))

    assert refusal.reason is reason
    assert keys.asked == 0
    assert "example.com" not in str(refusal)


@pytest.mark.parametrize("aud", [AUD, [AUD], ["other", AUD]])
async def test_one_matching_audience_is_enough(
    verifier: AccessVerifier, issuer: AccessIssuer, aud: object
) -> None:
    """The audience may be a string or a list, alone or among others (R-014)."""
    token = issuer.mint_claims(claims_of(aud=aud))

    assert AUD in (await verifier.verify(token, audiences=frozenset({"x", AUD}))).audiences


async def test_no_configured_audience_admits_nobody(verifier: AccessVerifier, issuer: AccessIssuer) -> None:
    """An empty setting is closed, never open (R-173, mistakes 3)."""
    refusal = await refusal_of(verifier, issuer.mint(Ada(), audience=AUD), frozenset())

    assert refusal.reason is Reason.TOKEN_AUDIENCE


LIMITS: dict[str, tuple[dict[str, object], Reason | None]] = {
    "exp_59_s_ago": (claims_of(iat=NOW - DAY, exp=NOW - 59), None),
    "exp_60_s_ago": (claims_of(iat=NOW - DAY, exp=NOW - 60), Reason.TOKEN_EXPIRED),
    "iat_in_60_s": (claims_of(iat=NOW + 60), None),
    "iat_in_61_s": (claims_of(iat=NOW + 61), Reason.TOKEN_NOT_YET_VALID),
    "nbf_in_60_s": (claims_of(nbf=NOW + 60), None),
    "nbf_in_61_s": (claims_of(nbf=NOW + 61), Reason.TOKEN_NOT_YET_VALID),
    "nbf_long_ago": (claims_of(nbf=0), None),
    "nbf_absent": (without("nbf"), None),
    "lifetime_of_a_month": (claims_of(exp=NOW + MONTH + 60), None),
    "lifetime_of_a_second_more": (claims_of(exp=NOW + MONTH + 61), Reason.TOKEN_LIFETIME),
    "lifetime_of_a_second": (claims_of(exp=NOW + 1), None),
}


@pytest.mark.parametrize("claims, reason", LIMITS.values(), ids=LIMITS.keys())
async def test_the_leeway_is_exact_to_the_second(
    verifier: AccessVerifier, issuer: AccessIssuer, claims: dict[str, object], reason: Reason | None
) -> None:
    """60 seconds for every time, and not one more (R-045, C-07)."""
    token = issuer.mint_claims(claims)
    if reason is None:
        assert (await verifier.verify(token, audiences=AUDIENCES)).issuer == TEAM
    else:
        assert (await refusal_of(verifier, token)).reason is reason


async def test_the_leeway_is_a_setting(
    keys: CountingKeySet, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """Without leeway a token ends at exp."""
    verifier = AccessVerifier(VerifierPolicy(TEAM, leeway_seconds=0), keys, clock)
    token = issuer.mint(Ada(), audience=AUD, lifetime=timedelta(seconds=10))
    clock.advance(9.999)
    assert (await verifier.verify(token, audiences=AUDIENCES)).expires_at == NOW + 10

    clock.advance(0.001)

    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_EXPIRED


def _signed_input(key: SigningKey, **header: object) -> str:
    fields = {"alg": "RS256", "kid": key.kid, "typ": "JWT"} | header
    return f"{part(json.dumps(fields).encode())}.{part(json.dumps(claims_of()).encode())}"


def _forged(team: SigningKey, forger: SigningKey, forge: ForgeSignature) -> str:
    message = _signed_input(team)
    return f"{message}.{part(forge(message.encode(), team, forger))}"


def signed_by_another_key(team: SigningKey, forger: SigningKey) -> str:
    return _forged(team, forger, SIGNATURES["by another key"])


def _of_another_payload(team: SigningKey) -> str:
    header, _, signature = sign_compact(
        json.dumps({"alg": "RS256", "kid": team.kid}).encode(), json.dumps(claims_of()).encode(), team
    ).split(".")
    return f"{header}.{part(json.dumps(claims_of(email='eve@example.com')).encode())}.{signature}"


def _of_another_header(team: SigningKey) -> str:
    return f"{_signed_input(team)}.{part(team.sign(_signed_input(team, x=1).encode()))}"


@pytest.mark.parametrize("name", SIGNATURES)
async def test_a_forged_signature_is_refused(
    verifier: AccessVerifier,
    keys: CountingKeySet,
    first_key: SigningKey,
    foreign_key: SigningKey,
    name: str,
) -> None:
    """Under the team's own kid only the team's own signature counts (R-013)."""
    refusal = await refusal_of(verifier, _forged(first_key, foreign_key, SIGNATURES[name]))

    assert refusal.reason is Reason.TOKEN_SIGNATURE
    assert (keys.verified, keys.refused) == (0, 1)


@pytest.mark.parametrize("make", [_of_another_payload, _of_another_header])
async def test_a_signature_of_something_else_is_refused(
    verifier: AccessVerifier, first_key: SigningKey, make: Callable[[SigningKey], str]
) -> None:
    """A good signature proves the very header and payload that were signed (R-013)."""
    assert (await refusal_of(verifier, make(first_key))).reason is Reason.TOKEN_SIGNATURE


def _public_key_spellings(key: SigningKey) -> dict[str, bytes]:
    return {**public_key_spellings(key), "empty": b""}


@pytest.mark.parametrize("algorithm", ["HS256", "none", "None", "nOnE", ""])
async def test_the_public_key_is_no_secret(
    verifier: AccessVerifier,
    issuer: AccessIssuer,
    first_key: SigningKey,
    keys: CountingKeySet,
    algorithm: str,
) -> None:
    """HMAC with the public key in any encoding, and no signature at all, are refused by their alg (R-013)."""
    for spelling in _public_key_spellings(first_key).values():
        token = issuer.mint_claims(claims_of(), header={"alg": algorithm}, key=spelling)
        expected = Reason.TOKEN_ALGORITHM if spelling else Reason.TOKEN_MALFORMED

        assert (await refusal_of(verifier, token)).reason is expected
    assert keys.asked == 0


async def test_rs256_in_name_only_is_refused(
    verifier: AccessVerifier, issuer: AccessIssuer, first_key: SigningKey
) -> None:
    """A header that says RS256 over an HMAC is a bad signature (R-013)."""
    for name, spelling in _public_key_spellings(first_key).items():
        token = issuer.mint_claims(claims_of(), key=spelling)
        expected = Reason.TOKEN_SIGNATURE if spelling else Reason.TOKEN_MALFORMED

        assert (await refusal_of(verifier, token)).reason is expected, name


SHAPES: dict[str, tuple[Callable[[str], str], Reason]] = {
    "empty": (lambda _: "", Reason.TOKEN_MISSING),
    "blank": (lambda _: " ", Reason.TOKEN_MALFORMED),
    "bearer": (lambda token: f"Bearer {token}", Reason.TOKEN_MALFORMED),
    "padded": (lambda token: f"{token}=", Reason.TOKEN_MALFORMED),
    "line_break": (lambda token: f"{token}\n", Reason.TOKEN_MALFORMED),
    "twice": (lambda token: f"{token}.{token}", Reason.TOKEN_MALFORMED),
    "no_signature": (lambda token: token.rsplit(".", 1)[0] + ".", Reason.TOKEN_MALFORMED),
    "high_byte": (lambda token: token[:-1] + "\u00ff", Reason.TOKEN_MALFORMED),
    "lone_surrogate": (lambda token: token[:-1] + "\ud800", Reason.TOKEN_MALFORMED),
    "full_width_dot": (lambda token: token.replace(".", "\uff0e"), Reason.TOKEN_MALFORMED),
    "one_megabyte": (lambda token: token + "A" * 1_048_576, Reason.TOKEN_MALFORMED),
}


@pytest.mark.parametrize("change, reason", SHAPES.values(), ids=SHAPES.keys())
async def test_a_bent_token_is_refused_before_any_library_sees_it(
    verifier: AccessVerifier,
    issuer: AccessIssuer,
    keys: CountingKeySet,
    change: Callable[[str], str],
    reason: Reason,
) -> None:
    """The grammar of a compact JWS is strict (attacks.md 1: a high byte crashed PyJWT)."""
    refusal = await refusal_of(verifier, change(issuer.mint(Ada(), audience=AUD)))

    assert refusal.reason is reason
    assert keys.asked == 0


async def test_the_length_limit_is_exact(
    keys: CountingKeySet, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A token of exactly the limit passes, one byte more does not."""
    token = issuer.mint(Ada(), audience=AUD)
    fits = AccessVerifier(VerifierPolicy(TEAM, max_token_bytes=len(token)), keys, clock)
    tight = AccessVerifier(VerifierPolicy(TEAM, max_token_bytes=len(token) - 1), keys, clock)

    assert await accepts(fits, token)
    assert (await refusal_of(tight, token)).reason is Reason.TOKEN_MALFORMED


async def test_an_embedded_key_is_not_used(
    verifier: AccessVerifier, issuer: AccessIssuer, foreign_key: SigningKey
) -> None:
    """A forger's key in the header, by value or by address, proves nothing (attacks.md 2)."""
    for header in ({"jwk": foreign_key.jwk()}, {"jku": "https://evil.example/keys"}, {"x5c": ["AAAA"]}):
        token = issuer.mint_claims(claims_of(), header=header, key=foreign_key)

        assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_HEADER


async def test_an_unknown_kid_is_refused(
    verifier: AccessVerifier, issuer: AccessIssuer, foreign_key: SigningKey, keys: CountingKeySet
) -> None:
    """A well-made token by an unpublished key is unknown, and no strike against the key set."""
    refusal = await refusal_of(verifier, issuer.mint_claims(claims_of(), key=foreign_key))

    assert refusal.reason is Reason.TOKEN_KEY_UNKNOWN
    assert (keys.asked, keys.refused) == (1, 0)


async def test_a_hit_costs_no_signature_check(
    verifier: AccessVerifier, issuer: AccessIssuer, keys: CountingKeySet
) -> None:
    """100 requests with one token check one signature, and give the same claims."""
    token = issuer.mint(Ada(), audience=AUD)
    first = await verifier.verify(token, audiences=AUDIENCES)
    for _ in range(99):
        assert await verifier.verify(token, audiences=AUDIENCES) is first

    assert (keys.asked, keys.verified) == (1, 1)


async def test_policy_is_evaluated_on_a_hit(
    verifier: AccessVerifier, issuer: AccessIssuer, keys: CountingKeySet
) -> None:
    """A remembered token of one application opens no other: the audience is asked each time (R-014)."""
    token = issuer.mint(Ada(), audience=AUD)
    await verifier.verify(token, audiences=AUDIENCES)

    for audiences in (frozenset({"other"}), frozenset[str]()):
        assert (await refusal_of(verifier, token, audiences)).reason is Reason.TOKEN_AUDIENCE
    assert await accepts(verifier, token)
    assert keys.asked == 1


async def test_the_issuer_is_evaluated_on_a_hit(
    keys: CountingKeySet, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A cache shared by two verifiers carries no trust from one team to another."""
    cache = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    ours = AccessVerifier(VerifierPolicy(TEAM), keys, clock, verified=cache)
    theirs = AccessVerifier(VerifierPolicy("https://other.example"), keys, clock, verified=cache)
    token = issuer.mint(Ada(), audience=AUD)
    await ours.verify(token, audiences=AUDIENCES)

    assert (await refusal_of(theirs, token)).reason is Reason.TOKEN_ISSUER
    assert len(cache) == 1


async def test_time_is_evaluated_on_a_hit(
    verifier: AccessVerifier, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A remembered token expires on time, and is too early again when the clock is set back (R-045)."""
    token = issuer.mint(Ada(), audience=AUD, lifetime=timedelta(seconds=100))
    await verifier.verify(token, audiences=AUDIENCES)
    clock.advance(-61)
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_NOT_YET_VALID
    clock.advance(61 + 159.9)
    assert await accepts(verifier, token)

    clock.advance(0.1)

    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_EXPIRED


async def test_a_bad_token_costs_one_signature_check(
    verifier: AccessVerifier,
    first_key: SigningKey,
    foreign_key: SigningKey,
    keys: CountingKeySet,
    clock: FrozenClock,
) -> None:
    """A replayed forgery is refused from memory for a minute, but each time is a strike (R-047)."""
    token = signed_by_another_key(first_key, foreign_key)
    for _ in range(100):
        assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_SIGNATURE
    assert (keys.asked, keys.refused) == (1, 100)

    clock.advance(60)

    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_SIGNATURE
    assert keys.asked == 2


async def test_a_token_recovers_when_its_key_is_published(
    verifier: AccessVerifier,
    issuer: AccessIssuer,
    first_key: SigningKey,
    second_key: SigningKey,
    keys: CountingKeySet,
) -> None:
    """An unknown kid is not remembered: the next request after the fetch passes."""
    token = issuer.mint_claims(claims_of(), key=second_key)
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_KEY_UNKNOWN

    keys.replace({key.kid: key.private.public_key() for key in (first_key, second_key)})

    assert await accepts(verifier, token)


async def test_a_token_recovers_when_its_key_is_replaced(
    verifier: AccessVerifier,
    issuer: AccessIssuer,
    first_key: SigningKey,
    second_key: SigningKey,
    keys: CountingKeySet,
) -> None:
    """A new key under the old kid: what was a bad signature is looked at again at once (R-047)."""
    token = issuer.mint_claims(claims_of(), key=SigningKey(first_key.kid, second_key.private))
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_SIGNATURE

    keys.replace({first_key.kid: second_key.private.public_key()})

    assert await accepts(verifier, token)


async def test_an_early_token_recovers_by_waiting(
    verifier: AccessVerifier, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """Too early is not remembered."""
    token = issuer.mint_claims(claims_of(nbf=NOW + 70))
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_NOT_YET_VALID

    clock.advance(10)

    assert await accepts(verifier, token)


async def test_a_remembered_token_dies_with_its_key(
    verifier: AccessVerifier, issuer: AccessIssuer, second_key: SigningKey, keys: CountingKeySet
) -> None:
    """When the key leaves the set, the cache proves nothing any more."""
    token = issuer.mint(Ada(), audience=AUD)
    await verifier.verify(token, audiences=AUDIENCES)

    keys.replace({second_key.kid: second_key.private.public_key()})

    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_KEY_UNKNOWN


async def test_time_that_passes_during_a_fetch_counts(
    first_key: SigningKey, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A token that expires while its key is fetched is not returned."""

    class SlowKeySet(CountingKeySet):
        async def key(self, kid: str) -> RSAPublicKey | None:
            clock.advance(5)
            return await super().key(kid)

    keys = SlowKeySet({first_key.kid: first_key.private.public_key()})
    verifier = AccessVerifier(VerifierPolicy(TEAM), keys, clock)
    token = issuer.mint_claims(claims_of(iat=NOW - DAY, exp=NOW - 58))

    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_EXPIRED


async def test_an_empty_cache_that_is_given_is_used(
    keys: CountingKeySet,
    issuer: AccessIssuer,
    clock: FrozenClock,
    first_key: SigningKey,
    foreign_key: SigningKey,
) -> None:
    """An empty cache is falsy in Python; it is the caller's all the same."""
    good = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    bad = RefusedTokenCache(clock=clock)
    verifier = AccessVerifier(VerifierPolicy(TEAM), keys, clock, verified=good, refused=bad)
    await verifier.verify(issuer.mint(Ada(), audience=AUD), audiences=AUDIENCES)
    await refusal_of(verifier, signed_by_another_key(first_key, foreign_key))

    assert (len(good), len(bad)) == (1, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": ""},
        {"issuer": f"{TEAM}/"},
        {"issuer": TEAM, "leeway_seconds": -1},
        {"issuer": TEAM, "leeway_seconds": 121},
        {"issuer": TEAM, "max_lifetime_seconds": 0},
        {"issuer": TEAM, "max_token_bytes": 0},
    ],
)
def test_an_unsafe_policy_cannot_exist(settings: dict[str, object]) -> None:
    """The issuer has no trailing slash (R-043) and the leeway is at most two minutes (C-07)."""
    with pytest.raises(ValueError, match=r"\w"):
        VerifierPolicy(**settings)  # type: ignore[arg-type]  # the table is wrong on purpose
