"""The book of open connections."""

from auth_proxy.transport.connections import ConnectionPolicy, Connections, Shed


def test_the_limits_hold_and_room_comes_back() -> None:
    """All together, and by address; who was refused is not counted as open."""
    connections = Connections(ConnectionPolicy(most=3, most_per_peer=2))

    assert [connections.enter(peer) for peer in ("a", "a", "a", "b", "b")] == [
        None,
        None,
        Shed.PEER_LIMIT,
        None,
        Shed.LIMIT,
    ]
    assert connections.open == 3
    connections.leave("a")
    assert connections.enter("a") is None


def test_by_default_one_address_may_have_them_all() -> None:
    """Behind a tunnel there is only one peer."""
    connections = Connections(ConnectionPolicy(most=50))

    assert {connections.enter("tunnel") for _ in range(50)} == {None}
    assert connections.enter("other") is Shed.LIMIT


def test_addresses_that_are_gone_are_forgotten() -> None:
    """A client with many addresses fills no memory."""
    connections = Connections(ConnectionPolicy(most_per_peer=1))
    for number in range(1000):
        connections.enter(str(number))
        connections.leave(str(number))

    assert (connections.open, len(connections._by_peer)) == (0, 0)
