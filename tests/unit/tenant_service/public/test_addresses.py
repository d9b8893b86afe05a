"""Whose address counts, and how often it may ask; which tenant a Host header names."""

import pytest

from service_kit.errors import RateLimitedError
from tenant_service.public.addresses import AddressLimit, TrustedProxies
from tenant_service.public.gate import slug_of
from tests.fakes.clock import FrozenClock

PROXIES = TrustedProxies.of(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["203.0.113.9"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["nonsense"], ""),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("::ffff:10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("", [], ""),
    ],
)
def test_a_client_has_no_word_about_itself(peer: str, forwarded: list[str], client: str) -> None:
    """Only a proxy that a setting names is believed, and of a chain only what such proxies wrote."""
    assert PROXIES.client(peer, forwarded) == client


def test_an_address_has_a_budget() -> None:
    """So many requests a minute; one customer's IPv6 network is one address, another's is not."""
    clock = FrozenClock()
    limit = AddressLimit(2, clock)
    limit.take("2001:db8::1")
    limit.take("2001:db8::2")

    with pytest.raises(RateLimitedError) as refusal:
        limit.take("2001:db8:0:0:ffff::3")
    limit.take("2001:db8:0:1::3")
    assert int(refusal.value.headers["Retry-After"]) > 0
    clock.advance(60)
    limit.take("2001:db8::1")


@pytest.mark.parametrize(
    ("hosts", "slug"),
    [
        (["acme.app.example.com"], "acme"),
        (["ACME.App.Example.Com"], "acme"),
        (["app.example.com"], ""),
        (["a.acme.app.example.com"], ""),
        (["acme.app.example.com.evil.example"], ""),
        (["acme.app.example.com:8083"], ""),
        (["acme.app.example.com."], ""),
        (["acme.app.example.com", "acme.app.example.com"], ""),
        (["xn--acme.app.example.com"], ""),
        ([".app.example.com"], ""),
        ([], ""),
    ],
)
def test_a_host_names_one_slug_or_none(hosts: list[str], slug: str) -> None:
    """R-106: the tenant comes from the one Host header, which is exactly a slug below the base domain."""
    assert slug_of(hosts, "app.example.com") == slug
