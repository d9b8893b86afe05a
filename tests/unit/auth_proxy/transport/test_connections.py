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


class Rester:
    """A connection that makes room, or says that it cannot."""

    def __init__(self, connections: Connections, *, can_end: bool = True) -> None:
        self.connections, self.can_end, self.asked = connections, can_end, 0

    def make_room(self) -> bool:
        self.asked += 1
        if self.can_end:
            self.connections.leave("a")
        return self.can_end


def test_who_rested_longest_makes_room() -> None:
    """Not who woke since, not who rests for less long; without one the new connection is refused."""
    connections = Connections(ConnectionPolicy(most=3))
    first, second, third = (Rester(connections) for _ in range(3))
    for item in (first, second, third):
        connections.enter("a")
        connections.rests(item, is_proven=True, since=0.0)
    connections.wakes(first)

    assert [connections.enter("b") for _ in range(3)] == [None, None, Shed.LIMIT]
    assert (first.asked, second.asked, third.asked, connections.open) == (0, 1, 1, 3)


def test_asking_for_room_costs_little() -> None:
    """Who only seems to rest is asked again after all others: a new connection asks at most sixteen."""
    connections = Connections(ConnectionPolicy(most=41))
    busy = [Rester(connections, can_end=False) for _ in range(40)]
    free = Rester(connections)
    for item in (*busy, free):
        connections.enter("a")
        connections.rests(item, is_proven=True, since=0.0)

    assert [connections.enter("b") for _ in range(3)] == [Shed.LIMIT, Shed.LIMIT, None]
    assert {item.asked for item in busy} == {1}
