"""What a supervisor hands on: read back as it was written, and refused when anybody else wrote it."""

import json
import os
import socket
from pathlib import Path

import pytest

from auth_proxy.workers.inherited import VARIABLE, Inherited, inherited_from, listening_sockets
from service_kit.settings import SettingsError


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Number, sockets, lifeline and folder; and no descriptor is handed on any further."""
    read, write = os.pipe()
    place = Inherited(1, 2, (read,), (write,), write, str(tmp_path))
    os.set_inheritable(read, True)
    found = inherited_from(place.environment())
    inheritable = os.get_inheritable(read)
    os.close(read)
    os.close(write)

    assert found == place
    assert not inheritable


def test_a_process_of_its_own_has_none() -> None:
    """Without the variable, or with an empty one, nobody started it as a worker."""
    assert inherited_from({}) is None
    assert inherited_from({VARIABLE: ""}) is None


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "{}",
        "no json",
        json.dumps({"number": 0}),
        Inherited(0, 2, (9999,), (), 9999, "/tmp").environment()[VARIABLE],
        json.dumps({"number": "x", "workers": 1, "gate": [], "ops": [], "lifeline": 0, "folder": ""}),
        json.dumps({"number": 0, "workers": 1, "gate": 1, "ops": [], "lifeline": 0, "folder": ""}),
    ],
)
def test_a_word_of_somebody_else_is_refused(text: str) -> None:
    """A shell that sets the variable is told so by its name; nothing is served on what it points to."""
    with pytest.raises(SettingsError, match="AUTH_PROXY_INHERITED: is no setting"):
        inherited_from({VARIABLE: text})


def test_only_what_listens_is_served_on() -> None:
    """A descriptor that is a listening socket is one to accept from."""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        (found,) = listening_sockets((os.dup(theirs.fileno()),))
        with found:
            assert found.getsockname() == theirs.getsockname()


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    """A pipe, a closed number, or a socket that only connects."""
    read, write = os.pipe()
    ours, theirs = socket.socketpair()
    for descriptor in (read, 9999, ours.fileno()):
        with pytest.raises(SettingsError, match="AUTH_PROXY_INHERITED"):
            listening_sockets((descriptor,))
    for each in (ours, theirs):
        each.close()
    os.close(read)
    os.close(write)
