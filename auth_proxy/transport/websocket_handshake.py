"""The opening handshake of a websocket (RFC 6455 section 4), once towards each side.

The client's key, version and extensions end here. The upstream gets a key of our own and has to
prove that it read it: what answers otherwise is no websocket, and nothing is tunnelled to it.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.forwarding import Headers
from auth_proxy.header_names import letters
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.headers import client_headers, upstream_headers

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_PROTOCOL: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,2048}")
_MOST_PROTOCOLS: Final = 20
_VERSION: Final = "13"
_PREFIX: Final = "secwebsocket"
_SWITCHING: Final = 101


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client asked for."""

    key: str
    protocols: tuple[str, ...]


def read_offer(signed: SignedGrant) -> Offer:
    """The client's handshake. Raises Refusal(WEBSOCKET_MALFORMED, WEBSOCKET_VERSION)."""
    screened = signed.grant.person.screened
    headers = screened.inbound.headers
    # An alias beside the real header would be a second handshake for a server that folds names.
    if any(letters(n).startswith(_PREFIX) and not n.lower().startswith("sec-websocket-") for n, _ in headers):
        raise Refusal(Reason.WEBSOCKET_MALFORMED, "alias")
    if len(_all(headers, "upgrade")) > 1:
        raise Refusal(Reason.WEBSOCKET_MALFORMED, "more than one Upgrade header")
    if _all(headers, "sec-websocket-version") != [_VERSION]:
        raise Refusal(Reason.WEBSOCKET_VERSION, headers={"Sec-WebSocket-Version": _VERSION})
    keys = _all(headers, "sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise Refusal(Reason.WEBSOCKET_MALFORMED, "key")
    return Offer(keys[0], _protocols(headers, screened.token))


def _protocols(headers: Headers, token: str | None) -> tuple[str, ...]:
    lists = _all(headers, "sec-websocket-protocol")
    protocols = tuple(part.strip(" \t") for value in lists for part in value.split(","))
    if not all(map(_PROTOCOL.fullmatch, protocols)) or len(set(protocols)) < len(protocols):
        raise Refusal(Reason.WEBSOCKET_MALFORMED, "subprotocols")
    # Browsers can set no header on a websocket, so some hide a token there: ours must not go on.
    if token in protocols or len(protocols) > _MOST_PROTOCOLS:
        raise Refusal(Reason.WEBSOCKET_MALFORMED, "subprotocols")
    return protocols


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(16)).decode()


def handshake_headers(signed: SignedGrant, request_id: str, offer: Offer, key: str) -> CIMultiDict[str]:
    """What the upstream is asked with: the screened headers, a handshake of our own, our identity."""
    headers = upstream_headers(signed, request_id)
    for name in [name for name in headers if letters(name).startswith(_PREFIX)]:
        headers.popall(name, None)
    headers.extend({"Connection": "Upgrade", "Upgrade": "websocket"})
    headers.extend({"Sec-WebSocket-Version": _VERSION, "Sec-WebSocket-Key": key})
    if offer.protocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(offer.protocols)
    return headers


def check_answer(status: int, headers: "CIMultiDictProxy[str]", offer: Offer, key: str) -> None:
    """Raises Refusal(UPSTREAM_UNAVAILABLE) for everything but a proven websocket of the offer's kind."""
    if status != _SWITCHING:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, f"status {status} to an upgrade")
    connection = [
        part.strip().lower() for value in headers.getall("Connection", []) for part in value.split(",")
    ]
    upgrades = [value.lower() for value in headers.getall("Upgrade", [])]
    chosen = headers.getall("Sec-WebSocket-Protocol", [])
    if upgrades != ["websocket"] or "upgrade" not in connection:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "another protocol than websocket")
    if headers.getall("Sec-WebSocket-Accept", []) != [_accept(key)]:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "the key was not proven")
    if "Sec-WebSocket-Extensions" in headers or len(chosen) > 1 or not set(chosen) <= set(offer.protocols):
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "an extension or subprotocol that was not offered")


def accepting_headers(
    upstream: "CIMultiDictProxy[str]", bases: tuple[str, ...], offer: Offer, request_id: str
) -> CIMultiDict[str]:
    """The answer to the client: the upstream's headers, and the handshake for the client's own key."""
    headers = client_headers(upstream, bases)
    for name in ("Sec-WebSocket-Accept", "Content-Length"):
        headers.popall(name, None)
    headers.extend({"Connection": "Upgrade", "Upgrade": "websocket"})
    headers.extend({"Sec-WebSocket-Accept": _accept(offer.key), "X-Request-Id": request_id})
    return headers


def _accept(key: str) -> str:
    digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _all(headers: Headers, wanted: str) -> list[str]:
    return [value for name, value in headers if name.lower() == wanted]
