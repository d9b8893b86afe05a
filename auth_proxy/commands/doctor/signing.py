"""Doctor's look at the keys of the internal identity: their files here, and whether services know them.

A service is asked for a path that it does not have: 404 to a signed request and 401 to an unsigned one
is the only pair of answers that proves it checks identities and knows the key.
"""

import asyncio
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp

from auth_proxy.commands.doctor.patient import Asked, Patient, ask, cause
from auth_proxy.commands.keys import states_of
from auth_proxy.commands.report import Finding, fault, fine, warning
from auth_proxy.composition.decision import signer_of
from auth_proxy.routes import Target
from service_kit.identity.binding import IDENTITY_HEADER
from service_kit.identity.keys import KeyFileError, SigningKey, active_key, load_signing_keys
from service_kit.identity.model import Scope
from service_kit.identity.signing import Subject
from service_kit.web.service_url import ServiceUrl

NO_PATH: Final = "/internal/v1/doctor"
_OLD: Final = timedelta(days=90)
_LET_IT_READ: Final = (
    "let the service read this sidecar's keys (INTERNAL_JWKS_URL or INTERNAL_JWKS_FILE) and have the same "
    "INTERNAL_ISSUER; its log line identity_refused names the reason"
)
_UNAUTHORIZED, _NOT_FOUND, _UNAVAILABLE = 401, 404, 503


async def look_at_key_files(patient: Patient) -> list[Finding]:
    """Whether the keys can be used, who can read them, and how old they are."""
    path = patient.settings.signing_key_file
    try:
        keys = await asyncio.to_thread(load_signing_keys, path)
    except KeyFileError as error:
        return [fault("signing keys", str(error), f"auth-proxy keys new {path}")]
    return [*_modes(path, keys), *_ages(patient, keys)]


async def look_at_services(patient: Patient) -> list[Finding]:
    """Whether each service answers, refuses strangers, and knows the keys that sign here."""
    settings = patient.settings
    services = ((Target.ADMIN, settings.admin_service), (Target.TENANT, settings.tenant_service))
    asked = (_service(patient, target, url) for target, url in services if url is not None)
    return [finding for findings in await asyncio.gather(*asked) for finding in findings]


def _modes(path: Path, keys: tuple[SigningKey, ...]) -> Iterator[Finding]:
    if path.is_dir() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fault("signing keys", f"{path}: others can write into the folder", f"chmod 700 {path}")
    for key in keys:
        mode = key.file.stat().st_mode
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            seen = f"{key.file}: every user of this machine can read it ({stat.filemode(mode)})"
            yield fault("signing keys", seen, f"chmod 600 {key.file}; then rotate: others may have it")
        elif mode & (stat.S_IRGRP | stat.S_IWGRP):
            seen = f"{key.file}: its group can read it ({stat.filemode(mode)})"
            yield warning(
                "signing keys", seen, f"chmod 600 {key.file}, unless the group is the sidecar alone"
            )


def _ages(patient: Patient, keys: tuple[SigningKey, ...]) -> Iterator[Finding]:
    now = patient.clock.now()
    lead = timedelta(seconds=patient.settings.signing_lead_seconds)
    signs = active_key(keys, now, lead)
    told = ", ".join(f"{state.key.kid[:8]}… {state.state}" for state in states_of(keys, now, lead))
    age = now - signs.created_at
    if age > _OLD and signs is keys[-1]:
        path = patient.settings.signing_key_file
        how = "" if path.is_dir() else ", which says how to make a folder of it"
        fix = f"auth-proxy keys rotate {path}{how}"
        yield warning("signing keys", f"{told}; the one that signs is {age.days} days old", fix)
    else:
        yield fine("signing keys", told)


async def _service(patient: Patient, target: Target, url: ServiceUrl) -> list[Finding]:
    name = target.value
    try:
        unsigned = await ask(url, NO_PATH)
        if unsigned.status not in (_UNAUTHORIZED, _UNAVAILABLE):
            return [_not_ours(name, url, unsigned)]
        return await _knows_keys(patient, target, url)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        fix = f"start the service, or set {_variable(target)} to where it listens"
        return [fault(name, f"{url}: {cause(error)}", fix)]


async def _knows_keys(patient: Patient, target: Target, url: ServiceUrl) -> list[Finding]:
    """Asks with the key that signs and with those that will; older ones sign nothing any more."""
    try:
        keys = load_signing_keys(patient.settings.signing_key_file)
    except KeyFileError:
        return [warning(target.value, f"{url}: answers; no key here to ask with", "see the signing keys")]
    lead = timedelta(seconds=patient.settings.signing_lead_seconds)
    signs = active_key(keys, patient.clock.now(), lead)
    found = []
    for key in keys[keys.index(signs) :]:
        answer = await ask(url, NO_PATH, {IDENTITY_HEADER: _identity(patient, key, target)})
        found.append(_known(target, url, answer, key, is_active=key is signs))
    return found


def _identity(patient: Patient, key: SigningKey, target: Target) -> str:
    signer = signer_of(patient.settings, lambda: (key,), patient.clock)
    return signer.sign(Subject(sub="auth_proxy", scope=Scope.ROSTER), audience=target.value)


def _known(target: Target, url: ServiceUrl, answer: Asked, key: SigningKey, *, is_active: bool) -> Finding:
    kid, name = f"{key.kid[:8]}…", target.value
    match answer.status:
        case 404:
            return fine(name, f"{url}: knows the key {kid}")
        case 401:
            seen = f"{url}: refuses what is signed with {kid} (key, issuer or clock)"
            return (
                fault(name, seen, _LET_IT_READ)
                if is_active
                else warning(name, f"{seen}; it does not sign yet", _LET_IT_READ)
            )
        case 503:
            seen = f"{url}: has loaded no identity keys"
            fix = "start the sidecar, and check INTERNAL_JWKS_URL or INTERNAL_JWKS_FILE of the service"
            return fault(name, seen, fix)
        case status:
            return fault(name, f"{url}: answers {status} to a signed request", f"look into the log of {name}")


def _not_ours(name: str, url: ServiceUrl, answer: Asked) -> Finding:
    seen = f"{url}: answers {answer.status} to a request without identity, so this is not the {name}"
    return fault(name, seen, f"set {_variable(Target(name))} to where the {name} listens")


def _variable(target: Target) -> str:
    return "ADMIN_SERVICE_URL" if target is Target.ADMIN else "TENANT_SERVICE_URL"
