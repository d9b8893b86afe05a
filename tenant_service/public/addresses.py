"""Who is at the other end of a connection, and how often one address may ask.

A client's own word about its address counts for nothing: only proxies that a setting names are believed.
The count is this process's own and keeps a bounded number of addresses; what must hold over all replicas
is counted in the database (`people.attempts`).
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service_kit.clock import Clock
from tenant_service.people.errors import too_many
from tenant_service.people.networks import address_of, network_of

_MOST_ADDRESSES: Final = 10_000
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks whose `X-Forwarded-For` is believed."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TrustedProxies":
        """Raises ValueError for what is no network."""
        return cls(tuple(ipaddress.ip_network(text, strict=False) for text in texts))

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client's address: the last one in the chain that is no trusted proxy; empty when unknown."""
        chain = [part.strip() for line in forwarded for part in line.split(",")]
        for text in [peer, *reversed(chain)]:
            address = address_of(text)
            if address is None:
                return ""
            if not any(address in network for network in self.networks):
                return str(address)
        return str(address_of(chain[0] if chain else peer) or "")


class AddressLimit:
    """So many requests a minute from one address; `""` is one address as well."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, ip: str) -> None:
        """Raises RateLimitedError."""
        now = self._clock.monotonic()
        minute, key = int(now // 60), network_of(ip)
        began, count = self._counts.pop(key, (minute, 0))
        count = count + 1 if began == minute else 1
        self._counts[key] = (minute, count)
        if len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        if count > self._most:
            raise too_many(60 - now % 60)
