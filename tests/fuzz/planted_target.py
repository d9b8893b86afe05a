"""A target with a bug in it: proof that a finding is found, told and fatal. It is the screen's own target.

The bug is the classic one: names are compared as they are written, not by their letters.
"""

from collections.abc import Iterator
from unittest import mock

from auth_proxy.pipeline import screen
from tests.fuzz import screen_target


def seeds() -> Iterator[bytes]:
    """Only honest requests: the fuzzer has to come upon the spelling by itself."""
    yield b"GET / HTTP/1.1\r\nHost: admin.example.com\r\nUpgrade: a"
    yield b"GET / HTTP/1.1\r\nHost: admin.example.com\r\nTe-: a\r\nA-b: c"


def one_input(data: bytes) -> None:
    with mock.patch.object(screen, "letters", str.lower):
        screen_target.one_input(data)
