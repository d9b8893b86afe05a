"""Whatever the bytes: `admit` raises Refusal alone, and what it admits has one reading.

An input is a request head as text, `METHOD TARGET VERSION` and header lines, with any bytes in it.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from auth_proxy.pipeline.admit import METHODS, AdmitPolicy, admit
from auth_proxy.pipeline.exchange import Inbound, RawRequest
from auth_proxy.refusals import Refusal
from tests.security.hostile_inputs import header_lines, hostile_targets, spoof_names
from tests.security.te_gadgets import gadgets

HOST = "admin.example.com"
POLICY = AdmitPolicy(hosts=frozenset({HOST}))
SLASHES = AdmitPolicy(hosts=frozenset({HOST}), encoded_slashes=True)
"""Where a route takes `%2F`: then the path is judged as the most eager decoder would read it."""
_FRAMING = {"contentlength", "transferencoding"}
# Written apart from the code under test: segments and escapes that some reader takes for something else.
_ODD = re.compile(
    r"//|[\\;#?]|/\.{1,2}(/|$)|%(?![0-9A-F]{2})|%(2E|2F|5C|25|3B|[01][0-9A-F]|7F)|%(2D|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)"
)


def seeds() -> Iterator[bytes]:
    for target in hostile_targets("/api/admin/tenants", "api/admin/global-admins"):
        yield f"GET {target} HTTP/1.1\r\nHost: {HOST}".encode()
    for section in ("hop_by_hop", "url_override", "method_override", "client_ip", "expect"):
        for line in header_lines(section):
            yield f"POST /x?y=%20 HTTP/1.1\r\nHost: {HOST}\r\n{line}\r\nContent-Length: 4".encode()
    for name in spoof_names():
        yield b"GET / HTTP/1.1\r\nHost: admin.example.com\r\n" + name + b": evil"
    for gadget in gadgets()[::7]:
        yield b"PUT / HTTP/1.0\r\nHost: admin.example.com\r\nContent-Length: 5\r\n" + gadget


def request_of(data: bytes) -> RawRequest:
    """The bytes as a parser might hand them over; it may be a careless one."""
    first, *lines = data.split(b"\r\n")
    method, _, rest = first.decode("utf-8", "surrogateescape").partition(" ")
    target, _, version = rest.rpartition(" ")
    fields = [line.partition(b":") for line in lines]
    if not any(name.lower().startswith(b"host") for name, _, _ in fields):
        fields.append((b"Host", b":", HOST.encode()))  # else most inputs would end at the first check
    return RawRequest(
        method,
        target,
        (1, 0) if version == "HTTP/1.0" else (1, 1),
        tuple((name, value) for name, _, value in fields),
        "127.0.0.1",
        "req_x",
    )


def one_input(data: bytes) -> None:
    raw = request_of(data)
    for policy in (POLICY, SLASHES):
        try:
            inbound = admit(raw, policy)
        except Refusal:
            continue
        judge(raw, inbound, policy)


def judge(raw: RawRequest, inbound: Inbound, policy: AdmitPolicy) -> None:
    """Raises AssertionError for an admitted request with a second reading."""
    assert inbound.host == HOST
    assert inbound.method in METHODS
    assert inbound.method == raw.method
    _judge_path(inbound.path.replace("%2F", "/") if policy.encoded_slashes else inbound.path)
    assert inbound.target.partition("?")[0] == inbound.path
    assert re.fullmatch(r"[!-~]+", inbound.target)
    again = admit(raw._replace(target=inbound.target), policy)
    assert (again.path, again.target) == (inbound.path, inbound.target), "no fixpoint"
    _judge_headers(inbound)


def _judge_path(path: str) -> None:
    assert path.startswith("/")
    assert not _ODD.search(path), path
    decoded = unquote_to_bytes(path).decode()
    assert not re.search(r"[\x00-\x1f\x7f\\]", decoded)
    assert "/" + "/".join(part for part in decoded.split("/") if part not in {"", ".", ".."}) in {
        decoded,
        decoded.rstrip("/"),
        decoded + "/",
    }


def _judge_headers(inbound: Inbound) -> None:
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name, _ in inbound.headers]
    assert len([name for name in names if name in _FRAMING]) <= 1
    assert names.count("host") <= 1 or len({n.lower() for n, _ in inbound.headers}) > 1
    assert all(re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) for name, _ in inbound.headers)
    assert not any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in inbound.headers)
    if inbound.content_length is not None:
        assert 0 <= inbound.content_length <= POLICY.most_body_bytes
        assert inbound.has_body == (inbound.content_length > 0)
    else:
        assert inbound.has_body == ("transferencoding" in names)
