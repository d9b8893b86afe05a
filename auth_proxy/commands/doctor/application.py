"""Doctor's look at the Access application: its AUD tags, the token types, and one real token.

Whether a tag is the right one only a token can tell, so it asks for one where there is none.
"""

import re
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from auth_proxy.access.compact_jws import ALGORITHM
from auth_proxy.access.errors import KeyRefreshError
from auth_proxy.access.jwk_set import parse_jwk_set
from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.doctor.team import key_source
from auth_proxy.commands.report import Finding, fault, fine, warning
from auth_proxy.commands.token_claims import UnverifiedToken, judge_token

_TAG: Final = re.compile(r"[0-9a-f]{64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COPY_TAG: Final = (
    "copy the AUD tag (64 hexadecimal digits) from Zero Trust → Access → Applications → the application → "
    "Overview into CF_ACCESS_AUD"
)


async def look_at_audiences(patient: Patient) -> list[Finding]:
    """Whether each configured audience can be the tag of an application."""
    tags = sorted(set().union(*patient.settings.audiences_by_host.values()))
    return [_tag(tag) for tag in tags]


async def look_at_token_types(patient: Patient) -> list[Finding]:
    """Whether the tokens of applications are accepted at all."""
    types = ",".join(patient.settings.token_types)
    if "app" in patient.settings.token_types:
        return [fine("token types", types)]
    seen = f"{types}: every token of an Access application is refused, because its type is app"
    return [fault("token types", seen, "set CF_ACCESS_TOKEN_TYPES=app,org")]


async def look_at_token(patient: Patient) -> list[Finding]:
    """Whether a real token fits, claim by claim, and which setting to change."""
    if patient.token is None:
        return []
    judged = judge_token(patient.token, patient.settings, patient.clock.now())
    if isinstance(judged, Finding):
        return [judged]
    return [*judged.findings, *await _signature(patient, patient.token, judged)]


def _tag(tag: str) -> Finding:
    if _TAG.fullmatch(tag):
        return fine("audience", f"{tag[:8]}… has the form of an AUD tag")
    if _UUID.fullmatch(tag):
        return fault("audience", f"{tag[:8]}… is an application's id, not its AUD tag", _COPY_TAG)
    if _TAG.fullmatch(tag.lower()):
        seen = f"{tag[:8]}… holds capital letters, and is compared letter by letter"
        return fault("audience", seen, f"set CF_ACCESS_AUD={tag.lower()}")
    return fault("audience", f"a text of {len(tag)} characters is no AUD tag", _COPY_TAG)


async def _signature(patient: Patient, token: str, judged: UnverifiedToken) -> list[Finding]:
    try:
        keys = parse_jwk_set(await key_source(patient).read())
    except KeyRefreshError:
        fix = "see the finding about the team"
        return [warning("token.signature", "not checked: the team's keys could not be read", fix)]
    return list(_proven(token, judged, keys))


def _proven(token: str, judged: UnverifiedToken, keys: dict[str, RSAPublicKey]) -> Iterator[Finding]:
    key = keys.get(judged.unverified.unverified_key_id)
    fix = "take a new token; if it stays, CF_ACCESS_TEAM_DOMAIN is not the team that signed it"
    if key is None:
        yield fault("token.signature", "made with a key that the team does not publish", fix)
        return
    try:
        PyJWS(algorithms=[ALGORITHM]).decode_complete(token, key, algorithms=[ALGORITHM])
    except PyJWTError:
        yield fault("token.signature", "does not match the team's key", fix)
    else:
        yield fine("token.signature", "made with a key of the team")
