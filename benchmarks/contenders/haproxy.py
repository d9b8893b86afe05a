"""HAProxy, once with its check of tokens and once as a plain proxy."""

from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender, find, written
from benchmarks.given import AUDIENCE, LOCAL, Given
from benchmarks.process import Command

_CONFIGURATION: Final = """\
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-keep-alive
    http-reuse always
frontend gate
    bind {local}:{port}
{checks}    default_backend frontend
backend frontend
    server one {local}:{upstream}
"""
# HAProxy keeps no verified tokens: it checks the signature of every request.
_CHECKS: Final = """\
    http-request set-var(txn.token) req.hdr(Cf-Access-Jwt-Assertion)
    http-request set-var(txn.algorithm) var(txn.token),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless {{ var(txn.algorithm) -m str RS256 }}
    http-request set-var(txn.expires) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 if {{ var(txn.expires),sub(txn.now) -m int lt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {team} }}
    http-request set-var(txn.audience) var(txn.token),jwt_payload_query('$.aud[0]')
    http-request deny deny_status 401 unless {{ var(txn.audience) -m str {audience} }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.algorithm,"{key}") -m int 1 }}
"""


def _command(given: Given, folder: Path, port: int, *, verifies: bool) -> Command:
    checks = _CHECKS.format(team=given.team, audience=AUDIENCE, key=given.public_key) if verifies else ""
    text = _CONFIGURATION.format(local=LOCAL, port=port, upstream=given.upstream, checks=checks)
    return Command((find("haproxy"), "-db", "-f", written(folder, "haproxy.cfg", text)), port)


_INSTALL: Final = "apt install haproxy"
_VERSION: Final = ("haproxy", "-v")
HAPROXY: Final = Contender(
    name="haproxy",
    title="HAProxy jwt_verify",
    program="haproxy",
    install=_INSTALL,
    version=_VERSION,
    command=partial(_command, verifies=True),
)
HAPROXY_PLAIN: Final = Contender(
    name="haproxy-plain",
    title="HAProxy, plain",
    program="haproxy",
    install=_INSTALL,
    version=_VERSION,
    command=partial(_command, verifies=False),
    verifies=False,
)
