"""nginx with the configuration that is shipped for forward-auth, which asks a sidecar of its own.

Both share the one core: what is measured is what a person gets who keeps nginx in front. Changed in
the shipped file are the ports, how many connections it keeps, and for one contender a cache.
"""

import re
import shlex
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contenders import sidecar
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.nginx import NGINX, command_for
from benchmarks.given import Given
from benchmarks.process import ROOT, Command, free_port

SHIPPED: Final = ROOT / "deploy" / "forward_auth" / "nginx" / "sallyport.conf"
_LISTEN, _OPS, _UPSTREAM = "8000", "9090", "3000"
_PORT: Final = re.compile(rf"\b({_LISTEN}|{_OPS}|{_UPSTREAM})\b")
# As for nginx alone: connections that are not kept would be opened anew for each request.
_KEPT: Final = "keepalive 256; keepalive_requests 1000000000; keepalive_timeout 3600s;"
_CACHE: Final = "proxy_cache_path {folder}/answers keys_zone=answers:10m;\n"
# One answer for all who ask the same with the same token. An identity for an unsafe method is bound to
# its request and serves once: outside of a measurement a cache must leave those out.
_CACHED: Final = """\
        proxy_cache answers;
        proxy_cache_key "$http_cf_access_jwt_assertion $request_method $host $request_uri $http_cookie";
        proxy_cache_valid 200 204 5s;
        proxy_ignore_headers Cache-Control Expires Vary;
"""
_ASKING: Final = "        proxy_pass http://sallyport/authz/nginx;\n"
_BOTH: Final = """\
{nginx} & first=$!
{sidecar} & second=$!
trap 'kill $first $second; wait; exit 0' TERM
wait
"""


def configuration(given: Given, folder: Path, port: int, ops: int, *, caches: bool) -> str:
    """The shipped file for these ports."""
    ports = {_LISTEN: str(port), _OPS: str(ops), _UPSTREAM: str(given.upstream)}
    text = _PORT.sub(lambda found: ports[found[0]], SHIPPED.read_text(encoding="utf-8"))
    text = text.replace("keepalive 32;", _KEPT)
    if not caches:
        return text
    return _CACHE.format(folder=folder) + text.replace(_ASKING, _ASKING + _CACHED)


def _command(given: Given, folder: Path, port: int, *, caches: bool) -> Command:
    asked = sidecar.command(given, folder, free_port(), AUTH_PROXY_FORWARD_AUTH="nginx")
    text = configuration(given, folder, port, sidecar.ops_port(folder), caches=caches)
    nginx = command_for(folder, port, text)
    script = _BOTH.format(nginx=shlex.join(nginx.words), sidecar=shlex.join(asked.words))
    return Command(("/bin/sh", "-c", script), port, asked.environment)


def _contender(name: str, title: str, *, caches: bool) -> Contender:
    return Contender(
        name=name,
        title=title,
        program=NGINX.program,
        install=NGINX.install,
        version=NGINX.version,
        command=partial(_command, caches=caches),
    )


NGINX_AUTH: Final = _contender("nginx-auth", "nginx auth_request", caches=False)
NGINX_AUTH_CACHED: Final = _contender("nginx-auth-cached", "nginx auth_request, 5 s cache", caches=True)
