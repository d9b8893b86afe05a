"""Step 3: the token of the host that was asked, or the one configured developer."""

import pytest

from auth_proxy.access.claims import AccessClaims
from auth_proxy.pipeline.authenticate import Authenticator, InsecureDevAuthenticator
from auth_proxy.pipeline.identify import identify
from auth_proxy.refusals import Reason, Refusal
from tests.fakes.clock import START, FrozenClock
from tests.unit.auth_proxy.pipeline.hostile import HOST
from tests.unit.auth_proxy.pipeline.values import claims, screened


class RecordingVerifier:
    """Believes everything and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, frozenset[str]]] = []
        self.is_new_to_it = False

    async def verify(self, token: str, *, audiences: frozenset[str]) -> AccessClaims:
        self.asked.append((token, audiences))
        return claims()

    def verify_at_once(self, token: str, *, audiences: frozenset[str]) -> AccessClaims | None:
        self.asked.append((token, audiences))
        return None if self.is_new_to_it else claims()


async def test_the_audience_is_that_of_the_host_that_was_asked() -> None:
    """R-014: the client names the host, configuration names the audience."""
    verifier = RecordingVerifier()
    audiences = {HOST: frozenset({"aud-1"}), "other.example": frozenset({"aud-2"})}
    asked = screened("/", ("Cf-Access-Jwt-Assertion", "t"))
    verified = await Authenticator(verifier, audiences).authenticate(asked)

    assert verifier.asked == [("t", frozenset({"aud-1"}))]
    assert (verified.screened, verified.claims) == (asked, claims())


async def test_the_answer_at_once_is_the_same_answer() -> None:
    """R-014: the quick way asks for the same audience, and what it gives `authenticate` gives too."""
    verifier = RecordingVerifier()
    gate = Authenticator(verifier, {HOST: frozenset({"aud-1"}), "other.example": frozenset({"aud-2"})})
    asked = screened("/", ("Cf-Access-Jwt-Assertion", "t"))

    assert gate.authenticate_at_once(asked) == await gate.authenticate(asked)
    assert verifier.asked == [("t", frozenset({"aud-1"}))] * 2


def test_a_new_token_has_no_answer_at_once() -> None:
    """R-012: nobody is let in before the token is proven; no claims are made up meanwhile."""
    verifier = RecordingVerifier()
    verifier.is_new_to_it = True
    asked = screened("/", ("Cf-Access-Jwt-Assertion", "t"))

    assert Authenticator(verifier, {HOST: frozenset({"a"})}).authenticate_at_once(asked) is None


def test_without_a_token_nobody_is_asked_at_once_either() -> None:
    """R-042, R-170: the quick way has no other door."""
    verifier = RecordingVerifier()
    alone = screened("/", ("Cf-Access-Authenticated-User-Email", "ada@example.com"))
    with pytest.raises(Refusal) as caught:
        Authenticator(verifier, {HOST: frozenset({"a"})}).authenticate_at_once(alone)

    assert caught.value.reason is Reason.TOKEN_MISSING
    assert verifier.asked == []


async def test_the_development_gate_always_answers_at_once() -> None:
    """R-049: one person on both ways."""
    gate = InsecureDevAuthenticator("ada@example.com", FrozenClock())

    assert gate.authenticate_at_once(screened()) == await gate.authenticate(screened())


async def test_without_a_token_nobody_is_asked() -> None:
    """R-042, R-170: an e-mail header alone is no token."""
    verifier = RecordingVerifier()
    alone = screened("/", ("Cf-Access-Authenticated-User-Email", "ada@example.com"))
    with pytest.raises(Refusal) as caught:
        await Authenticator(verifier, {HOST: frozenset({"a"})}).authenticate(alone)

    assert caught.value.reason is Reason.TOKEN_MISSING
    assert verifier.asked == []


async def test_the_development_gate_knows_one_person_whatever_is_sent() -> None:
    """R-049: `sub` is local-dev- and the address in its normal form; no token of the client chooses it."""
    gate = InsecureDevAuthenticator(" Ada@Example.com ", FrozenClock())
    for headers in ((), (("Cf-Access-Jwt-Assertion", "garbage"),)):
        verified = await gate.authenticate(screened("/", *headers))
        person = identify(verified, accepted_types=frozenset({"app"}))

        assert (person.sub, person.email) == ("local-dev-ada@example.com", "ada@example.com")
        assert person.expires_at == START.timestamp() + 300


async def test_the_development_gates_claims_name_no_real_issuer() -> None:
    """R-049: all of them are known, so that no log line takes a developer for somebody of the team."""
    verified = await InsecureDevAuthenticator("ada@example.com", FrozenClock()).authenticate(screened())
    now = int(START.timestamp())

    assert verified.claims == claims(
        issuer="local-dev",
        audiences=(),
        subject="local-dev-ada@example.com",
        issued_at=now,
        expires_at=now + 300,
        key_id="local-dev",
    )


async def test_the_development_gate_is_contradicted_like_any_other() -> None:
    """R-171 holds in development too."""
    gate = InsecureDevAuthenticator("ada@example.com", FrozenClock())
    verified = await gate.authenticate(
        screened("/", ("Cf-Access-Authenticated-User-Email", "eve@example.com"))
    )

    with pytest.raises(Refusal) as caught:
        identify(verified, accepted_types=frozenset({"app"}))
    assert caught.value.reason is Reason.EMAIL_HEADER_CONTRADICTS


def test_a_developer_needs_a_plain_address() -> None:
    """The gate opens for no text that is no address."""
    with pytest.raises(ValueError, match="plain e-mail"):
        InsecureDevAuthenticator("ada", FrozenClock())
