"""The arithmetic of the ledger, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_service.billing.closed_sets import Account
from tenant_service.billing.credits.models import Posting, Share
from tenant_service.billing.credits.postings import (
    UnbalancedError,
    changes_of,
    grant_changes_of,
    moved,
    require_balanced,
    returned,
    shares_of,
)

SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(
    lambda amounts: tuple(Share(f"grant_{place}", amount) for place, amount in enumerate(amounts))
)


@given(SHARES, st.sampled_from([Account.EXPIRED, Account.VOIDED]), st.integers(0, 5))
def test_what_comes_back_sums_to_zero_and_outlives_nothing(
    shares: tuple[Share, ...], end: Account, ended: int
) -> None:
    """G-13: of each grant exactly what left comes back, and of a grant that ended nothing is available."""
    gone = {share.grant_id: end for share in shares[:ended]}
    postings = returned(shares, Account.CONSUMED, gone)

    require_balanced(postings)
    living = {share.grant_id: share.amount for share in shares if share.grant_id not in gone}
    assert grant_changes_of(postings) == living
    assert changes_of(postings)[Account.CONSUMED] == -sum(share.amount for share in shares)


@given(SHARES)
def test_a_movement_can_be_read_back(shares: tuple[Share, ...]) -> None:
    """G-13: the recorded postings tell exactly which grant paid what."""
    assert shares_of(moved(shares, Account.AVAILABLE, Account.CONSUMED), Account.CONSUMED) == shares


@pytest.mark.parametrize(
    "postings",
    [
        (Posting("g", Account.AVAILABLE, 1),),
        (Posting("g", Account.AVAILABLE, -1), Posting("h", Account.CONSUMED, 1)),
        (Posting("g", Account.AVAILABLE, 0),),
    ],
)
def test_what_does_not_sum_to_zero_is_never_written(postings: tuple[Posting, ...]) -> None:
    """G-13: one side alone, two grants mixed up, or nothing at all is a defect, not an entry."""
    with pytest.raises(UnbalancedError):
        require_balanced(postings)
