"""A refusal as the bytes of its answer, for a client that is answered without a response object.

What is said is `refusal_rendering`'s alone; this module only writes it down. For speed the JSON answers
that differ in nothing but their request id are rendered once per reason: 26 → 3 µs, because a flood of
bad requests must cost less than good ones (performance.md section 5).
"""

from functools import lru_cache
from typing import Final

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from auth_proxy.refusal_rendering import Reader, render
from auth_proxy.refusals import Reason, Refusal

_SOME_ID: Final = "req_" + "0" * 26
"""Has the length of every request id, and occurs in no text."""


def refusal_bytes(
    refusal: Refusal, request_id: str, reader: Reader, *, method: str, keeps_alive: bool, speaks_1_1: bool
) -> bytes:
    """The whole answer. `keeps_alive`: the connection may bring another request after it."""
    is_one_of_many = not (refusal.headers or reader.wants_page) and len(request_id) == len(_SOME_ID)
    if is_one_of_many:
        head, body = _template(refusal.reason, reader.boots, reader.can_enroll)
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


# Bounded by the reasons, which are a closed set.
@lru_cache(maxsize=512)
def _template(reason: Reason, boots: bool, can_enroll: bool) -> tuple[list[bytes], list[bytes]]:  # noqa: FBT001 - positional for the cache
    """Head and body, cut where the request id stands."""
    reader = Reader(boots=boots, can_enroll=can_enroll)
    head, body = _written(render(Refusal(reason), _SOME_ID, reader, method=""))
    return head.split(_SOME_ID.encode()), body.split(_SOME_ID.encode())


def _written(response: web.Response) -> tuple[bytes, bytes]:
    """Its head without the last line, and its body."""
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(body)}", ""]
    return "\r\n".join(lines).encode(), body
