"""Who the client is: the peer, unless a configured proxy says otherwise of its own client."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_proxy.forwarding import client_address, forwarding_headers

TUNNEL = "10.0.0.1"
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
CLIENT = "203.0.113.7"


def client(peer: str = TUNNEL, **sent: str) -> str:
    headers = tuple((name.replace("_", "-"), value) for name, value in sent.items())
    return client_address(headers, peer, TRUSTED)


@pytest.mark.parametrize(
    "sent, address",
    [
        ({}, TUNNEL),
        ({"Cf_Connecting_Ip": CLIENT}, CLIENT),
        ({"Cf_Connecting_Ip": "2001:DB8::0:1"}, "2001:db8::1"),
        ({"Cf_Connecting_Ip": "fe80::1%eth0"}, TUNNEL),
        ({"Cf_Connecting_Ip": "<script>"}, TUNNEL),
        ({"Cf_Connecting_Ip": "", "X_Forwarded_For": CLIENT}, CLIENT),
        ({"X_Forwarded_For": f"127.0.0.1, {CLIENT}"}, CLIENT),
        ({"X_Forwarded_For": f"{CLIENT}, 10.0.0.9, fd00::2"}, CLIENT),
        ({"X_Forwarded_For": "10.0.0.9"}, TUNNEL),
        ({"X_Forwarded_For": f"{CLIENT}, unknown"}, TUNNEL),
        ({"X_Forwarded_For": f"{CLIENT}, fe80::1%25eth0"}, TUNNEL),
        ({"X_Forwarded_For": "1.1.1.1\n{fake log line}"}, TUNNEL),
        ({"Cf_Connecting_Ip": CLIENT, "X_Forwarded_For": "192.0.2.1"}, CLIENT),
    ],
)
def test_behind_a_configured_proxy(sent: dict[str, str], address: str) -> None:
    """Mistake 5: the last address that no proxy of ours added; what is no address is nobody's."""
    assert client(**sent) == address


@pytest.mark.parametrize("peer", ["192.0.2.9", "11.0.0.1", "", "unix", "::1"])
def test_nobody_else_is_believed(peer: str) -> None:
    """Whoever connects directly is who connects, whatever it says of itself."""
    assert client(peer, Cf_Connecting_Ip=CLIENT, X_Forwarded_For=CLIENT) == peer


@pytest.mark.parametrize(
    "peer, sent, scheme",
    [(TUNNEL, "http", "http"), (TUNNEL, "gopher", "https"), ("192.0.2.9", "http", "https")],
)
def test_the_scheme_is_ours_or_a_configured_proxys(peer: str, sent: str, scheme: str) -> None:
    """CVE-2026-54764: nothing is derived from a scheme that a client made up."""
    headers = forwarding_headers(
        (("X-Forwarded-Proto", sent),), peer, "admin.example.com", scheme="https", trusted=TRUSTED
    )

    assert headers == (
        ("X-Forwarded-For", peer),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", "admin.example.com"),
    )


@given(st.text(), st.text())
def test_whatever_is_sent_the_answer_is_an_address(connecting: str, chain: str) -> None:
    """No header value of a client's making reaches a log, an audit row or an upstream."""
    found = client(Cf_Connecting_Ip=connecting, X_Forwarded_For=chain)

    assert str(ipaddress.ip_address(found)) == found


def test_a_chain_too_long_to_be_remembered_is_read_all_the_same() -> None:
    """The last address that no proxy of ours added counts, however long the chain is."""
    chain = ", ".join(["198.51.100.7"] * 40 + ["203.0.113.9"])
    trusted = (ipaddress.ip_network("127.0.0.1/32"),)

    assert client_address((("X-Forwarded-For", chain),), "127.0.0.1", trusted) == "203.0.113.9"
