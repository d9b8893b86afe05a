"""The canonical form is one byte string per value, whatever order or machine it was made on."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.audit.chain import GENESIS, canonical_json, row_hash
from tests.fakes.clock import START


@pytest.mark.parametrize("value", [{"\u00e9": 1, "e\u0301": 2}, {1: "a", "1": "b"}, {"a": [{1: 0, "1": 0}]}])
def test_a_member_that_is_there_twice_is_refused(value: object) -> None:
    """Which of the two counted would depend on their order, which no database keeps."""
    with pytest.raises(ValueError, match="twice"):
        canonical_json(value)


def test_a_naive_time_is_refused() -> None:
    """Each machine would read it in its own zone, and the same row would have two hashes."""
    naive: datetime = START.replace(tzinfo=None)

    with pytest.raises(ValueError, match="naive"):
        canonical_json({"at": naive})


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=5))
def test_the_canonical_form_is_final(value: dict[str, Any]) -> None:
    """Reading it back and writing it again changes no byte, whatever the order of the members was."""
    written = canonical_json(value)

    assert canonical_json(json.loads(written)) == written
    assert canonical_json(dict(reversed(value.items()))) == written


@given(st.dictionaries(keys, values, min_size=1, max_size=5), st.data())
def test_every_member_is_covered(row: dict[str, Any], data: st.DataObject) -> None:
    """A member that is left out, renamed or emptied gives another hash; so does another row before it."""
    name = data.draw(st.sampled_from([*row]).filter(lambda name: name != "hash"))
    rest = {key: value for key, value in row.items() if key != name}

    assert row_hash(GENESIS, rest) != row_hash(GENESIS, row)
    assert row_hash(GENESIS, {**rest, f"{name}x": row[name]}) != row_hash(GENESIS, row)
    assert row_hash(GENESIS, {**row, name: [row[name]]}) != row_hash(GENESIS, row)
    assert row_hash("1" * 64, row) != row_hash(GENESIS, row)
