"""Turns a listen address into loopback addresses, or refuses it.

It never returns an address that another machine can reach, and never a name that could resolve to something
else a moment later: what was checked is what is bound.
"""

import ipaddress
import socket


class NotLoopback(ValueError):  # noqa: N818 - the name is the refusal
    """The address would let other machines be any operator they like."""


class BadAddress(ValueError):  # noqa: N818 - the name is the refusal
    """The text is no `host:port`."""


def loopback_addresses(listen: str) -> tuple[tuple[str, int], ...]:
    """The numeric addresses and the port of `127.0.0.1:8000`, `localhost:8000` or `[::1]:8000`."""
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:  # noqa: PLR2004 - 16 bits
        raise BadAddress(f"{listen!r} is no host:port")
    numeric = _resolve(host.removeprefix("[").removesuffix("]"))
    for address in numeric:
        if not is_loopback(address):
            raise NotLoopback(f"{listen!r} means {address or 'every interface'}, which is not loopback")
    return tuple((address, int(port)) for address in numeric)


def is_loopback(address: str) -> bool:
    """Whether a numeric address stays on this machine; a name or a path is not one."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_loopback_name(host: str) -> bool:
    """Whether a URL's host is this machine for every browser: RFC 6761 reserves `localhost` and below."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)


def _resolve(host: str) -> tuple[str, ...]:
    """Every numeric address behind a host; one address that is not loopback spoils them all."""
    if not host:
        return ("",)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as unknown:
        raise BadAddress(f"{host!r} does not resolve") from unknown
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
