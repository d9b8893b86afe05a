"""Opening the sockets that a process listens on, for itself or for several workers, and closing them kindly.

It accepts for nobody and answers nothing. A port that another process has is never shared with it.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service_kit.settings import Listen

BACKLOG: Final = 1024
_TAKEN: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)


_SO_ATTACH_FILTER: Final = 26
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the byte of the flags in the TCP header
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else take all of it
)
"""A classic BPF program, as the kernel runs it for each packet that reaches a listening socket."""


class PortInUseError(Exception):
    """Another process listens where this one should."""


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The file of a unix socket, told from another one that was put in its place later."""

    path: Path
    inode: tuple[int, int]

    @classmethod
    def at(cls, path: str) -> "SocketFile":
        return cls(Path(path), _inode(Path(path)))

    def remove(self) -> None:
        """Take it away, so that nobody connects any more; not what a successor put there."""
        with contextlib.suppress(FileNotFoundError):
            if _inode(self.path) == self.inode:
                self.path.unlink()


@dataclass(frozen=True, slots=True)
class Opened:
    """What one address is listened on with: a set of sockets for each of those who accept."""

    sets: tuple[tuple[socket.socket, ...], ...]
    file: SocketFile | None = None

    def close(self) -> None:
        for each in self.sets:
            for opened in each:
                opened.close()


def open_listeners(name: str, listen: Listen, *, acceptors: int = 1) -> Opened:
    """Bound and listening sockets. Raises PortInUseError.

    Each acceptor gets sockets of its own for a TCP address; those of a unix socket share it.
    """
    try:
        if listen.path:
            shared = _open_path(listen.path)
            return Opened(((shared,),) * acceptors, SocketFile.at(listen.path))
        return Opened(tuple(zip(*_open_addresses(listen, acceptors), strict=True)))
    except socket.gaierror as error:
        raise PortInUseError(f"{name}: {listen.host} is no address of this machine") from error
    except OSError as error:
        if error.errno in _TAKEN:
            raise PortInUseError(f"{name}: cannot listen on {listen}: {os.strerror(error.errno)}") from error
        raise


def turn_newcomers_away(listener: socket.socket) -> bool:
    """Let nobody begin to connect any more; who has begun may finish, and be accepted. Whether it does so.

    Without it a connection that completes between the last accept and the close is reset, and with it the
    request on it. Who comes now is not answered, tries again a second later, and is refused: then a load
    balancer goes elsewhere. It holds for every process that listens with this socket. Where the system has
    no such filter it does nothing.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    described = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except OSError:
        return False
    return True


def waiting_connections(listener: socket.socket) -> Iterator[socket.socket]:
    """Every connection that the system has completed already: closing the listener would reset them."""
    listener.setblocking(False)  # noqa: FBT003 - the method's only argument
    while True:
        try:
            connection, _address = listener.accept()
        except (ConnectionAbortedError, InterruptedError):
            continue
        except OSError:  # none is left, or there is no descriptor for it
            return
        yield connection


def _open_addresses(listen: Listen, acceptors: int) -> list[list[socket.socket]]:
    """For each address of the name the sockets of all acceptors."""
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as undo:
        opened = [
            _open_copies(family, address, acceptors, undo.callback)
            for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found)
        ]
        undo.pop_all()
    return opened


def _open_copies(
    family: int, address: tuple[object, ...], acceptors: int, undo: Callable[..., object]
) -> list[socket.socket]:
    """Several sockets on one address, none of them joining those of another process.

    SO_REUSEPORT would let a second sidecar of the same user take a part of the connections, silently.
    So the first socket binds without it, which fails where anybody listens, and shares only then.
    """
    copies: list[socket.socket] = []
    for _ in range(acceptors):
        copy = socket.socket(family, socket.SOCK_STREAM)
        undo(copy.close)
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            copy.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if copies:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        copy.bind(copies[0].getsockname() if copies else address)
        if acceptors > 1 and not copies:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        copies.append(copy)
    for copy in copies:
        copy.listen(BACKLOG)
    return copies


def _open_path(path: str) -> socket.socket:
    _make_room(path)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.bind(path)
        Path(path).chmod(0o660)  # owner and group, nobody else of the machine
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _make_room(path: str) -> None:
    """A socket file outlives its process. Anything else at that path is a mistake, and stays."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(BlockingIOError):
        probe.setblocking(False)  # noqa: FBT003 - the method's only argument
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # nobody listens behind it any more
            Path(path).unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
