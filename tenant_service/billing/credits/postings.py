"""The arithmetic of the ledger: which postings a movement makes, and what they change.

It knows no database and no clock. Every movement here sums to zero for each grant by construction, and
`require_balanced` says so once more before anything is written.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tenant_service.billing.closed_sets import Account
from tenant_service.billing.credits.models import Grant, Posting, Share


class UnbalancedError(Exception):
    """A defect: postings that do not sum to zero were about to be written."""


def moved(shares: Iterable[Share], source: Account, target: Account) -> tuple[Posting, ...]:
    """Credit leaves one account and enters another, grant by grant."""
    return tuple(
        posting
        for share in shares
        for posting in (
            Posting(share.grant_id, source, -share.amount),
            Posting(share.grant_id, target, share.amount),
        )
    )


def returned(shares: Sequence[Share], source: Account, lapsed: Mapping[str, Account]) -> tuple[Posting, ...]:
    """Credit goes back to the grants that it came from.

    What belongs to a grant that ended meanwhile (`lapsed` names where such credit goes) does not become
    spendable again: it is posted on at once. So nothing ever outlives the expiry it was granted with.
    """
    back = moved(shares, source, Account.AVAILABLE)
    gone = tuple(
        posting
        for share in shares
        if share.grant_id in lapsed
        for posting in moved((share,), Account.AVAILABLE, lapsed[share.grant_id])
    )
    return back + gone


def shares_of(postings: Iterable[Posting], account: Account) -> tuple[Share, ...]:
    """What entered an account in a transaction, in the recorded order of its grants."""
    entered: Counter[str] = Counter()
    for posting in postings:
        if posting.account is account:
            entered[posting.grant_id] += posting.amount
    return tuple(Share(grant_id, amount) for grant_id, amount in entered.items() if amount > 0)


def burned(grants: Iterable[Grant], amount: int) -> tuple[Share, ...]:
    """What each grant gives, in the order in which they stand; less than `amount` when they hold less."""
    shares, missing = [], amount
    for grant in grants:
        given = min(grant.remaining, missing)
        if given > 0:
            shares.append(Share(grant.id, given))
            missing -= given
    return tuple(shares)


def total(shares: Iterable[Share]) -> int:
    return sum(share.amount for share in shares)


def changes_of(postings: Iterable[Posting]) -> Mapping[Account, int]:
    """What the postings change in each account."""
    changes: Counter[Account] = Counter()
    for posting in postings:
        changes[posting.account] += posting.amount
    return changes


def grant_changes_of(postings: Iterable[Posting]) -> Mapping[str, int]:
    """What the postings change in what is available of each grant; an unchanged grant is absent."""
    changes: Counter[str] = Counter()
    for posting in postings:
        if posting.account is Account.AVAILABLE:
            changes[posting.grant_id] += posting.amount
    return {grant_id: change for grant_id, change in changes.items() if change}


def require_balanced(postings: Iterable[Posting]) -> None:
    """Raises UnbalancedError unless the postings of each grant sum to zero and none of them is zero."""
    sums: Counter[str] = Counter()
    for posting in postings:
        if posting.amount == 0:
            raise UnbalancedError("a posting of nothing")
        sums[posting.grant_id] += posting.amount
    if any(sums.values()):
        raise UnbalancedError("postings that do not sum to zero")
