"""How each proxy tells what it was asked, and what it can do with an answer.

It reads nothing: it only names. The headers are those that the configurations in `deploy/forward_auth`
set on every question, so that whatever a client sends under the same name is gone.
"""

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "/authz/"
UPGRADE: Final = "x-original-upgrade"
"""What protocol the client asks for, in every dialect: proxies do not pass `Upgrade` itself on."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One proxy's way to ask. Names of headers are in lower case; an empty one is not read."""

    name: str
    method: str = ""
    """Unset: the question has the method of the request."""
    target: str = ""
    """Unset: the path of the question is our prefix and the path of the request."""
    host: str = "host"
    relays_refusals: bool = True
    """Whether the client gets our refusal as it is; nginx knows only yes, 401 and 403."""
    takes_away: bool = False
    """Whether it takes headers off the request that we name in the answer."""

    @property
    def path(self) -> str:
        return PREFIX + self.name

    def is_asked_at(self, path: str) -> bool:
        """Whether a question with this path, without its query, is meant for this proxy."""
        if self.target:
            return path == self.path
        return path == self.path or path.startswith(f"{self.path}/")

    @property
    def own_headers(self) -> frozenset[str]:
        """The headers that tell us what was asked."""
        return frozenset({self.method, self.target, self.host, UPGRADE} - {""})


NGINX: Final = Dialect(
    "nginx",
    method="x-original-method",
    target="x-original-uri",
    host="x-original-host",
    relays_refusals=False,
)
TRAEFIK: Final = Dialect(
    "traefik",
    method="x-forwarded-method",
    target="x-forwarded-uri",
    host="x-forwarded-host",
)
CADDY: Final = Dialect(
    "caddy",
    method="x-forwarded-method",
    target="x-forwarded-uri",
    host="x-forwarded-host",
)
ENVOY: Final = Dialect("envoy", takes_away=True)

DIALECTS: Final = {dialect.name: dialect for dialect in (NGINX, TRAEFIK, CADDY, ENVOY)}
