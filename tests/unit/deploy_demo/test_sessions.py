from datetime import timedelta
from typing import Any

import jwt
import pytest

from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import ADA, EXPIRED_TOKEN, NOEL, ROSA, SERVICE_TOKEN, Person, TokenKind
from deploy.demo.sessions import LoginRequired, Sessions
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.conftest import AUDIENCE

HOUR = 60 * 60


def open_sessions(issuer: AccessIssuer, clock: FrozenClock) -> Sessions:
    """A process that has seen nobody yet."""
    return Sessions(
        issuer,
        clock,
        AUDIENCE,
        token_lifetime=timedelta(hours=1),
        session_lifetime=timedelta(hours=10),
    )


@pytest.fixture
def sessions(issuer: AccessIssuer, clock: FrozenClock) -> Sessions:
    return open_sessions(issuer, clock)


def unverified(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_person_who_signed_in_is_admitted_with_the_very_token(
    sessions: Sessions, clock: FrozenClock
) -> None:
    """The cookie's token is the assertion: it goes upstream unchanged while it is young (R-161)."""
    token = sessions.sign_in(ADA)
    clock.advance(HOUR / 2)
    admission = sessions.admit(token)

    assert admission.token == token
    assert admission.person == ADA
    assert not admission.renewed


def test_a_token_near_its_end_is_renewed_while_the_session_lives(
    sessions: Sessions, clock: FrozenClock
) -> None:
    """Near its end and after it, a token is replaced by a fresh one of the same session (R-166)."""
    token = sessions.sign_in(ROSA)
    started = int(clock.now().timestamp())

    clock.advance(HOUR * 0.95)
    early = sessions.admit(token)
    clock.advance(HOUR * 2)
    late = sessions.admit(token)

    assert early.renewed
    assert late.renewed
    fresh = unverified(late.token)
    assert fresh["identity_nonce"] == unverified(token)["identity_nonce"]
    assert fresh["email"] == ROSA.email
    assert fresh["exp"] == clock.now().timestamp() + HOUR
    assert late.signed_in_at == started < fresh["iat"]


def test_a_session_ends_when_its_time_is_over(sessions: Sessions, clock: FrozenClock) -> None:
    """No token, not even a renewed one, outlives the session."""
    token = sessions.sign_in(ADA)
    clock.advance(10 * HOUR - 1)
    renewed = sessions.admit(token).token

    clock.advance(1)

    for old in (token, renewed):
        with pytest.raises(LoginRequired):
            sessions.admit(old)


def test_a_restart_keeps_a_valid_token_and_not_an_expired_one(
    sessions: Sessions, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """A new process takes up a token that is still valid and renews it later; an expired one is lost."""
    kept, lost = sessions.sign_in(ADA), issuer.mint(ADA, audience=AUDIENCE, lifetime=timedelta(minutes=30))
    clock.advance(HOUR * 0.75)
    restarted = open_sessions(issuer, clock)

    assert restarted.admit(kept).person == ADA
    clock.advance(HOUR)
    assert restarted.admit(kept).renewed
    with pytest.raises(LoginRequired):
        restarted.admit(lost)


def test_the_expired_token_is_let_through_on_purpose(sessions: Sessions, clock: FrozenClock) -> None:
    """The choice is a token an hour too old and never renewed: the sidecar must refuse it (R-162)."""
    token = sessions.sign_in(EXPIRED_TOKEN)
    admission = sessions.admit(token)

    assert unverified(token)["exp"] == clock.now().timestamp() - HOUR
    assert admission.token == token
    assert not admission.renewed


def test_a_service_token_is_nobody(sessions: Sessions, clock: FrozenClock) -> None:
    """A service token is admitted without a person until it expires, and is not renewed (R-038)."""
    token = sessions.sign_in(SERVICE_TOKEN)
    admission = sessions.admit(token)

    assert admission.person is None
    assert admission.token == token
    clock.advance(HOUR)
    with pytest.raises(LoginRequired):
        sessions.admit(token)


@pytest.mark.parametrize("choice", [ADA, NOEL, SERVICE_TOKEN, EXPIRED_TOKEN], ids=lambda choice: choice.key)
def test_signing_out_ends_every_token_of_the_session_and_no_other(
    sessions: Sessions, clock: FrozenClock, choice: Person | TokenKind
) -> None:
    """Signing out ends that session's tokens; another session of the same choice goes on (R-139)."""
    token, other = sessions.sign_in(choice), sessions.sign_in(choice)
    if choice is SERVICE_TOKEN:  # two service tokens of one second are the same token
        clock.advance(1)
        other = sessions.sign_in(choice)

    sessions.sign_out(token)

    with pytest.raises(LoginRequired):
        sessions.admit(token)
    assert sessions.admit(other).token == other


def test_a_renewed_token_is_signed_out_with_its_session(sessions: Sessions, clock: FrozenClock) -> None:
    """Signing out with the old token ends the renewed one as well."""
    token = sessions.sign_in(ADA)
    clock.advance(HOUR)
    renewed = sessions.admit(token).token

    sessions.sign_out(token)

    with pytest.raises(LoginRequired):
        sessions.admit(renewed)


def test_two_people_with_one_nonce_stay_two_people(sessions: Sessions, issuer: AccessIssuer) -> None:
    """A person is read from the token, never from the session that its nonce names."""
    ada, rosa = (issuer.mint(who, audience=AUDIENCE, identity_nonce="same") for who in (ADA, ROSA))

    assert sessions.admit(ada).person == ADA
    assert sessions.admit(rosa).person == ROSA


def test_an_invented_person_is_admitted_as_the_token_says(sessions: Sessions, issuer: AccessIssuer) -> None:
    """A test may mint for anybody; an address of the cast with another sub is not the cast's person."""
    impostor = Person("x", "x", ADA.email, "00000000-0000-4000-8000-000000000000", None, "")
    admission = sessions.admit(issuer.mint(impostor, audience=AUDIENCE))

    assert admission.person is not None
    assert admission.person != ADA
    assert (admission.person.email, admission.person.sub) == (impostor.email, impostor.sub)


def test_what_this_team_did_not_sign_for_this_application_is_refused(
    sessions: Sessions, issuer: AccessIssuer, third_key: SigningKey
) -> None:
    """Another audience, issuer, key or algorithm, nonsense, no times: a login is required (R-046)."""
    good = unverified(issuer.mint(ADA, audience=AUDIENCE))
    hostile = {
        "empty": "",
        "nonsense": "a.b.c",
        "audience": issuer.mint(ADA, audience="f" * 64),
        "issuer": issuer.mint(ADA, audience=AUDIENCE, iss="https://evil.example"),
        "unknown key": issuer.mint_claims(good, key=third_key),
        "forged kid": issuer.mint_claims(good, key=third_key, header={"kid": issuer.current.kid}),
        "unsigned": issuer.mint_claims(good, key=b"", header={"alg": "none"}),
        "no exp": issuer.mint(ADA, audience=AUDIENCE, without={"exp"}),
        "no iat": issuer.mint(ADA, audience=AUDIENCE, without={"iat"}),
        "text as exp": issuer.mint(ADA, audience=AUDIENCE, exp="soon"),
    }
    admitted = []
    for name, token in hostile.items():
        try:
            sessions.admit(token)
        except LoginRequired:
            continue
        admitted.append(name)

    assert admitted == []


def test_signing_out_with_nonsense_changes_nothing(sessions: Sessions) -> None:
    """A logout without a valid token is no error."""
    token = sessions.sign_in(ADA)
    sessions.sign_out("nonsense")

    assert sessions.admit(token).token == token


def test_what_is_over_is_forgotten(sessions: Sessions, clock: FrozenClock) -> None:
    """Sessions and sign-outs do not pile up for ever."""
    sessions.sign_out(sessions.sign_in(ADA))
    sessions.sign_in(ROSA)
    clock.advance(10 * HOUR)

    sessions.sign_in(NOEL)

    assert len(sessions._sessions) == 1
    assert sessions._ended == {}
