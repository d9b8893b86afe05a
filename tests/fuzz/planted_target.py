"""A target with a bug in it: proof that a finding is found, told and fatal. It is the screen's own target.

The bug is the classic one: names are compared without their dashes, and every other sign is forgotten.
"""

import dataclasses
from collections.abc import Iterator
from unittest import mock

from auth_proxy.header_names import NameFacts, facts_of, kind_of
from auth_proxy.pipeline import screen
from tests.fuzz import screen_target


def seeds() -> Iterator[bytes]:
    """Only honest requests: the fuzzer has to come upon the spelling by itself."""
    yield b"GET / HTTP/1.1\r\nHost: admin.example.com\r\nTe: a"
    yield b"GET / HTTP/1.1\r\nHost: admin.example.com\r\nA_b: a\r\nTe: c"


def one_input(data: bytes) -> None:
    with mock.patch.object(screen, "facts_of", _without_dashes):
        screen_target.one_input(data)


def _without_dashes(name: str) -> NameFacts:
    folded = name.lower().replace("-", "")
    return dataclasses.replace(facts_of(name), folded=folded, kind=kind_of(folded))
