"""Takes a compact JWS apart by its strict grammar, before any library sees it.

It proves nothing: everything it returns is unverified. It refuses every header that asks the reader
to do something (`crit`, `b64`, `zip`, …) or that brings its own key (`jwk`, `jku`, `x5u`, `x5c`).
"""

import re
from dataclasses import dataclass
from typing import Final

from auth_proxy.refusals import Reason, Refusal
from service_kit.base64url import decode_canonical
from service_kit.strict_json import StrictJsonError, parse_object

ALGORITHM: Final = "RS256"
KEY_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")

_PARTS: Final = 3
_MAX_HEADER_BYTES: Final = 4096
# RFC 7515 lets a header carry its own key or change how the payload is read; RFC 8725 says why not.
_REFUSED_MEMBERS: Final = frozenset({"crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "cty"})


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """What the token says of itself; only its shape is known to be good."""

    unverified_key_id: str
    unverified_payload: bytes
    unverified_signature: bytes
    signing_input: bytes
    """What the signature has to be of: the very characters that the key id and payload were read from."""


def parse_compact(token: str) -> UnverifiedJws:
    """The key id, payload and signature that the token claims (R-013).

    Raises Refusal: TOKEN_MALFORMED, TOKEN_ALGORITHM or TOKEN_HEADER.
    """
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise Refusal(Reason.TOKEN_MALFORMED, "not three parts")
    try:
        header, payload, signature = map(decode_canonical, parts)
        members = parse_object(header, max_bytes=_MAX_HEADER_BYTES)
    except StrictJsonError as error:
        raise Refusal(Reason.TOKEN_MALFORMED, f"header: {error}") from None
    except ValueError as error:
        raise Refusal(Reason.TOKEN_MALFORMED, str(error)) from None
    signing_input = token[: token.rindex(".")].encode("ascii")
    return UnverifiedJws(_judge_header(members), payload, signature, signing_input)


def _judge_header(members: dict[str, object]) -> str:
    # "none", "None", HS256 with the public key as secret, PS256: one comparison refuses them all.
    if members.get("alg") != ALGORITHM:
        raise Refusal(Reason.TOKEN_ALGORITHM, "alg is not RS256")
    if not _REFUSED_MEMBERS.isdisjoint(members):
        named = next(name for name in members if name in _REFUSED_MEMBERS)
        raise Refusal(Reason.TOKEN_HEADER, f"header member {named}")
    kind = members.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise Refusal(Reason.TOKEN_HEADER, "typ is not JWT")
    kid = members.get("kid")
    if not isinstance(kid, str) or KEY_ID.fullmatch(kid) is None:
        raise Refusal(Reason.TOKEN_HEADER, "kid is missing or not printable")
    return kid
