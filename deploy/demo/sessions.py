"""Who is signed in at the stand-in edge: opens, renews and ends sessions, and judges the cookie's token.

It reads no request and knows no header. A session is named by its tokens' `identity_nonce`, as Cloudflare's
"cache key used to get the user's identity"; nothing else links a token to a session. What was signed out is
remembered in memory only: a restart of the demo forgets it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from deploy.demo.issuer import AccessIssuer
from deploy.demo.people import ADA, CAST, SERVICE_TOKEN, Person, TokenKind
from service_kit.clock import Clock

DAY = 24 * 60 * 60
HOUR = 60 * 60
RENEW_IN_THE_LAST = 10  # one tenth of a token's lifetime


class LoginRequired(Exception):  # noqa: N818 - the name is the refusal
    """There is no token, or Access would not accept it any more."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a request may carry upstream; `person` is absent for a service token."""

    token: str
    person: Person | None
    signed_in_at: int
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. `renewable` is false only for the token that is expired on purpose."""

    signed_in_at: int
    ends_at: int
    renewable: bool = True


class Sessions:
    """Every session of this process; a token from before a restart is taken up again while it is valid."""

    def __init__(
        self,
        issuer: AccessIssuer,
        clock: Clock,
        audience: str,
        *,
        token_lifetime: timedelta,
        session_lifetime: timedelta,
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._audience = audience
        self._token_lifetime = token_lifetime
        self._session_seconds = int(session_lifetime.total_seconds())
        self._sessions: dict[str, Session] = {}
        self._ended: dict[str, int] = {}

    def sign_in(self, choice: Person | TokenKind) -> str:
        """A new token for the choice, to be the value of `CF_Authorization`."""
        self._forget_what_is_over()
        if choice is SERVICE_TOKEN:
            return self._issuer.mint_service_token(audience=self._audience, lifetime=self._token_lifetime)
        now, nonce = self._seconds(), secrets.token_urlsafe(12)
        if isinstance(choice, Person):
            self._sessions[nonce] = Session(now, now + self._session_seconds)
            return self._mint(choice, nonce)
        self._sessions[nonce] = Session(now, now + self._session_seconds, renewable=False)
        return self._issuer.mint(
            ADA,
            audience=self._audience,
            identity_nonce=nonce,
            iat=now - DAY - HOUR,
            nbf=now - DAY - HOUR,
            exp=now - HOUR,
        )

    def admit(self, token: str) -> Admission:
        """What the token of a cookie is worth now. Raises `LoginRequired`."""
        claims = self._verified(token)
        if _session_name(claims, token) in self._ended:
            raise LoginRequired("signed out")
        if "common_name" in claims:
            self._refuse_expired(claims)
            return Admission(token, None, int(claims["iat"]))
        session, person = self._session_of(claims, token), _person_of(claims)
        if not session.renewable or not self._is_old(claims):
            return Admission(token, person, session.signed_in_at)
        fresh = self._mint(person, str(claims.get("identity_nonce", "")))
        return Admission(fresh, person, session.signed_in_at, renewed=True)

    def sign_out(self, token: str) -> None:
        """End the session of a token. A token that never was valid changes nothing."""
        try:
            claims = self._verified(token)
        except LoginRequired:
            return
        name = _session_name(claims, token)
        self._sessions.pop(name, None)
        self._ended[name] = self._seconds() + self._session_seconds

    def _mint(self, person: Person, nonce: str) -> str:
        return self._issuer.mint(
            person, audience=self._audience, lifetime=self._token_lifetime, identity_nonce=nonce
        )

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that this team signed for this application; its times are not judged here."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = next(key for key in self._issuer.keys if key.kid == kid)
            claims: dict[str, Any] = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuer.team_domain,
                # Time comes from our clock, not from the machine's.
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "iat"],
                },
            )
            return claims | {"exp": int(claims["exp"]), "iat": int(claims["iat"])}
        except (jwt.InvalidTokenError, StopIteration, ValueError, TypeError) as refused:
            raise LoginRequired("no token of this team for this application") from refused

    def _session_of(self, claims: dict[str, Any], token: str) -> Session:
        """The session that a token names; a token from before a restart opens its session again."""
        name = _session_name(claims, token)
        session = self._sessions.get(name)
        if session is None:
            self._refuse_expired(claims)
            issued = int(claims["iat"])
            session = self._sessions[name] = Session(issued, issued + self._session_seconds)
        if session.ends_at <= self._seconds():
            raise LoginRequired("the session is over")
        return session

    def _is_old(self, claims: dict[str, Any]) -> bool:
        remaining = int(claims["exp"]) - self._seconds()
        return remaining * RENEW_IN_THE_LAST < self._token_lifetime.total_seconds()

    def _refuse_expired(self, claims: dict[str, Any]) -> None:
        if int(claims["exp"]) <= self._seconds():
            raise LoginRequired("the token has expired")

    def _forget_what_is_over(self) -> None:
        now = self._seconds()
        self._sessions = {name: kept for name, kept in self._sessions.items() if kept.ends_at > now}
        self._ended = {name: until for name, until in self._ended.items() if until > now}

    def _seconds(self) -> int:
        return int(self._clock.now().timestamp())


def _session_name(claims: dict[str, Any], token: str) -> str:
    """A person's session is its nonce; a token without one is a session of its own."""
    return str(claims.get("identity_nonce") or hashlib.sha256(token.encode()).hexdigest())


def _person_of(claims: dict[str, Any]) -> Person:
    email = str(claims.get("email", ""))
    known = (person for person in CAST if person.email == email and person.sub == claims.get("sub"))
    stranger = Person("stranger", email.partition("@")[0], email, str(claims.get("sub", "")), None, "")
    return next(known, stranger)
