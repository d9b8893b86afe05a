"""Which bytes admit takes: every single one of them, in every place where a byte can stand.

mutmut changes no constant, so the alphabets of admit are written down here a second time.
"""

import string

import pytest

from auth_proxy.pipeline.admit import admit
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.hostile import HOST
from tests.unit.auth_proxy.pipeline.values import POLICY, Header, raw

PLAIN = string.ascii_letters + string.digits
IN_PATH = {*PLAIN, *"-._~!$&'()*+,=:@[]/"}
"""RFC 3986 pchar and the slash; without the semicolon, with the brackets that some frameworks send."""
IN_QUERY = {*IN_PATH, *';?|^`{}"<>', "\\"}
"""What browsers leave as it is behind the question mark; no upstream takes a path from there."""
IN_NAME = {*PLAIN, *"!#$%&'*+-.^_`|~"}
"""RFC 9110 5.6.2: token."""
IN_VALUE = {"\t", *map(chr, range(0x20, 0x7F))}
"""RFC 9110 5.5, as far as one byte alone is UTF-8."""
NEVER_ESCAPED = {*map(chr, range(0x20)), *"/%.;", "\\", "\x7f"}
"""What changes the meaning of a path when somebody decodes it once more."""
EVERY_BYTE = [chr(byte) for byte in range(256)]


def outcome(target: str = "/", *headers: Header) -> str | Reason:
    """The target that goes on, or why none does."""
    try:
        return admit(raw(target, *headers), POLICY).target
    except Refusal as refusal:
        return refusal.reason


def test_every_byte_in_a_path() -> None:
    """R-011: each goes on as it came or is refused; `%` and `?` begin something else."""
    for character in sorted({*EVERY_BYTE} - {"%", "?"}):
        target = f"/a{character}b"
        assert outcome(target) == (target if character in IN_PATH else Reason.PATH_AMBIGUOUS), character


def test_every_byte_in_a_query() -> None:
    """R-011: each goes on as it came or is refused; `%` begins an escape."""
    for character in sorted({*EVERY_BYTE} - {"%"}):
        target = f"/a?b{character}c"
        assert outcome(target) == (target if character in IN_QUERY else Reason.PATH_AMBIGUOUS), character


@pytest.mark.parametrize("style", ["02x", "02X"], ids=["lower", "upper"])
def test_every_escaped_byte_in_a_path(style: str) -> None:
    """R-011: undone where it is unreserved, refused where it delimits, else spelled in capitals."""
    for byte, character in enumerate(EVERY_BYTE):
        expected: str | Reason = f"/a%{byte:02X}b"
        if character in {*PLAIN, *"-_~"}:
            expected = f"/a{character}b"
        elif character in NEVER_ESCAPED or byte > 0x7F:
            expected = Reason.PATH_AMBIGUOUS
        assert outcome(f"/a%{byte:{style}}b") == expected, byte


@pytest.mark.parametrize("place", ["/a%{}b", "/a?b%{}c"], ids=["path", "query"])
def test_every_broken_escape(place: str) -> None:
    """R-011: two hexadecimal digits of ASCII or a refusal, in the query too."""
    for character in sorted({*EVERY_BYTE, "\uff11", "\u0661"} - {*string.hexdigits}):
        for digits in (f"4{character}", f"{character}4"):
            assert outcome(place.format(digits)) is Reason.PATH_AMBIGUOUS, digits


def test_every_byte_in_the_name_of_a_header() -> None:
    """Attacks on headers begin with a name that two parsers spell differently."""
    for byte, character in enumerate(EVERY_BYTE):
        found = outcome("/", (b"A" + bytes([byte]), b"x"))
        assert found == ("/" if character in IN_NAME else Reason.HEADER_MALFORMED), character


def test_every_byte_in_the_value_of_a_header() -> None:
    """No control character but the tab: a line break would be a header of its own."""
    for byte, character in enumerate(EVERY_BYTE):
        found = outcome("/", ("A", b"x" + bytes([byte]) + b"x"))
        assert found == ("/" if character in IN_VALUE else Reason.HEADER_MALFORMED), character


def headers_of(size: int) -> list[Header]:
    """One header beside Host, so that all of them have this many bytes with their colons and line ends."""
    return [("A", "x" * (size - len("Host") - len(HOST) - 4 - len("A") - 4))]


@pytest.mark.parametrize(
    "target, headers, reason",
    [
        ("/" + "x" * 8191, [], None),
        ("/" + "x" * 8192, [], Reason.URI_TOO_LONG),
        ("/", [("A", "")] * 99, None),
        ("/", [("A", "")] * 100, Reason.HEADERS_TOO_LARGE),
        ("/", headers_of(32 * 1024), None),
        ("/", headers_of(32 * 1024 + 1), Reason.HEADERS_TOO_LARGE),
        ("/", [("Content-Length", "104857600")], None),
        ("/", [("Content-Length", "104857601")], Reason.BODY_TOO_LARGE),
        ("/", [("Content-Length", "9" * 18)], Reason.BODY_TOO_LARGE),
        ("/", [("Content-Length", "9" * 19)], Reason.FRAMING_AMBIGUOUS),
        ("/a%2Fb", [], Reason.PATH_AMBIGUOUS),
    ],
    ids=[
        "8 KiB of target",
        "more",
        "100 headers",
        "101",
        "32 KiB of headers",
        "more than that",
        "100 MiB of body",
        "one byte more",
        "18 digits",
        "19 digits",
        "an encoded slash",
    ],
)
def test_the_limits_that_hold_where_nothing_is_configured(
    target: str, headers: list[Header], reason: Reason | None
) -> None:
    """Whoever sets nothing has these limits, to the byte."""
    assert outcome(target, *headers) == (reason or target)
