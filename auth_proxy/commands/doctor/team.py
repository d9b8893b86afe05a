"""Doctor's look at Cloudflare: the team domain, its keys, and the edge's clock.

The key set is read with the sidecar's own code, so that what passes here passes there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.jwk_set import MAX_DOCUMENT_BYTES, MAX_RSA_BITS, MIN_RSA_BITS, parse_jwk_set
from auth_proxy.access.key_source import FetchLimits, HttpKeySource, open_jwks_session
from auth_proxy.commands.doctor.patient import ASK_SECONDS, Patient, cause
from auth_proxy.commands.report import Finding, fault, fine, printable, warning
from service_kit.clock import Clock
from service_kit.strict_json import parse_object

_SKEW_WARNS_SECONDS: Final = 5
_TEAM: Final = "CF_ACCESS_TEAM_DOMAIN"
_RIGHT_TEAM: Final = (
    f"set {_TEAM} to the team domain that Zero Trust → Settings shows: https://<team>.cloudflareaccess.com"
)
_WAY_OUT: Final = "let this machine reach the team domain over https (DNS, firewall, no proxy that opens TLS)"
_NO_KEYS: Final = "wait and repeat; if it stays, rotate the keys in Zero Trust → Access → Keys"


@dataclass(slots=True)
class _Seen:
    """What the fetch saw beside the document."""

    status: int = 0
    content_type: str = ""
    location: str = ""
    date: str = ""
    at: datetime | None = None
    clock: Clock | None = field(default=None, repr=False)

    async def note(self, _session: object, _context: object, end: aiohttp.TraceRequestEndParams) -> None:
        headers = end.response.headers
        self.status = end.response.status
        self.content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.location = headers.get("Location", "")
        self.date = headers.get("Date", "")
        self.at = self.clock.now() if self.clock else None


async def look_at_team(patient: Patient) -> list[Finding]:
    """Findings about the team domain, its keys and its clock."""
    seen = _Seen(clock=patient.clock)
    url = patient.settings.certs_url
    try:
        document = await key_source(patient, seen).read()
    except KeyRefreshError as error:
        return [_unread(error, seen, url), *_clock(seen, patient.settings.leeway_seconds)]
    return [*_answered(document, seen, url), *_clock(seen, patient.settings.leeway_seconds)]


def key_source(patient: Patient, seen: _Seen | None = None) -> HttpKeySource:
    """The sidecar's own way to the keys; `seen` notes what it meets."""
    trace = aiohttp.TraceConfig()
    trace.on_request_end.append((seen or _Seen()).note)

    def session() -> aiohttp.ClientSession:
        opened = open_jwks_session()
        opened.trace_configs.append(trace)
        return opened

    trace.freeze()
    return HttpKeySource(
        patient.settings.certs_url,
        clock=patient.clock,
        session_factory=session,
        limits=FetchLimits(total_seconds=ASK_SECONDS),
        insecure_allow_loopback_http=patient.settings.is_development,
    )


def _unread(error: KeyRefreshError, seen: _Seen, url: str) -> Finding:
    match error.outcome:
        case RefreshOutcome.UNREACHABLE:
            why = cause(error.__cause__ or error)
            fix = _RIGHT_TEAM if "resolve" in why else _WAY_OUT
            return fault("team", f"{url}: {why}", fix)
        case RefreshOutcome.TIMEOUT:
            return fault("team", f"{url}: no answer within {ASK_SECONDS:.0f} s", _WAY_OUT)
        case RefreshOutcome.REDIRECT:
            to = printable(urlsplit(seen.location).netloc) or "another address"
            return fault("team", f"{url}: redirects ({seen.status}) to {to}", _RIGHT_TEAM)
        case RefreshOutcome.STATUS:
            return fault("team", f"{url}: status {seen.status}, so there is no such team", _RIGHT_TEAM)
        case _:
            seen_text = f"{url}: an answer that cannot be read ({error.outcome.value})"
            return fault("team", seen_text, _WAY_OUT)


def _answered(document: bytes, seen: _Seen, url: str) -> Iterator[Finding]:
    try:
        keys = parse_jwk_set(document)
    except KeyRefreshError as error:
        yield _no_set(error, seen, url)
        return
    if url.startswith("http:"):
        fix = "leave APP_ENV=development, and set the https address of the team"
        yield warning("team", f"{url} answers over plain http: for development alone", fix)
    else:
        yield fine("team", f"{url} answers")
    yield _keys(keys, document)


def _no_set(error: KeyRefreshError, seen: _Seen, url: str) -> Finding:
    if seen.content_type == "text/html":
        return fault("team", f"{url}: a web page (HTML), not a key set", _RIGHT_TEAM)
    if error.outcome is RefreshOutcome.MALFORMED:
        return fault("team", f"{url}: not a key set", _RIGHT_TEAM)
    return fault("team.keys", f"{url}: a key set that is not to be used ({error.outcome.value})", _NO_KEYS)


def _keys(keys: dict[str, Any], document: bytes) -> Finding:
    members = parse_object(document, max_bytes=MAX_DOCUMENT_BYTES)
    entries = members["keys"]
    unusable = len(entries) - len(keys) if isinstance(entries, list) else 0
    dates = _dates(members)
    told = ", ".join(f"{kid[:8]}… {key.key_size} bit{dates.get(kid, '')}" for kid, key in keys.items())
    if not unusable:
        return fine("team.keys", told)
    seen = f"{told}; {unusable} more that cannot be used"
    fix = f"none needed while tokens pass: keys must be RSA, {MIN_RSA_BITS} to {MAX_RSA_BITS} bit, RS256"
    return warning("team.keys", seen, fix)


def _dates(members: dict[str, object]) -> dict[str, str]:
    """Since when each key is published, from its certificate: to be read by a person, never to verify."""
    found = {}
    entries = members.get("public_certs")
    for entry in entries if isinstance(entries, list) else []:
        try:
            since = x509.load_pem_x509_certificate(entry["cert"].encode()).not_valid_before_utc
            found[entry["kid"]] = f" since {since:%Y-%m-%d}"
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _clock(seen: _Seen, leeway: int) -> Iterator[Finding]:
    if seen.at is None:
        return  # nobody answered: that is a finding already
    try:
        there = datetime.strptime(seen.date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        yield warning(
            "clock", "the edge's answer carries no date", "compare the time of this machine by hand"
        )
        return
    # The header tells whole seconds: half of one is the best guess.
    skew = (seen.at - there).total_seconds() - 0.5
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the edge"
    fix = f"set the clock of this machine (NTP); CF_ACCESS_LEEWAY_SECONDS={leeway} is all that is forgiven"
    if abs(skew) > max(leeway, 1):
        yield fault("clock", text, fix)
    elif abs(skew) > _SKEW_WARNS_SECONDS:
        yield warning("clock", text, fix)
    else:
        yield fine("clock", "within a few seconds of the edge's")
