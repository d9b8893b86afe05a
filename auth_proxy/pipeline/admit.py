"""Step 1, admit: only requests for one of our hosts that can be read in one way.

It knows no token and no person. The host is checked before anything else (R-040); whatever two
parsers could read differently is refused, never repaired, except that percent-encoding of
unreserved characters is undone once, so that decision and upstream see the same bytes.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from auth_proxy.forwarding import Headers
from auth_proxy.head_shape import HeadShape, shape_of
from auth_proxy.header_names import facts_of
from auth_proxy.pipeline.exchange import ENCODED_SLASH, Inbound, RawRequest
from auth_proxy.refusals import Reason, Refusal

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# RFC 3986: pchar without ";", which some servers strip together with what follows it.
_PATH: Final = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@%/\[\]]*")
_QUERY: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]|^`{}\"<>\\]*")
_ESCAPE: Final = re.compile(r"%(..?)?")
_HEX_PAIR: Final = re.compile(r"[0-9A-Fa-f]{2}")
_VALUE_BYTES: Final = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
# "\", "%", "." and every control character change meaning when somebody decodes once more. "/" does too,
# and has a rule of its own below.
_FORBIDDEN_BYTES: Final = frozenset({0x5C, 0x25, 0x7F, 0x2E, 0x3B, *range(0x20)})
_BETWEEN: Final = b"\n"
"""Stands between two values while they are looked at together; no value may hold it."""
_HTTP_1_0: Final = (1, 0)
_HTTP_1_1: Final = (1, 1)


@dataclass(frozen=True, slots=True)
class AdmitPolicy:
    """The limits of a listener."""

    hosts: frozenset[str]
    most_target_bytes: int = 8 * 1024
    most_headers: int = 100
    most_header_bytes: int = 32 * 1024
    most_body_bytes: int = 100 * 1024 * 1024
    encoded_slashes: bool = False
    """Whether any route takes `%2F` in a path; authorize refuses it on every other route."""


def admit(raw: RawRequest, policy: AdmitPolicy) -> Inbound:
    """The request in its one reading. Raises Refusal."""
    shape = shape_of([name for name, _ in raw.headers])
    values = [value for _, value in raw.headers]
    host = _host(shape, values, policy)
    everything = _BETWEEN.join(values)
    _check_sizes(raw, policy, len(everything) + 1 + shape.size + 3 * len(values))
    headers = _headers(shape, values, everything)
    _check_method_and_version(raw)
    path, target = _target(raw.target, host, encoded_slashes=policy.encoded_slashes)
    framing = tuple(headers[place] for place in shape.framing) if shape.framing else ()
    length, chunked = _framing(raw, framing, policy) if framing else (None, False)
    return Inbound(
        method=raw.method,
        host=host,
        path=path,
        target=target,
        headers=headers,
        peer=raw.peer,
        has_body=chunked or bool(length),
        content_length=length,
        expects_continue=bool(framing) and _expects_continue(framing, raw.version),
        shape=shape,
        request_id=raw.request_id,
    )


def _host(shape: HeadShape, values: list[bytes], policy: AdmitPolicy) -> str:
    """R-040: a foreign host learns nothing, not even that something is wrong with its request."""
    # Bytes, not text: str.strip() takes a no-break space for a space and would let a foreign host in.
    given = [values[place].strip(b" \t").lower() for place in shape.hosts]
    if not given or (host := given[0].decode("latin-1")) not in policy.hosts:
        raise Refusal(Reason.HOST_UNKNOWN)
    if len(given) > 1:
        raise Refusal(Reason.HOST_AMBIGUOUS, "more than one Host header")
    return host


def _check_sizes(raw: RawRequest, policy: AdmitPolicy, size: int) -> None:
    """`size` counts names, values and the four bytes that stand around them."""
    if len(raw.target) > policy.most_target_bytes:
        raise Refusal(Reason.URI_TOO_LONG)
    if len(raw.headers) > policy.most_headers or size > policy.most_header_bytes:
        raise Refusal(Reason.HEADERS_TOO_LARGE)


def _headers(shape: HeadShape, values: list[bytes], everything: bytes) -> Headers:
    # All values in one look and one decoding: it takes a tenth of the time of fifteen.
    if not shape.are_names or everything.translate(None, _VALUE_BYTES) != _BETWEEN * (len(values) - 1):
        raise Refusal(Reason.HEADER_MALFORMED)
    try:
        texts = everything.decode().split("\n")
    except UnicodeDecodeError as error:
        raise Refusal(Reason.HEADER_MALFORMED, "a value is not UTF-8") from error
    return tuple(zip(shape.names, [text.strip(" \t") for text in texts], strict=True))


def _check_method_and_version(raw: RawRequest) -> None:
    if raw.version not in (_HTTP_1_0, _HTTP_1_1):
        raise Refusal(Reason.REQUEST_MALFORMED, "version")
    if raw.method not in METHODS:
        raise Refusal(Reason.METHOD_UNSUPPORTED, headers={"Allow": ", ".join(sorted(METHODS))})


def _target(target: str, host: str, *, encoded_slashes: bool) -> tuple[str, str]:
    if not target.startswith("/"):
        target = _origin_form(target, host)
    path, mark, query = target.partition("?")
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise Refusal(Reason.PATH_AMBIGUOUS, "characters")
    canonical = _canonical_path(path, encoded_slashes=encoded_slashes)
    _check_escapes(query)
    # A "?" with nothing behind it is dropped: URL libraries do so, and then the bytes would differ.
    return canonical, canonical + mark + query if query else canonical


def _origin_form(target: str, host: str) -> str:
    """RFC 9112 3.2.2: an absolute-form target is allowed, but it must not name another host."""
    for scheme in ("http://", "https://"):
        if target[: len(scheme)].lower() == scheme:
            authority, slash, rest = target[len(scheme) :].partition("/")
            if authority.lower() != host:
                raise Refusal(Reason.HOST_AMBIGUOUS, "absolute form names another host")
            return slash + rest or "/"
    return target


def _canonical_path(path: str, *, encoded_slashes: bool) -> str:
    if "%" not in path and "//" not in path and "/." not in path:
        return path  # nothing to undo, and nothing to misread
    canonical = _ESCAPE.sub(_decode_unreserved, path)
    # Judged as the most eager decoder would read it, also where an encoded slash is allowed.
    eager = canonical.replace(ENCODED_SLASH, "/")
    segments = eager[1:].split("/")
    if "//" in eager or "." in segments or ".." in segments:
        raise Refusal(Reason.PATH_AMBIGUOUS, "segments")
    if eager != canonical and not encoded_slashes:
        raise Refusal(Reason.PATH_AMBIGUOUS, "escape of a delimiter")
    try:
        unquote_to_bytes(canonical).decode()
    except UnicodeDecodeError as error:  # some decoders read the overlong %C0%AE as a dot
        raise Refusal(Reason.PATH_AMBIGUOUS, "escapes that are not UTF-8") from error
    return canonical


def _decode_unreserved(escape: re.Match[str]) -> str:
    digits = escape.group(1) or ""
    if not _HEX_PAIR.fullmatch(digits):
        raise Refusal(Reason.PATH_AMBIGUOUS, "broken escape")
    byte = int(digits, 16)
    if byte in _FORBIDDEN_BYTES:
        raise Refusal(Reason.PATH_AMBIGUOUS, "escape of a delimiter")
    character = chr(byte)
    return character if character in _UNRESERVED else f"%{digits.upper()}"


def _check_escapes(query: str) -> None:
    if "%" not in query:
        return
    for escape in _ESCAPE.finditer(query):
        if not _HEX_PAIR.fullmatch(escape.group(1) or ""):
            raise Refusal(Reason.PATH_AMBIGUOUS, "broken escape in the query")


def _framing(raw: RawRequest, headers: Headers, policy: AdmitPolicy) -> tuple[int | None, bool]:
    """Content-Length and whether the body is chunked; anything that could be read twice is refused."""
    folded = [(facts_of(name).folded, name.lower(), value) for name, value in headers]
    lengths = [value for fold, _, value in folded if fold == "contentlength"]
    codings = [value for fold, _, value in folded if fold == "transferencoding"]
    plain = {"contentlength": "content-length", "transferencoding": "transfer-encoding"}
    disguised = any(plain.get(fold, name) != name for fold, name, _ in folded)
    if disguised or len(lengths) + len(codings) > 1:
        raise Refusal(Reason.FRAMING_AMBIGUOUS)
    if codings and (codings[0].lower() != "chunked" or raw.version == _HTTP_1_0):
        raise Refusal(Reason.FRAMING_AMBIGUOUS, "transfer coding")
    if not lengths:
        return None, bool(codings)
    if not _LENGTH.fullmatch(lengths[0]):
        raise Refusal(Reason.FRAMING_AMBIGUOUS, "content length")
    if int(lengths[0]) > policy.most_body_bytes:
        raise Refusal(Reason.BODY_TOO_LARGE)
    return int(lengths[0]), False


def _expects_continue(headers: Headers, version: tuple[int, int]) -> bool:
    expectations = [value.lower() for name, value in headers if name.lower() == "expect"]
    if expectations and expectations != ["100-continue"]:
        raise Refusal(Reason.FRAMING_AMBIGUOUS, "expectation")
    return bool(expectations) and version == _HTTP_1_1
