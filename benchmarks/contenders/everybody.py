"""The list of all contenders, in the order of the table."""

from collections.abc import Sequence
from typing import Final

from benchmarks.contenders.caddy import CADDY
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.envoy import ENVOY, ENVOY_WITHOUT_CACHE
from benchmarks.contenders.haproxy import HAPROXY, HAPROXY_PLAIN
from benchmarks.contenders.naive import NAIVE
from benchmarks.contenders.nginx import NGINX
from benchmarks.contenders.nginx_auth import NGINX_AUTH, NGINX_AUTH_CACHED
from benchmarks.contenders.sidecar import SIDECAR
from benchmarks.contenders.traefik import TRAEFIK

EVERYBODY: Final = (
    SIDECAR,
    ENVOY,
    ENVOY_WITHOUT_CACHE,
    HAPROXY,
    NAIVE,
    NGINX_AUTH,
    NGINX_AUTH_CACHED,
    NGINX,
    HAPROXY_PLAIN,
    TRAEFIK,
    CADDY,
)
PEERS: Final = tuple(contender.name for contender in EVERYBODY if contender is not SIDECAR)


def chosen(names: Sequence[str]) -> list[Contender]:
    """The sidecar, and the peers of these names, in the order of the table."""
    return [contender for contender in EVERYBODY if contender is SIDECAR or contender.name in names]
