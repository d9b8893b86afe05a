"""Canonical JSON and the link between rows, with vectors that another language can check."""

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum
from typing import Any

import pytest

from service_kit.audit.chain import GENESIS, canonical_json, pii_commitment, row_hash


class Word(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (-(2**70), "-1180591620717411303424"),
        ("", '""'),
        ("é", '"é"'),
        ("e\u0301", '"é"'),
        ('a"\\\n\x01\u2028🦄', '"a\\"\\\\\\n\\u0001\u2028🦄"'),
        ([], "[]"),
        ({"b": 1, "a": {"z": (1, 2), "y": None}}, '{"a":{"y":null,"z":[1,2]},"b":1}'),
        ({"e\u0301": 1}, '{"é":1}'),
        ({2: "x", 1: "y"}, '{"1":"y","2":"x"}'),
        (AT, '"2026-01-02T03:04:05.000000Z"'),
        (AT.astimezone(timezone(timedelta(hours=5.5))), '"2026-01-02T03:04:05.000000Z"'),
        (Word.RED, '"red"'),
        (Number.ONE, "1"),
    ],
    ids=ascii,
)
def test_one_value_has_one_text(value: Any, text: str) -> None:
    """Sorted keys, no spaces, UTF-8, NFC, UTC."""
    assert canonical_json(value) == text.encode()


@pytest.mark.parametrize("value", [0.5, 1.0, float("nan"), b"x", {1, 2}, object(), [0.1], {"a": {"b": 1.5}}])
def test_what_two_machines_may_write_differently_has_no_text(value: Any) -> None:
    """A float, bytes, a set: refused at any depth."""
    with pytest.raises(ValueError, match="no canonical form"):
        canonical_json(value)


def test_different_values_have_different_texts() -> None:
    """attacks: 1, true, "1" and null are four values; a byte moved across two members is another row."""
    values: list[Any] = [
        1,
        True,
        "1",
        None,
        "",
        [],
        {},
        {"a": "bc"},
        {"ab": "c"},
        {"a": "b", "c": ""},
        ["a", "b"],
        ["ab"],
    ]

    assert len({canonical_json(value) for value in values}) == len(values)


def test_a_hash_covers_the_row_and_the_one_before() -> None:
    """A published vector; the hash itself is not part of what it covers."""
    row = {"id": "aud_1", "prev_hash": GENESIS, "n": 1}
    digest = "96a1c3a9194091b7736231f4cd08aacb394e1da4b473b601cd3081b22e45212a"

    assert row_hash(GENESIS, row) == digest
    assert row_hash(GENESIS, {**row, "hash": "anything"}) == digest
    assert row_hash("1" * 64, row) != digest
    assert row_hash(GENESIS, {**row, "n": 2}) != digest


def test_a_commitment_is_useless_without_its_salt() -> None:
    """Guessing an address does not help whoever has no salt."""
    pii = {"actor_email": "ada@example.com"}

    assert pii_commitment("a", pii) != pii_commitment("b", pii)
    assert pii_commitment("a", pii) == pii_commitment("a", dict(pii))
    assert len(pii_commitment("a", pii)) == 64
