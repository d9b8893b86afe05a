"""Sockets to listen on: one set for each acceptor, never a part of somebody else's address."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from service_kit.settings import Listen
from service_kit.web.listening import PortInUseError, SocketFile, open_listeners, waiting_connections
from tests.fixtures.ports import free_port

LOCAL = "127.0.0.1"


def taken(*, shares: bool) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((LOCAL, 0))
    held.listen()
    return held


def test_each_acceptor_has_a_socket_of_its_own() -> None:
    """The system spreads the connections over them; port 0 is one free port for all."""
    with closing(open_listeners("gate", Listen(LOCAL, 0), acceptors=3)) as opened:
        addresses = {each.getsockname() for (each,) in opened.sets}
        clients = [socket.create_connection(next(iter(addresses))) for _ in range(60)]
        accepted = [list(waiting_connections(each)) for (each,) in opened.sets]
        counts = [len(mine) for mine in accepted]
        for held in (*clients, *(held for mine in accepted for held in mine)):
            held.close()

    assert len(addresses) == 1
    assert sum(counts) == 60
    assert min(counts) > 0


def test_a_name_may_have_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `localhost` has: each acceptor gets a socket for every address."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
    with closing(open_listeners("gate", Listen("localhost", 0), acceptors=2)) as opened:
        families = [[each.family for each in mine] for mine in opened.sets]

    assert families == [[socket.AF_INET, socket.AF_INET6]] * 2


@pytest.mark.parametrize("acceptors", [1, 2])
@pytest.mark.parametrize("shares", [False, True])
def test_an_address_of_another_process_is_not_joined(acceptors: int, shares: bool) -> None:
    """Also where the other one would allow it: half of the connections would go astray, silently."""
    with taken(shares=shares) as held:
        port = held.getsockname()[1]
        with pytest.raises(
            PortInUseError, match=f"gate: cannot listen on {LOCAL}:{port}: Address already in"
        ):
            open_listeners("gate", Listen(LOCAL, port), acceptors=acceptors)


def test_shared_listeners_keep_others_out() -> None:
    """A second sidecar of the same user finds the address taken, whether it wants one socket or two."""
    with closing(open_listeners("gate", Listen(LOCAL, 0), acceptors=2)) as opened:
        port = opened.sets[0][0].getsockname()[1]
        for acceptors in (1, 2):
            with pytest.raises(PortInUseError):
                open_listeners("gate", Listen(LOCAL, port), acceptors=acceptors)


def test_a_socket_for_one_is_not_shared() -> None:
    """One process alone sets no SO_REUSEPORT: nobody can join it later either."""
    with closing(open_listeners("gate", Listen(LOCAL, 0))) as opened:
        ((only,),) = opened.sets
        assert only.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_nothing_stays_open_when_one_address_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address was bound already: a start that fails gives it back."""
    with taken(shares=False) as held:
        free = (LOCAL, free_port())
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", free),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", held.getsockname()),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
        with pytest.raises(PortInUseError):
            open_listeners("gate", Listen("two.example", free[1]))
        with socket.create_server(free) as again:
            assert again.getsockname() == free


def test_other_faults_are_not_called_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptors left, for one, is no question of the address."""

    def refuse(*_args: object, **_named: object) -> Iterator[object]:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        open_listeners("gate", Listen(LOCAL, 1))


def test_a_unix_socket_is_one_for_all(tmp_path: Path) -> None:
    """Every acceptor gets the same socket, for owner and group."""
    path = tmp_path / "gate.sock"
    with closing(open_listeners("gate", Listen(path=str(path)), acceptors=3)) as opened:
        assert len({id(mine[0]) for mine in opened.sets}) == 1
        assert path.stat().st_mode & 0o777 == 0o660


def test_a_path_that_cannot_be_bound_is_said(tmp_path: Path) -> None:
    """A folder that is not there is a mistake with a name of its own, and no socket stays open."""
    with pytest.raises(FileNotFoundError):
        open_listeners("gate", Listen(path=str(tmp_path / "nowhere" / "gate.sock")))


def test_the_file_of_a_successor_stays(tmp_path: Path) -> None:
    """Who leaves late removes its own socket file, and not the one that stands in its place by now."""
    path = tmp_path / "gate.sock"
    first = open_listeners("gate", Listen(path=str(path)))
    first.close()
    held = os.open(path, os.O_PATH)  # so that the number of the file is not given to the next one
    with closing(open_listeners("gate", Listen(path=str(path)))) as second:
        assert first.file is not None
        assert second.file is not None
        first.file.remove()
        assert path.exists()
        second.file.remove()
        second.file.remove()
    os.close(held)

    assert not path.exists()


def test_a_socket_file_knows_itself(tmp_path: Path) -> None:
    """The same path with another file behind it is another one."""
    path = tmp_path / "file"
    path.write_text("")

    assert SocketFile.at(str(path)) == SocketFile(path, (path.stat().st_dev, path.stat().st_ino))


def test_a_connection_that_broke_in_the_queue_hides_no_other() -> None:
    """The system tells an aborted one as an error: those behind it are taken all the same."""

    class Queue:
        def __init__(self) -> None:
            self.results = iter(
                [ConnectionAbortedError(), "first", InterruptedError(), "second", BlockingIOError()]
            )

        def setblocking(self, _flag: bool) -> None: ...

        def accept(self) -> tuple[object, str]:
            result = next(self.results)
            if isinstance(result, Exception):
                raise result
            return result, ""

    queue = cast("socket.socket", Queue())

    assert [str(connection) for connection in waiting_connections(queue)] == ["first", "second"]
