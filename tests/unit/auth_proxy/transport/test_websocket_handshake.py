"""Both handshakes of a websocket: what is read from the client, and what an upstream must prove."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.websocket_handshake import (
    Offer,
    accepting_headers,
    check_answer,
    handshake_headers,
    new_key,
    read_offer,
)
from tests.fixtures.websockets import ACCEPT, KEY, accept_of
from tests.unit.auth_proxy.pipeline import values

PLAIN = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
)


def signed(*headers: tuple[str, str]) -> SignedGrant:
    grant = values.grant()
    person = grant.person._replace(screened=values.screened("/", *headers))
    return SignedGrant(grant._replace(person=person), (("X-Internal-Identity", "ours"),))


def test_protocols_may_come_in_several_lines() -> None:
    """The header is a list: RFC 6455 11.3.4."""
    lines = (("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "c"))

    assert read_offer(signed(*PLAIN, *lines)) == Offer(KEY, ("a", "b", "c"))


@pytest.mark.parametrize("value", ["", ",", "a,", "a,,b", "a/b", 'a"', "x" * 3000, "a, a"])
def test_a_list_that_is_none_is_refused(value: str) -> None:
    """What we cannot read for sure an upstream might read in its own way."""
    with pytest.raises(Refusal) as caught:
        read_offer(signed(*PLAIN, ("Sec-WebSocket-Protocol", value)))

    assert caught.value.reason is Reason.WEBSOCKET_MALFORMED


def test_our_handshake_replaces_the_clients() -> None:
    """Key, version and extensions are ours; the identity stands last and alone."""
    grant = signed(*PLAIN, ("Sec-WebSocket-Extensions", "permessage-deflate"), ("X-Mine", "1"))
    headers = handshake_headers(grant, "req_1", Offer(KEY, ("a", "b")), "our-key")

    assert headers.getall("Sec-WebSocket-Key") == ["our-key"]
    assert headers.getall("Sec-WebSocket-Version") == ["13"]
    assert headers.getall("Sec-WebSocket-Protocol") == ["a, b"]
    assert headers.getall("Upgrade") == ["websocket"]
    assert "Sec-WebSocket-Extensions" not in headers
    assert (headers["X-Mine"], headers["X-Internal-Identity"]) == ("1", "ours")


def test_keys_are_never_the_same() -> None:
    """A key that could be foreseen proves nothing."""
    assert len({new_key() for _ in range(100)}) == 100


def answer(*changes: tuple[str, str], without: str = "") -> "CIMultiDictProxy[str]":
    headers = CIMultiDict(
        [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"), ("Sec-WebSocket-Accept", ACCEPT)]
    )
    headers.popall(without, None)
    headers.extend(changes)
    return CIMultiDictProxy(headers)


def test_a_proven_answer_is_taken() -> None:
    """Upgrade is compared without case, Connection as a list."""
    check_answer(101, answer(("Sec-WebSocket-Protocol", "b")), Offer("unused", ("a", "b")), KEY)


@pytest.mark.parametrize(
    "status, headers",
    [
        (200, answer()),
        (101, answer(without="Upgrade")),
        (101, answer(without="Connection")),
        (101, answer(without="Sec-WebSocket-Accept")),
        (101, answer(("Sec-WebSocket-Accept", ACCEPT))),
        (101, answer(("Sec-WebSocket-Accept", "x"), without="Sec-WebSocket-Accept")),
        (101, answer(("Upgrade", "h2c"))),
        (101, answer(("Sec-WebSocket-Extensions", "permessage-deflate"))),
        (101, answer(("Sec-WebSocket-Protocol", "c"))),
        (101, answer(("Sec-WebSocket-Protocol", "a, b"))),
        (101, answer(("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a"))),
    ],
)
def test_everything_else_is_a_bad_gateway(status: int, headers: "CIMultiDictProxy[str]") -> None:
    """Nothing is tunnelled to what did not prove that it is a websocket of the offer's kind."""
    with pytest.raises(Refusal) as caught:
        check_answer(status, headers, Offer("unused", ("a", "b")), KEY)

    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE


def test_the_client_gets_the_proof_for_its_own_key() -> None:
    """Its key never went to the upstream, so the proof is ours; cookies of the upstream come through."""
    upstream = answer(("Sec-WebSocket-Protocol", "a"), ("Set-Cookie", "lb=1"), ("X-Internal-Identity", "x"))
    key = new_key()
    headers = accepting_headers(upstream, ("http://u",), Offer(key, ("a",)), "req_1")

    assert headers.getall("Sec-WebSocket-Accept") == [accept_of(key)]
    assert (headers["Sec-WebSocket-Protocol"], headers["Set-Cookie"]) == ("a", "lb=1")
    assert headers.getall("Connection") == ["Upgrade"]
    assert "X-Internal-Identity" not in headers
