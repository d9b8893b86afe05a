"""`auth-proxy keys`: what each key is at a moment, and what a rotation adds and removes."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from auth_proxy.commands.keys import RotationRefusedError, list_keys, new_key, rotate, states_of
from service_kit.identity.keys import (
    KeyFileError,
    active_key,
    key_file_name,
    load_signing_keys,
    new_signing_key,
    retired_keys,
)
from tests.fakes.clock import START

LEAD = timedelta(seconds=60)
KEPT = timedelta(minutes=11)  # the lead, and ten minutes in which a token or a cache may name it


def key_of_age(folder: Path, age: timedelta) -> str:
    return new_signing_key(folder / key_file_name(START - age))


def kids(folder: Path) -> list[str]:
    return [key.kid for key in load_signing_keys(folder)]


def test_a_new_key_is_for_its_owner_alone_and_whole(tmp_path: Path) -> None:
    """Mode 0600, nothing left beside it, and a name that tells its age where the path is a folder."""
    report = new_key(tmp_path, START)
    (file,) = tmp_path.iterdir()

    assert file.name == "20260102T030405Z.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert report.lines == (f"{kids(tmp_path)[0]}  {file}",)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Also not by a second one in the same second; the draft is gone."""
    new_key(tmp_path, START)
    before = kids(tmp_path)
    with pytest.raises(FileExistsError):
        new_key(tmp_path, START)

    assert kids(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle: no half key for a sidecar to stumble over."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        new_key(tmp_path, START)

    assert list(tmp_path.iterdir()) == []


def test_each_key_has_one_state(tmp_path: Path) -> None:
    """Removable, kept, signing, published: in the order of their age, with the time that counts."""
    ages = [timedelta(hours=2), timedelta(hours=1), timedelta(minutes=5), timedelta(seconds=20)]
    for age in ages:
        key_of_age(tmp_path, age)
    states = states_of(load_signing_keys(tmp_path), START, LEAD)

    assert [state.state for state in states] == [
        "can be removed by rotate",
        "kept until 03:10:05 UTC",
        "signing",
        "published, signs from 03:04:45 UTC",
    ]


@pytest.mark.parametrize("seconds", [0, 59, 60, 61, 659, 660, 661, 1319, 1320, 5000])
def test_the_states_are_those_of_the_signer(tmp_path: Path, seconds: int) -> None:
    """`active_key` and `retired_keys` decide, at every moment of a rotation; the words only follow."""
    for age in (timedelta(seconds=660), timedelta(0)):
        key_of_age(tmp_path, age)
    keys, now = load_signing_keys(tmp_path), START + timedelta(seconds=seconds)
    states = {state.key.kid: state.state for state in states_of(keys, now, LEAD)}

    assert [kid for kid, state in states.items() if state == "signing"] == [active_key(keys, now, LEAD).kid]
    assert {kid for kid, state in states.items() if "removed" in state} == {
        key.kid for key in retired_keys(keys, now, LEAD)
    }


def test_another_day_is_told_with_its_date(tmp_path: Path) -> None:
    """A time of day alone would be read as today's."""
    midnight = datetime.fromisoformat("2026-01-02T23:59:50+00:00")
    for age in (3600, 5):
        new_signing_key(tmp_path / key_file_name(midnight - timedelta(seconds=age)))
    report = list_keys(tmp_path, midnight, LEAD)

    assert report.lines[1].endswith("published, signs from 2026-01-03 00:00:45 UTC")


def test_a_list_is_for_people_and_machines(tmp_path: Path) -> None:
    """Kid, age and state; no private byte."""
    kid = key_of_age(tmp_path, timedelta(hours=1))
    report = list_keys(tmp_path, START, LEAD)

    assert report.lines == (f"{kid}  2026-01-02T02:04:05Z  signing",)
    assert report.document == {"keys": [{"kid": kid, "created": "2026-01-02T02:04:05Z", "state": "signing"}]}


def test_a_rotation_adds_one_key_and_removes_what_is_retired(tmp_path: Path) -> None:
    """The report says which signs now, which will, and which are gone."""
    gone, signing = (key_of_age(tmp_path, age) for age in (timedelta(hours=1), KEPT))
    report = rotate(tmp_path, START, LEAD)
    after = kids(tmp_path)

    assert after[0] == signing
    assert len(after) == 2
    assert report.lines == (
        f"signing     {signing}",
        f"published   {after[1]}, signs from 03:05:05 UTC",
        f"removed     {gone}",
    )
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_key_that_something_may_still_name_stays(tmp_path: Path) -> None:
    """One second before its time, and whatever the force."""
    old, signing = (key_of_age(tmp_path, age) for age in (timedelta(hours=1), KEPT - timedelta(seconds=1)))
    report = rotate(tmp_path, START, LEAD, force=True)

    assert kids(tmp_path)[:2] == [old, signing]
    assert report.lines[2] == "removed     none"


def test_two_rotations_in_a_row_are_refused(tmp_path: Path) -> None:
    """The key before does not sign yet: another one would only pile up, unless somebody insists."""
    key_of_age(tmp_path, timedelta(hours=1))
    rotate(tmp_path, START, LEAD)
    with pytest.raises(RotationRefusedError, match=r"is to sign from 03:05:05 UTC"):
        rotate(tmp_path, START + timedelta(seconds=59), LEAD)

    assert len(kids(tmp_path)) == 2
    rotate(tmp_path, START + timedelta(seconds=59), LEAD, force=True)
    assert len(kids(tmp_path)) == 3
    with pytest.raises(RotationRefusedError):
        rotate(tmp_path, START + timedelta(seconds=60), LEAD)
    rotate(tmp_path, START + timedelta(seconds=119), LEAD)
    assert len(kids(tmp_path)) == 4


def test_a_single_file_is_refused_with_the_way_to_a_folder(tmp_path: Path) -> None:
    """The line can be pasted: it makes the folder and moves the key."""
    file = tmp_path / "identity.pem"
    new_signing_key(file)
    with pytest.raises(KeyFileError) as refused:
        rotate(file, START, LEAD)

    folder = tmp_path / "identity"
    assert f"mkdir -m 700 {folder} && mv {file} {folder}/" in str(refused.value)
    assert f"INTERNAL_SIGNING_KEY_FILE={folder}" in str(refused.value)
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """There is nothing to rotate; `keys new` makes the first one."""
    with pytest.raises(KeyFileError, match="holds no"):
        rotate(tmp_path, START, LEAD)

    assert list(tmp_path.iterdir()) == []
