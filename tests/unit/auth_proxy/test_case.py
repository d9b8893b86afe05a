"""One request that is decided, and what others are told of it."""

import pytest

from auth_proxy.case import Case
from auth_proxy.pipeline.exchange import RawRequest


def case(*headers: tuple[bytes, bytes]) -> Case:
    raw = RawRequest("GET", "/", (1, 1), headers, "203.0.113.7")
    return Case(raw, about=raw)


@pytest.mark.parametrize("name", [b"accept", b"Accept", b"ACCEPT"])
def test_of_two_headers_the_reader_is_told_by_the_first(name: bytes) -> None:
    """As everywhere in the log: what a neighbour appends changes no answer."""
    page, program = (name, b"text/html"), (b"Accept", b"application/json")

    assert case(page, program).reader(can_enroll=False).wants_page
    assert not case(program, page).reader(can_enroll=False).wants_page
    assert not case((b"Server", b"text/html")).reader(can_enroll=False).wants_page
