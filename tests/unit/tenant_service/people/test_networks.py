"""As which address a limit counts somebody."""

import pytest

from tenant_service.people.networks import network_of


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::3", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_customer_is_one_address(ip: str, network: str) -> None:
    """An IPv6 network of a customer is one, an IPv4 address is itself however it is written."""
    assert network_of(ip) == network
