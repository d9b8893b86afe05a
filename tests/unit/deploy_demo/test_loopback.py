import socket

import pytest

from deploy.demo.loopback import BadAddress, NotLoopback, is_loopback, is_loopback_name, loopback_addresses


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8000", (("127.0.0.1", 8000),)),
        ("127.9.8.7:1", (("127.9.8.7", 1),)),
        ("[::1]:65535", (("::1", 65535),)),
        ("::1:8000", (("::1", 8000),)),
    ],
)
def test_loopback_is_accepted(listen: str, expected: tuple[tuple[str, int], ...]) -> None:
    """Every address of 127.0.0.0/8 and ::1 may be bound."""
    assert loopback_addresses(listen) == expected


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:8000",
        ":8000",
        "[::]:8000",
        "192.168.1.10:8000",
        "10.0.0.1:80",
        "169.254.169.254:80",
        "[fe80::1]:80",
    ],
)
def test_everything_else_is_refused_by_name(listen: str) -> None:
    """An address that another machine could reach raises `NotLoopback`."""
    with pytest.raises(NotLoopback, match="not loopback"):
        loopback_addresses(listen)


def test_other_spellings_of_all_interfaces_are_refused() -> None:
    """`0` means every interface to the resolver, and is judged by what it resolves to."""
    with pytest.raises(NotLoopback):
        loopback_addresses("0:8000")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Make every name resolve to these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)


def test_a_name_is_bound_by_the_addresses_that_were_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is resolved once: the numbers that were checked are returned, each of them once."""
    resolve_to(monkeypatch, "127.0.0.1", "::1", "127.0.0.1")

    assert loopback_addresses("localhost:8000") == (("127.0.0.1", 8000), ("::1", 8000))


def test_a_name_with_one_other_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poisoned hosts file cannot add a reachable address next to the right one."""
    resolve_to(monkeypatch, "127.0.0.1", "203.0.113.7")

    with pytest.raises(NotLoopback, match=r"203\.0\.113\.7"):
        loopback_addresses("localhost:8000")


@pytest.mark.parametrize(
    "listen", ["localhost", "8000", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:²"]
)
def test_what_is_no_host_and_port_is_refused(listen: str) -> None:
    """A listen address without a port number between 0 and 65535 raises `BadAddress`."""
    with pytest.raises(BadAddress, match="no host:port"):
        loopback_addresses(listen)


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve raises `BadAddress`."""

    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(BadAddress, match="does not resolve"):
        loopback_addresses("nowhere.invalid:8000")


def test_only_numbers_and_reserved_names_are_loopback() -> None:
    """A name is loopback only where RFC 6761 says so for every browser."""
    assert is_loopback("127.0.0.1")
    assert not is_loopback("localhost")
    assert is_loopback_name("acme.localhost")
    assert not is_loopback_name("localhost.example.com")
    assert not is_loopback_name("")
