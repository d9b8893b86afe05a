"""What a key server can answer that must replace no key: the table for drills of the sidecar.

Each row names its case of jwks_server_attacks.json and how the sidecar must call the outcome.
"""

import asyncio
import gzip
import zlib

from auth_proxy.access.errors import RefreshOutcome
from tests.fakes import jwks_server
from tests.fakes.jwks_server import Answer


def _sized(megabytes: int) -> Answer:
    """A body of blanks, as long as it says."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {megabytes << 20}\r\n\r\n".encode())
        for _ in range(megabytes << 4):
            writer.write(jwks_server.GIANT_CHUNK)
            await writer.drain()

    return answer


def _gzip_bomb() -> bytes:
    """A gigabyte of zeros in a megabyte: one deflated block, a thousand times."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * 1000


def _giant_headers() -> Answer:
    return jwks_server.body(b'{"keys":[]}', headers={"Set-Cookie": f"a={'x' * 100_000}"})


ATTACKER = "https://evil.example/keys"
SINGLE_JWK = {"kid": "a", "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": "AQAB"}


def _many_keys(count: int) -> Answer:
    return jwks_server.document({"keys": [{**SINGLE_JWK, "kid": f"k{number}"} for number in range(count)]})


MISBEHAVIOUR: dict[str, tuple[str, Answer, RefreshOutcome]] = {
    "one byte a second": (
        "1 byte per second",
        jwks_server.drip(b"HTTP/1.1 200 OK\r\n\r\n{", pause=0.1),
        RefreshOutcome.TIMEOUT,
    ),
    "a login page": (
        "200 text/html login page",
        jwks_server.body(b"<html>Sign in</html>", headers={"Content-Type": "text/html"}),
        RefreshOutcome.MALFORMED,
    ),
    "empty": ("200 empty", jwks_server.body(b""), RefreshOutcome.MALFORMED),
    "an empty object": ("200 {}", jwks_server.document({}), RefreshOutcome.MALFORMED),
    "no keys": ('200 {"keys":[]}', jwks_server.document({"keys": []}), RefreshOutcome.NO_USABLE_KEY),
    "truncated": ("200 truncated JSON", jwks_server.body(b'{"keys":[{"kty":"R'), RefreshOutcome.MALFORMED),
    "invalid UTF-8": (
        "200 invalid UTF-8 / BOM / UTF-16",
        jwks_server.body(b'{"keys":["\xff"]}'),
        RefreshOutcome.MALFORMED,
    ),
    "BOM": (
        "200 invalid UTF-8 / BOM / UTF-16",
        jwks_server.body(b'\xef\xbb\xbf{"keys":[]}'),
        RefreshOutcome.MALFORMED,
    ),
    "UTF-16": (
        "200 invalid UTF-8 / BOM / UTF-16",
        jwks_server.body('{"keys":[]}'.encode("utf-16")),
        RefreshOutcome.MALFORMED,
    ),
    "nested lists": (
        "200 nested 100k",
        jwks_server.body(b"[" * 100_000 + b"]" * 100_000),
        RefreshOutcome.MALFORMED,
    ),
    "nested in keys": (
        "200 nested 100k",
        jwks_server.body(b'{"keys":' * 100_000 + b"1" + b"}" * 100_000),
        RefreshOutcome.MALFORMED,
    ),
    "a long number": (
        "200 5000-digit int",
        jwks_server.body(b'{"keys":[],"x":' + b"9" * 5000 + b"}"),
        RefreshOutcome.MALFORMED,
    ),
    "10 MB": ("200 100 MB body", _sized(10), RefreshOutcome.TOO_LARGE),
    "100 MB": ("200 100 MB body", _sized(100), RefreshOutcome.TOO_LARGE),
    "endless": ("200 100 MB body", jwks_server.endless, RefreshOutcome.TOO_LARGE),
    "a gzip bomb": (
        "gzip bomb 1 GB",
        jwks_server.body(_gzip_bomb(), headers={"Content-Encoding": "gzip"}),
        RefreshOutcome.TOO_LARGE,
    ),
    **{
        f"redirect {line}": (
            "301/302/307 to attacker JWKS",
            jwks_server.redirect(line, ATTACKER),
            RefreshOutcome.REDIRECT,
        )
        for line in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent")
    },
    **{
        f"status {line}": ("404/429/500/503", jwks_server.status(line), RefreshOutcome.STATUS)
        for line in ("404 Not Found", "429 Too Many Requests", "500 Oh", "503 Away", "206 Partial Content")
    },
    "1,000 keys": ("1,000 keys", _many_keys(1000), RefreshOutcome.TOO_MANY_KEYS),
    "reset in the middle": (
        "JWKS 200 then reset mid-body",
        jwks_server.reset_in_the_middle(b'{"keys":[]}' * 100),
        RefreshOutcome.UNREACHABLE,
    ),
    "giant headers": (
        "Set-Cookie / giant headers on JWKS response",
        _giant_headers(),
        RefreshOutcome.UNREACHABLE,
    ),
    "hangs up": ("connect refused after a good fetch", jwks_server.hang_up, RefreshOutcome.UNREACHABLE),
    "hangs": ("hangs forever (SYN ok, no bytes)", jwks_server.hang, RefreshOutcome.TIMEOUT),
}
