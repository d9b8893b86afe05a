"""The signing keys while the sidecar runs: a new one waits, a broken folder changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth_proxy.key_ring import KeyRing
from service_kit.identity.keys import KeyFileError, active_key, key_file_name, new_signing_key
from service_kit.identity.signing import IdentitySigner, Subject
from tests.fakes.clock import FrozenClock

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add(folder: Path, created_at: datetime) -> str:
    return new_signing_key(folder / key_file_name(created_at))


def test_a_key_that_arrives_waits_whatever_its_file_says(tmp_path: Path) -> None:
    """Made a week ago on another machine: nobody has seen it published, so it does not sign yet."""
    clock = FrozenClock(NOW)
    old = add(tmp_path, NOW - timedelta(days=30))
    ring = KeyRing(tmp_path, clock)
    fresh = add(tmp_path, NOW - timedelta(days=7))

    ring.look()

    assert [key.kid for key in ring.current()] == [old, fresh]
    assert active_key(ring.current(), clock.now()).kid == old
    clock.advance(60)
    assert active_key(ring.current(), clock.now()).kid == fresh


def test_a_known_key_keeps_its_time_when_another_arrives(tmp_path: Path) -> None:
    """A second arrival must not make the first one wait again."""
    clock = FrozenClock(NOW)
    add(tmp_path, NOW - timedelta(days=30))
    ring = KeyRing(tmp_path, clock)
    second = add(tmp_path, NOW)
    ring.look()
    clock.advance(50)
    add(tmp_path, NOW + timedelta(seconds=50))
    ring.look()
    clock.advance(10)

    assert active_key(ring.current(), clock.now()).kid == second


def test_a_removed_key_is_gone_and_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Keys leave one by one; the last good set stays when nothing usable is left."""
    refused: list[bool] = []
    old, new = add(tmp_path, NOW - timedelta(days=2)), add(tmp_path, NOW - timedelta(days=1))
    ring = KeyRing(tmp_path, FrozenClock(NOW), refused=lambda: refused.append(True))

    (tmp_path / key_file_name(NOW - timedelta(days=2))).unlink()
    ring.look()
    assert [key.kid for key in ring.current()] == [new]
    (tmp_path / key_file_name(NOW - timedelta(days=1))).unlink()
    ring.look()

    assert [key.kid for key in ring.current()] == [new]
    assert refused == [True]
    assert old != new


def test_without_any_key_nothing_starts(tmp_path: Path) -> None:
    """A sidecar that cannot sign must not listen."""
    with pytest.raises(KeyFileError):
        KeyRing(tmp_path, FrozenClock(NOW))


def test_the_signer_follows_the_ring_and_its_lead_time(tmp_path: Path) -> None:
    """The published set has the new key at once; it signs after the configured lead."""
    clock = FrozenClock(NOW)
    old = add(tmp_path, NOW - timedelta(days=1))
    ring = KeyRing(tmp_path, clock)
    signer = IdentitySigner(ring.current, clock, issuer="auth_proxy", lead=timedelta(seconds=5))
    new = add(tmp_path, NOW)
    ring.look()

    def signs() -> str:
        import jwt

        return str(jwt.get_unverified_header(signer.sign(Subject(sub="s"), audience="a"))["kid"])

    published = signer.jwks()["keys"]
    assert isinstance(published, list)
    assert [key["kid"] for key in published] == [old, new]
    assert signs() == old
    clock.advance(5)
    assert signs() == new
