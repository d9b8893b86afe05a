"""Searches for a request that `test_admit` forgot: refused, or canonical and read in one way."""

import posixpath
import re
from urllib.parse import unquote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from auth_proxy.pipeline.admit import admit
from auth_proxy.pipeline.exchange import Inbound, RawRequest
from auth_proxy.refusals import Refusal
from tests.unit.auth_proxy.pipeline.hostile import FORBIDDEN, HOST, hostile_targets
from tests.unit.auth_proxy.pipeline.values import POLICY, raw

FRAGMENTS = st.sampled_from(
    [
        *"/.%;\\?#@:~aZ09",
        "..",
        "//",
        "%2e",
        "%2F",
        "%5c",
        "%25",
        "%00",
        "%3B",
        "%41",
        "%c3%a9",
        "%7E",
        "%zz",
        "é",
        "http://",
        f"http://{HOST}",
        f"https://{HOST}/",
        "http://evil.example",
        f"/{FORBIDDEN}",
        "/manage",
        "\x00",
        "\n",
    ]
)
TARGETS = st.one_of(
    st.text(max_size=40), st.lists(FRAGMENTS, max_size=12).map("".join).map(lambda text: f"/{text}")
)
TARGETS = st.one_of(
    TARGETS, st.lists(FRAGMENTS, max_size=12).map("".join), st.sampled_from(hostile_targets())
)
HEADERS = st.lists(
    st.tuples(
        st.binary(max_size=12)
        | st.sampled_from(
            [b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"Expect", b"Content_Length"]
        ),
        st.binary(max_size=20) | st.sampled_from([b"5", b"chunked", HOST.encode(), b"100-continue"]),
    ),
    max_size=5,
)
ESCAPES = re.compile(r"%[0-9A-F]{2}")


def admitted(request: RawRequest) -> Inbound | None:
    try:
        return admit(request, POLICY)
    except Refusal:
        return None


@settings(max_examples=200, deadline=None)
@given(TARGETS)
@example("/%2e%2e/x")
@example("/a%41")
def test_every_target_is_refused_or_canonical(target: str) -> None:
    """R-011: no dot segment, empty segment, delimiter escape or control byte survives, in any spelling."""
    inbound = admitted(raw(target))
    if inbound is None:
        return

    path, _, _ = inbound.target.partition("?")
    assert path == inbound.path
    assert path.isascii()
    assert path.startswith("/")
    assert "//" not in path
    assert not {".", ".."} & set(path.split("/"))
    assert not set(path) & set("\\;#? \x00\x7f")
    assert ESCAPES.sub("", path).count("%") == 0
    for escape in ("%2F", "%5C", "%2E", "%25", "%00", "%3B", "%7F", "%0A", "%0D"):
        assert escape not in path


@settings(max_examples=200, deadline=None)
@given(TARGETS)
def test_admitting_twice_changes_nothing(target: str) -> None:
    """The forwarded bytes mean to the next reader what they meant here."""
    first = admitted(raw(target))
    if first is None:
        return

    second = admitted(raw(first.target))
    assert second is not None
    assert (second.path, second.target) == (first.path, first.target)


@settings(max_examples=200, deadline=None)
@given(TARGETS)
def test_decoding_once_more_moves_no_segment(target: str) -> None:
    """An upstream that decodes and normalises the path sees as many segments, and the same way to them."""
    inbound = admitted(raw(target))
    if inbound is None:
        return

    decoded = unquote(inbound.path, errors="strict")
    assert decoded.count("/") == inbound.path.count("/")
    assert posixpath.normpath(decoded) == (decoded.rstrip("/") or "/")
    assert unquote(decoded) == decoded


@settings(max_examples=200, deadline=None)
@given(
    TARGETS,
    HEADERS,
    st.sampled_from(["GET", "POST", "get", ""]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_whatever_the_parser_hands_over_is_refused_by_name_or_admitted(
    target: str, headers: list[tuple[bytes, bytes]], method: str, version: tuple[int, int]
) -> None:
    """R-003: no bytes raise anything but a Refusal, and what is admitted is for our host."""
    inbound = admitted(RawRequest(method, target, version, tuple(headers), ""))

    if inbound is not None:
        assert inbound.host == HOST
        assert sum(name.lower() == "host" for name, _ in inbound.headers) == 1


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=6), st.binary(max_size=6))
def test_only_space_around_the_host_is_forgiven(before: bytes, after: bytes) -> None:
    """R-040: our name between any other bytes is another host."""
    value = before + HOST.encode() + after

    assert (admitted(raw("/", host=value)) is not None) == (not (before + after).strip(b" \t"))
