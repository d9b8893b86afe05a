"""Doctor's look at a sidecar that runs already, through its operations listener.

That none runs is no fault: `doctor` is asked before the first start too.
"""

import asyncio
import json
from typing import Final

import aiohttp

from auth_proxy.commands.doctor.patient import Asked, Patient, ask, cause
from auth_proxy.commands.report import Finding, fault, fine, listed, printable, warning
from service_kit.identity.keys import KeyFileError, load_signing_keys, parse_public_jwks
from service_kit.settings import Listen
from service_kit.web.service_url import ServiceUrl

_NAME: Final = "running sidecar"
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a listener on every address is asked."""
_OK, _UNAVAILABLE = 200, 503


async def look_at_running_sidecar(patient: Patient) -> list[Finding]:
    """Whether it is ready, and whether it publishes the keys of the configured files."""
    listen = patient.settings.ops_listen
    url = _url(listen)
    try:
        ready, jwks = await asyncio.gather(ask(url, "/readyz"), ask(url, "/.well-known/jwks.json"))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return [warning(_NAME, f"{listen}: {cause(error)}", "auth-proxy run, when the rest is well")]
    return [_readiness(listen, ready), *_keys(patient, listen, jwks)]


def _url(listen: Listen) -> ServiceUrl:
    if listen.path:
        return ServiceUrl("http://localhost", listen.path)
    return ServiceUrl(f"http://{Listen(_ANYWHERE.get(listen.host, listen.host), listen.port)}")


def _readiness(listen: Listen, answer: Asked) -> Finding:
    try:
        document = json.loads(answer.body)
        waiting = [
            f"{check['name']} ({check['detail']})" for check in document["checks"] if not check["ready"]
        ]
    except (ValueError, KeyError, TypeError):
        return fault(
            _NAME, f"{listen}: something else answers there", "set AUTH_PROXY_OPS_LISTEN to a free port"
        )
    if document.get("ready") is True:
        return fine(_NAME, f"{listen}: ready")
    seen = f"{listen}: not ready: {printable(listed(waiting))}"
    return fault(_NAME, seen, "see the findings about the parts that it names")


def _keys(patient: Patient, listen: Listen, answer: Asked) -> list[Finding]:
    try:
        published = set(parse_public_jwks(answer.body)) if answer.status == _OK else set()
        ours = {key.kid for key in load_signing_keys(patient.settings.signing_key_file)}
    except KeyFileError:
        return []  # another finding says so
    missing = sorted(kid[:8] for kid in ours - published)
    if not missing:
        return [fine("published keys", f"{listen}: every key of INTERNAL_SIGNING_KEY_FILE")]
    seen = f"{listen}: does not publish {', '.join(f'{kid}…' for kid in missing)}"
    fix = "restart it with this INTERNAL_SIGNING_KEY_FILE; if it has it, its log line reload_refused says why"
    return [fault("published keys", seen, fix)]
