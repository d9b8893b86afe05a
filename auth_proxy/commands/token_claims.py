"""What a token says of itself, claim by claim, against what this sidecar is configured to accept.

It proves nothing: the signature is somebody else's question, so nobody gets in by what is said here.
It shows claims, and never the token or its signature.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from auth_proxy.access.claims import AccessClaims, parse_claims
from auth_proxy.access.compact_jws import UnverifiedJws, parse_compact
from auth_proxy.access.verifier import VerifierPolicy
from auth_proxy.commands.report import Finding, fault, fine, printable
from auth_proxy.refusals import Refusal
from auth_proxy.settings import ProxySettings
from service_kit.email_address import normalise_email

_SIGN_IN_AGAIN: Final = "sign out of Access, sign in again, and take the new token"
_COPY_AGAIN: Final = (
    "copy the whole value of the request header Cf-Access-Jwt-Assertion, or of the cookie CF_Authorization"
)
_PEOPLE_ONLY: Final = "take the token of a person: this host does not serve machines"
_CLOCK: Final = "set the clock of this machine right (NTP)"


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that can be read; `findings` judge its claims."""

    unverified: UnverifiedJws
    unverified_claims: AccessClaims
    findings: tuple[Finding, ...]


def judge_token(token: str, settings: ProxySettings, now: datetime) -> UnverifiedToken | Finding:
    """The judged claims, or the one finding that says why the token cannot be read."""
    try:
        jws = parse_compact(token)
        claims = parse_claims(jws.unverified_payload, key_id=jws.unverified_key_id)
    except Refusal as refusal:
        return fault("token.form", f"{refusal.answer.why} ({refusal.detail})", _COPY_AGAIN)
    return UnverifiedToken(jws, claims, tuple(_judged(claims, settings, int(now.timestamp()))))


def _judged(claims: AccessClaims, settings: ProxySettings, now: int) -> Iterator[Finding]:
    yield _issuer(claims, settings)
    yield _audience(claims, settings)
    yield from _kind(claims, settings)
    yield _email(claims)
    yield _subject(claims)
    yield from _times(claims, settings, now)


def _issuer(claims: AccessClaims, settings: ProxySettings) -> Finding:
    issuer = printable(claims.issuer)
    if claims.issuer == settings.issuer_url:
        return fine("token.iss", issuer)
    seen = f"{issuer}, and CF_ACCESS_TEAM_DOMAIN is {settings.issuer_url}"
    return fault("token.iss", seen, f"if this is your team, set CF_ACCESS_TEAM_DOMAIN={issuer}")


def _audience(claims: AccessClaims, settings: ProxySettings) -> Finding:
    tags = printable(", ".join(claims.audiences))
    hosts = [host for host, own in settings.audiences_by_host.items() if own & set(claims.audiences)]
    if hosts:
        return fine("token.aud", f"{tags}, for {', '.join(hosts)}")
    return fault(
        "token.aud",
        f"{tags} is the application of no host here",
        f"if this is your application, set CF_ACCESS_AUD={tags}, or audiences of the host in the TOML",
    )


def _kind(claims: AccessClaims, settings: ProxySettings) -> Iterator[Finding]:
    kind = printable(claims.token_type or "")
    if claims.token_type in settings.token_types:
        yield fine("token.type", kind)
    elif kind == "app":
        seen = f"app, and CF_ACCESS_TOKEN_TYPES is {','.join(settings.token_types)}"
        yield fault("token.type", seen, "set CF_ACCESS_TOKEN_TYPES=app,org: applications get type app")
    else:
        fix = "take the token of the application's own host, not that of the team domain"
        yield fault("token.type", f"{kind or 'missing'}: not the token of an application", fix)
    if claims.common_name is not None:
        yield fault("token.common_name", "is there: this is a service token", _PEOPLE_ONLY)


def _email(claims: AccessClaims) -> Finding:
    if not claims.email:
        return fault("token.email", "missing", _PEOPLE_ONLY)
    try:
        return fine("token.email", normalise_email(claims.email))
    except ValueError as error:
        fix = "let the identity provider send one plain address"
        return fault("token.email", f"{printable(claims.email)}: {error}", fix)


def _subject(claims: AccessClaims) -> Finding:
    if claims.subject:
        return fine("token.sub", claims.subject)
    return fault("token.sub", "empty, as in a service token", _PEOPLE_ONLY)


def _times(claims: AccessClaims, settings: ProxySettings, now: int) -> Iterator[Finding]:
    leeway = settings.leeway_seconds
    left = claims.expires_at - now
    moment = f"{datetime.fromtimestamp(claims.expires_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if left + leeway <= 0:
        yield fault("token.exp", f"{moment}, {_span(-left)} ago", _SIGN_IN_AGAIN)
    else:
        yield fine("token.exp", f"{moment}, {f'in {_span(left)}' if left >= 0 else 'within the leeway'}")
    ahead = max(claims.issued_at, claims.not_before or 0) - now
    if ahead > leeway:
        yield fault("token.iat", f"{_span(ahead)} in the future", _CLOCK)
    lifetime = claims.expires_at - claims.issued_at
    if not 0 < lifetime <= VerifierPolicy(settings.issuer_url).max_lifetime_seconds + leeway:
        yield fault("token.lifetime", f"{lifetime} s, and Access gives a month at most", _SIGN_IN_AGAIN)


def _span(seconds: int) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
