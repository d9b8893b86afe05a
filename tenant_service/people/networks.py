"""Internet addresses as they are counted: what belongs to one customer of a provider is one address."""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PREFIX_V6: Final = 64
"""One customer of a provider has at least so many addresses."""


def address_of(text: str) -> Address | None:
    """The address that a text is, without a zone; an IPv4 one that is written as IPv6 is IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def network_of(ip: str) -> str:
    """What a limit counts an address as: its IPv6 network, else itself; no address is as it stands."""
    address = address_of(ip)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _PREFIX_V6), strict=False))
    return ip if address is None else str(address)
