"""A refusal as the bytes of its answer, for a client that is answered without a response object.

What is said is `refusal_rendering`'s alone; this module only writes it down. For speed the answers that
differ in nothing but their request id are rendered once per reason and kind of reader: 26 → 3 µs for JSON,
42 → 3 for a page, because a flood of bad requests must cost less than good ones (performance.md section 5).
"""

from functools import lru_cache
from typing import Final

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from auth_proxy.refusal_rendering import Reader, render
from auth_proxy.refusals import Reason, Refusal

_SOME_ID: Final = "req_" + "0" * 26
"""Has the length of every request id, and occurs in no text."""
_NAVIGATING: Final = frozenset({"GET", "HEAD"})
"""The methods by which a browser goes to a page."""


def refusal_bytes(
    refusal: Refusal, request_id: str, reader: Reader, *, method: str, keeps_alive: bool, speaks_1_1: bool
) -> bytes:
    """The whole answer. `keeps_alive`: the connection may bring another request after it."""
    if not refusal.headers and len(request_id) == len(_SOME_ID):
        head, body = _template(refusal.reason, reader, method in _NAVIGATING)
        own_id = request_id.encode()
        written, content = own_id.join(head), own_id.join(body)
    else:
        written, content = _written(render(refusal, request_id, reader, method=method))
    connection = b""
    if not keeps_alive:
        connection = b"Connection: close\r\n"
    elif not speaks_1_1:
        connection = b"Connection: keep-alive\r\n"
    date = rfc822_formatted_time().encode()
    return b"%bDate: %b\r\n%b\r\n%b" % (written, date, connection, b"" if method == "HEAD" else content)


# Bounded by the reasons, which are a closed set, and the kinds of readers.
@lru_cache(maxsize=1024)
def _template(reason: Reason, reader: Reader, navigates: bool) -> tuple[list[bytes], list[bytes]]:  # noqa: FBT001 - positional for the cache
    """Head and body, cut where the request id stands."""
    head, body = _written(render(Refusal(reason), _SOME_ID, reader, method="GET" if navigates else ""))
    return head.split(_SOME_ID.encode()), body.split(_SOME_ID.encode())


def _written(response: web.Response) -> tuple[bytes, bytes]:
    """Its head without the last line, and its body."""
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(body)}", ""]
    return "\r\n".join(lines).encode(), body
