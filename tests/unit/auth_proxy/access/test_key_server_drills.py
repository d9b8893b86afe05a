"""Drills: verifier, key set and HTTP against a key server that misbehaves (attacks.md 4).

Every drill asks the same: does a person with a good token get in, and does nobody else?
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from auth_proxy.access.key_set import RemoteKeySet
from auth_proxy.access.key_source import FetchLimits, HttpKeySource
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Reason, Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey
from tests.fakes import jwks_server
from tests.fakes.clock import FrozenClock
from tests.fakes.jwks_misbehaviour import MISBEHAVIOUR
from tests.fakes.jwks_server import Answer, JwksServer
from tests.fixtures.forgery import part
from tests.fixtures.stopwatch import Stopwatch

AUD = "aud-1"


@dataclass(frozen=True, slots=True)
class Ada:
    email: str = "ada@example.com"
    sub: str = "7335d417-61da-459d-899c-0a01c76a2f94"


@dataclass(slots=True)
class Gate:
    """The parts under drill, wired as the sidecar wires them."""

    clock: FrozenClock
    server: JwksServer
    issuer: AccessIssuer
    keys: RemoteKeySet
    verifier: AccessVerifier
    minted: int = field(default=0)

    def publish(self) -> None:
        self.server.answer = jwks_server.document(self.issuer.certs_document())

    def token(self) -> str:
        """A new token of Ada's, so that no cache answers for it."""
        self.minted += 1
        return self.issuer.mint(Ada(), audience=AUD, serial=self.minted)

    def token_by(self, key: SigningKey, kid: str) -> str:
        self.minted += 1
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer.team_domain,
            "aud": AUD,
            "iat": now,
            "exp": now + 60,
            "serial": self.minted,
        }
        return self.issuer.mint_claims(claims, header={"kid": kid}, key=key)

    async def verdict(self, token: str) -> Reason | None:
        """None when the token passes."""
        try:
            await self.verifier.verify(token, audiences=frozenset({AUD}))
        except Refusal as refusal:
            return refusal.reason
        return None


@pytest.fixture
async def gate(clock: FrozenClock, first_key: SigningKey) -> AsyncIterator[Gate]:
    async with JwksServer() as server:
        issuer = AccessIssuer(server.team_domain, clock, keys=[first_key])
        source = HttpKeySource(
            server.url, clock=clock, limits=FetchLimits(total_seconds=6.0), insecure_allow_loopback_http=True
        )
        keys = RemoteKeySet(source, clock=clock)
        gate = Gate(
            clock, server, issuer, keys, AccessVerifier(VerifierPolicy(server.team_domain), keys, clock)
        )
        gate.publish()
        yield gate
        await keys.close()


async def test_connect_refused_at_start(gate: Gate) -> None:
    """Closed and not ready; the first fetch after the server came back lets people in, without a restart."""
    await gate.server.refuse()
    await gate.keys.start()
    assert await gate.verdict(gate.token()) is Reason.KEYS_UNAVAILABLE
    assert not gate.keys.ready

    await gate.server.listen()
    gate.clock.advance(30)

    assert await gate.verdict(gate.token()) is None
    assert gate.keys.ready


async def test_connect_refused_after_a_good_fetch(gate: Gate) -> None:
    """Cached keys go on for a day, then everything is closed."""
    assert await gate.verdict(gate.token()) is None
    await gate.server.refuse()
    gate.clock.advance(86_399)
    assert await gate.verdict(gate.token()) is None

    gate.clock.advance(1)

    assert await gate.verdict(gate.token()) is Reason.KEYS_UNAVAILABLE


ANSWERS: dict[str, Answer] = {name: answer for name, (_, answer, _) in MISBEHAVIOUR.items()}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_misbehaving_server_changes_nothing_for_people(
    gate: Gate, answer: Answer, foreign_key: SigningKey
) -> None:
    """The keys are kept, nobody waits for the fetch, an unknown kid is 503 and never 200."""
    assert await gate.verdict(gate.token()) is None
    gate.clock.advance(600)
    gate.server.answer = answer
    stranger = asyncio.create_task(gate.verdict(gate.token_by(foreign_key, foreign_key.kid)))
    for _ in range(20):
        asked = Stopwatch()
        assert await gate.verdict(gate.token()) is None
        assert asked.awake < 0.1
        await asyncio.sleep(0.001)

    assert await stranger is Reason.KEYS_UNAVAILABLE
    # aiohttp repeats a GET once when the server hangs up before the first byte: still one fetch of ours.
    assert len(gate.server.requests) == (3 if answer is jwks_server.hang_up else 2)
    assert gate.keys.ready


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_server_that_misbehaves_from_the_start_lets_nobody_in(gate: Gate, answer: Answer) -> None:
    """Without keys the answer is 503 within the deadline; once the server behaves, people get in."""
    gate.server.answer = answer
    async with asyncio.timeout(20):
        assert await gate.verdict(gate.token()) is Reason.KEYS_UNAVAILABLE

    gate.publish()
    gate.clock.advance(3600)

    assert await gate.verdict(gate.token()) is None


async def test_a_redirect_to_an_attackers_keys_is_not_followed(gate: Gate, foreign_key: SigningKey) -> None:
    """The attacker's key set is never even asked for (GHSA-9v7f-9g4p-ffgj)."""
    async with JwksServer(jwks_server.document({"keys": [foreign_key.jwk()]})) as attacker:
        gate.server.answer = jwks_server.redirect("307 Temporary Redirect", attacker.url)

        assert await gate.verdict(gate.token_by(foreign_key, foreign_key.kid)) is Reason.KEYS_UNAVAILABLE
        assert attacker.requests == []


async def test_bad_keys_beside_good_ones(gate: Gate, first_key: SigningKey, foreign_key: SigningKey) -> None:
    """Symmetric, elliptic, weak and misused keys are ignored, also under the good key's kid."""
    strangers: list[dict[str, object]] = [
        {"kty": "oct", "kid": first_key.kid, "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "EC", "kid": first_key.kid, "crv": "P-256", "x": "AA", "y": "AA"},
        {**foreign_key.jwk(), "use": "enc"},
        {**foreign_key.jwk(), "key_ops": ["encrypt"]},
        {**foreign_key.jwk(), "alg": "RS512"},
        {**foreign_key.jwk(), "kid": 7},
    ]
    gate.server.answer = jwks_server.document({"keys": [*strangers, first_key.jwk()]})

    assert await gate.verdict(gate.token()) is None
    assert await gate.verdict(gate.token_by(foreign_key, foreign_key.kid)) is Reason.TOKEN_KEY_UNKNOWN
    assert gate.keys.key_count == 1


async def test_a_duplicate_kid_replaces_nothing(
    gate: Gate, first_key: SigningKey, foreign_key: SigningKey
) -> None:
    """An attacker's key added under the current kid neither gets in nor locks anybody out."""
    assert await gate.verdict(gate.token()) is None
    twin = {**foreign_key.jwk(), "kid": first_key.kid}
    gate.server.answer = jwks_server.document({"keys": [twin, first_key.jwk()]})
    gate.clock.advance(600)
    await gate.verdict(gate.token_by(foreign_key, "unknown"))

    assert len(gate.server.requests) == 2
    assert await gate.verdict(gate.token_by(foreign_key, first_key.kid)) is Reason.TOKEN_SIGNATURE
    assert await gate.verdict(gate.token()) is None


async def test_rotation_under_load(gate: Gate, first_key: SigningKey, second_key: SigningKey) -> None:
    """1,000 concurrent tokens by a new key make one fetch, and every one of them passes."""
    assert await gate.verdict(gate.token()) is None
    gate.clock.advance(30)
    gate.issuer.rotate(second_key)
    gate.publish()
    tokens = [gate.token() for _ in range(1000)]

    verdicts = await asyncio.gather(*(gate.verdict(token) for token in tokens))

    assert verdicts == [None] * 1000
    assert len(gate.server.requests) == 2


async def test_the_old_key_ends_with_its_overlap(
    gate: Gate, first_key: SigningKey, second_key: SigningKey
) -> None:
    """In the overlap both keys serve; after it the old key's tokens are refused, also remembered ones."""
    old = gate.token()
    assert await gate.verdict(old) is None
    gate.clock.advance(30)
    gate.issuer.rotate(second_key)
    gate.publish()
    assert await gate.verdict(gate.token()) is None
    assert await gate.verdict(old) is None
    gate.issuer.forget_previous()
    gate.publish()
    gate.clock.advance(30)

    await gate.verdict(gate.token_by(first_key, "unknown"))

    assert await gate.verdict(old) is Reason.TOKEN_KEY_UNKNOWN
    assert await gate.verdict(gate.token()) is None


async def test_a_flood_of_unknown_kids(gate: Gate, foreign_key: SigningKey, second_key: SigningKey) -> None:
    """2,000 invented kids make one fetch; Ada gets in meanwhile, and a rotation is seen within 30 s."""
    assert await gate.verdict(gate.token()) is None
    gate.clock.advance(30)
    good = gate.token()
    forged = gate.token_by(foreign_key, "KID").split(".")
    for number in range(2000):
        header = {"alg": "RS256", "kid": f"invented-{number}"}
        stranger = ".".join((part(json.dumps(header).encode()), *forged[1:]))
        assert await gate.verdict(stranger) is Reason.TOKEN_KEY_UNKNOWN
        assert await gate.verdict(good) is None
    assert len(gate.server.requests) == 2
    gate.issuer.rotate(second_key)
    gate.publish()
    gate.clock.advance(30)

    assert await gate.verdict(gate.token()) is None
    assert len(gate.server.requests) == 3


async def test_foreign_tokens_never_cause_a_fetch(gate: Gate, foreign_key: SigningKey) -> None:
    """Another team's, another application's and expired tokens are refused before any key is asked for."""
    now = int(gate.clock.now().timestamp())
    good: dict[str, object] = {"iss": gate.issuer.team_domain, "aud": AUD, "iat": now, "exp": now + 60}
    foreign: list[tuple[dict[str, object], Reason]] = [
        ({"iss": "https://other.cloudflareaccess.com"}, Reason.TOKEN_ISSUER),
        ({"aud": "other"}, Reason.TOKEN_AUDIENCE),
        ({"iat": now - 600, "exp": now - 300}, Reason.TOKEN_EXPIRED),
    ]
    for changes, reason in foreign:
        token = gate.issuer.mint_claims(good | changes, key=foreign_key)
        assert await gate.verdict(token) is reason

    assert gate.server.requests == []


async def test_a_key_replaced_under_its_kid(
    gate: Gate, first_key: SigningKey, second_key: SigningKey
) -> None:
    """Three refusals in a row fetch the new key; the fourth attempt passes (R-047)."""
    assert await gate.verdict(gate.token()) is None
    gate.clock.advance(30)
    replaced = SigningKey(first_key.kid, second_key.private)
    gate.server.answer = jwks_server.document({"keys": [replaced.jwk()]})
    token = gate.token_by(replaced, first_key.kid)
    for _ in range(3):
        assert await gate.verdict(token) is Reason.TOKEN_SIGNATURE
    async with asyncio.timeout(20):
        while gate.keys.generation == 1:
            await asyncio.sleep(0.01)

    assert await gate.verdict(token) is None
    assert len(gate.server.requests) == 2


async def test_own_bounds_and_not_the_servers_cache_control(gate: Gate) -> None:
    """A set that calls itself good for thirty years is as old after a day as any other."""
    content = json.dumps(gate.issuer.certs_document()).encode()
    gate.server.answer = jwks_server.body(content, headers={"Cache-Control": "max-age=1000000000, immutable"})
    assert await gate.verdict(gate.token()) is None
    await gate.server.refuse()

    gate.clock.advance(86_400)

    assert await gate.verdict(gate.token()) is Reason.KEYS_UNAVAILABLE
