"""Proves `auth_proxy.access.token_cache`."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auth_proxy.access.claims import AccessClaims
from auth_proxy.access.token_cache import (
    LASTING_REASONS,
    REFUSAL_SECONDS,
    RefusedTokenCache,
    VerifiedToken,
    VerifiedTokenCache,
    token_digest,
)
from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey
from tests.fakes.clock import START, FrozenClock

NOW = int(START.timestamp())


class Keys:
    """Trusts exactly one key object under one kid."""

    def __init__(self, key: RSAPublicKey) -> None:
        self.trusted: dict[str, RSAPublicKey] = {"k1": key}

    def has(self, kid: str, key: RSAPublicKey) -> bool:
        return self.trusted.get(kid) is key


@pytest.fixture
def keys(first_key: SigningKey) -> Keys:
    return Keys(first_key.private.public_key())


@pytest.fixture
def verified(keys: Keys) -> Callable[[int], VerifiedToken]:
    def make(lifetime: int) -> VerifiedToken:
        claims = AccessClaims(
            issuer="i",
            audiences=("a",),
            subject="s",
            email=None,
            token_type=None,
            common_name=None,
            issued_at=NOW,
            expires_at=NOW + lifetime,
            not_before=None,
            country=None,
            identity_nonce=None,
            key_id="k1",
        )
        return VerifiedToken(claims, keys.trusted["k1"])

    return make


def test_a_digest_stands_for_the_whole_token() -> None:
    """The cache holds SHA-256 of the token, not the token."""
    assert len(token_digest("a.b.c")) == 32
    assert token_digest("a.b.c") != token_digest("a.b.d")


def test_an_entry_dies_at_exp_plus_leeway(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """A second before exp + 60 s it is there, at that second it is gone."""
    cache = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    cache.remember(b"d", verified(100))
    clock.advance(159)
    assert cache.find(b"d", clock.now().timestamp()) == verified(100)

    clock.advance(1)

    assert cache.find(b"d", clock.now().timestamp()) is None
    assert len(cache) <= 1


def test_an_expired_token_is_not_kept(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """What is beyond exp + leeway at once takes no place."""
    cache = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)

    cache.remember(b"d", verified(-60))

    assert len(cache) == 0


def test_an_entry_dies_with_its_key(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken], second_key: SigningKey
) -> None:
    """A key that left the set, or another key under the same kid, takes its tokens along for good."""
    cache = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    entry = verified(100)
    cache.remember(b"d", entry)
    keys.trusted["k1"] = second_key.private.public_key()
    assert cache.find(b"d", clock.now().timestamp()) is None

    keys.trusted["k1"] = entry.key

    assert cache.find(b"d", clock.now().timestamp()) is None


def test_a_dead_entry_that_expires_meanwhile_is_no_error(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """Time may pass between the look and the removal."""

    class Slow(Keys):
        def has(self, kid: str, key: RSAPublicKey) -> bool:
            clock.advance(1)
            return not super().has(kid, key)

    cache = VerifiedTokenCache(Slow(keys.trusted["k1"]), clock=clock, leeway_seconds=0)
    cache.remember(b"d", verified(1))

    assert cache.find(b"d", clock.now().timestamp()) is None


def test_both_caches_are_bounded(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """The least recently used entry makes room; no flood of tokens grows the memory."""
    good = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60, max_tokens=3)
    bad = RefusedTokenCache(clock=clock, max_tokens=3)
    for number in range(10):
        good.remember(b"%d" % number, verified(100))
        bad.remember(b"%d" % number, Reason.TOKEN_SIGNATURE, generation=1)

    assert (len(good), len(bad)) == (3, 3)
    assert good.find(b"9", clock.now().timestamp()) is not None
    assert good.find(b"0", clock.now().timestamp()) is None


def test_the_least_recently_used_makes_room(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """R-012, R-047: what is asked for again stays; a flood of others pushes out what nobody asks for."""
    now = clock.now().timestamp()
    good = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60, max_tokens=2)
    bad = RefusedTokenCache(clock=clock, max_tokens=2)
    for digest in (b"a", b"b"):
        good.remember(digest, verified(100))
        bad.remember(digest, Reason.TOKEN_SIGNATURE, generation=1)
    assert (good.find(b"a", now), bad.find(b"a", generation=1)) == (verified(100), Reason.TOKEN_SIGNATURE)

    good.remember(b"c", verified(100))
    bad.remember(b"c", Reason.TOKEN_SIGNATURE, generation=1)

    assert [good.find(digest, now) is not None for digest in (b"a", b"b", b"c")] == [True, False, True]
    assert [bad.find(digest, generation=1) is not None for digest in (b"a", b"b", b"c")] == [
        True,
        False,
        True,
    ]


def test_a_token_that_is_remembered_again_takes_one_place(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """R-012, R-047: the newer proof or refusal replaces the older one, and its time begins anew."""
    good = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    bad = RefusedTokenCache(clock=clock)
    for lifetime in (100, 300):
        good.remember(b"d", verified(lifetime))
        bad.remember(b"d", Reason.TOKEN_SIGNATURE, generation=1)
        clock.advance(REFUSAL_SECONDS - 1)

    assert (len(good), len(bad)) == (1, 1)
    assert good.find(b"d", clock.now().timestamp()) == verified(300)
    assert bad.find(b"d", generation=1) is Reason.TOKEN_SIGNATURE


def test_a_clock_that_steps_does_not_break_the_cache(
    keys: Keys, clock: FrozenClock, verified: Callable[[int], VerifiedToken]
) -> None:
    """A wall clock moved a day forward drops entries, moved back it lets new ones in."""
    cache = VerifiedTokenCache(keys, clock=clock, leeway_seconds=60)
    cache.remember(b"d", verified(100))
    clock.advance(timedelta(days=1).total_seconds())
    assert cache.find(b"d", clock.now().timestamp()) is None
    clock.advance(-timedelta(days=1).total_seconds())

    cache.remember(b"e", verified(100))

    assert cache.find(b"e", clock.now().timestamp()) is not None


@pytest.mark.parametrize("reason", sorted(LASTING_REASONS))
def test_a_lasting_refusal_is_remembered_for_a_minute(clock: FrozenClock, reason: Reason) -> None:
    """A replayed bad token finds its reason until 60 s have passed."""
    cache = RefusedTokenCache(clock=clock)
    cache.remember(b"d", reason, generation=1)
    clock.advance(REFUSAL_SECONDS - 1)
    assert cache.find(b"d", generation=1) is reason

    clock.advance(1)

    assert cache.find(b"d", generation=1) is None


@pytest.mark.parametrize("reason", sorted(set(Reason) - LASTING_REASONS))
def test_what_may_pass_by_itself_is_never_remembered(clock: FrozenClock, reason: Reason) -> None:
    """An unknown kid, absent keys, an early token or another audience must recover at once."""
    cache = RefusedTokenCache(clock=clock)

    cache.remember(b"d", reason, generation=1)

    assert cache.find(b"d", generation=1) is None


def test_a_refusal_ends_with_the_key_set_that_it_was_made_with(clock: FrozenClock) -> None:
    """A key replaced under its kid gives every token a new look (R-047)."""
    cache = RefusedTokenCache(clock=clock)
    cache.remember(b"d", Reason.TOKEN_SIGNATURE, generation=1)

    assert cache.find(b"d", generation=2) is None
    assert len(cache) == 0
