"""Which of several signing keys signs, and which may go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service_kit.identity.keys import (
    PUBLISH_BEFORE_USE,
    RETIRE_AFTER,
    KeyFileError,
    active_key,
    key_file_name,
    load_signing_keys,
    new_signing_key,
    retired_keys,
)

NOW = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)


def folder_with(folder: Path, *ages: timedelta) -> list[str]:
    """Key ids of keys of these ages."""
    return [new_signing_key(folder / key_file_name(NOW - age)) for age in ages]


def test_the_name_of_a_file_tells_its_age(tmp_path: Path) -> None:
    """A copy, a backup or a mounted secret loses the time of the file, never its name."""
    (kid,) = folder_with(tmp_path, timedelta(days=3))
    (only,) = load_signing_keys(tmp_path)

    assert key_file_name(NOW) == "20261121T123005Z.pem"
    assert (only.kid, only.created_at) == (kid, NOW - timedelta(days=3))
    assert only.file == tmp_path / key_file_name(NOW - timedelta(days=3))


def test_any_other_name_has_the_time_of_the_file(tmp_path: Path) -> None:
    """A single `identity.pem` needs no ceremony."""
    new_signing_key(tmp_path / "identity.pem")
    (only,) = load_signing_keys(tmp_path)

    assert abs(only.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_one_key_under_two_names_is_refused(tmp_path: Path) -> None:
    """Two ages for one key would leave it open which of them counts."""
    folder_with(tmp_path, timedelta(days=1))
    original = tmp_path / key_file_name(NOW - timedelta(days=1))
    (tmp_path / key_file_name(NOW)).write_bytes(original.read_bytes())

    with pytest.raises(KeyFileError, match="the same key twice"):
        load_signing_keys(tmp_path)


def test_a_new_key_signs_after_its_lead_and_the_old_one_goes_later(tmp_path: Path) -> None:
    """Publish, sign, retire: at each moment there is one signer, and it was published before."""
    old, new = folder_with(tmp_path, timedelta(days=9), timedelta())
    keys = load_signing_keys(tmp_path)
    signs_from = NOW + PUBLISH_BEFORE_USE

    assert active_key(keys, signs_from - timedelta(seconds=1)).kid == old
    assert active_key(keys, signs_from).kid == new
    assert retired_keys(keys, signs_from + RETIRE_AFTER - timedelta(seconds=1)) == ()
    assert [key.kid for key in retired_keys(keys, signs_from + RETIRE_AFTER)] == [old]


def test_a_single_key_is_never_retired(tmp_path: Path) -> None:
    """Without a successor there is nothing that could take over."""
    folder_with(tmp_path, timedelta(days=900))

    assert retired_keys(load_signing_keys(tmp_path), NOW) == ()


def test_the_lead_is_a_parameter_of_both(tmp_path: Path) -> None:
    """INTERNAL_SIGNING_LEAD_SECONDS moves the first signature and the retirement alike."""
    old, new = folder_with(tmp_path, timedelta(days=9), timedelta(seconds=10))
    keys = load_signing_keys(tmp_path)

    assert active_key(keys, NOW, timedelta(seconds=10)).kid == new
    assert active_key(keys, NOW, timedelta(seconds=11)).kid == old
    lead = timedelta(seconds=5)
    later = NOW + RETIRE_AFTER - timedelta(seconds=5)
    assert [key.kid for key in retired_keys(keys, later, lead)] == [old]
    assert retired_keys(keys, later - timedelta(seconds=1), lead) == ()


def test_a_key_waits_a_minute_and_stays_ten_minutes() -> None:
    """In numbers: services cache the set for less than a minute, and every token has ended after ten."""
    assert timedelta(minutes=1) == PUBLISH_BEFORE_USE
    assert timedelta(minutes=10) == RETIRE_AFTER
