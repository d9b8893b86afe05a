"""The digest of a search: reproducible by who knows the key and the search, useless to anybody else.

    HMAC-SHA-256(key, canonical JSON of {query_id, sql_template, params, order, limit, cursor})

A plain hash of an address is guessable; this one is not, because the key stands beside the database, not in
it (R-124). A value of the search is neither stored nor logged. `cursor` is a keyed digest too,
kept in the row, so that a further page can be checked by who knows the search alone.
"""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from service_kit.audit.chain import canonical_json
from service_kit.db.key_files import SecretFileError, secret_of_file
from service_kit.identity.keys import KeyFileError
from tenant_service.support.models import Field, Match, Place, Wanted

QUERY_ID: Final = "support.users.1"
"""Names the rules by which a digest is made. Other rules need another name: old rows keep theirs."""

_ORDER: Final = "email, id"
_EMAIL: Final = {
    Match.EXACT: "email = :value",
    Match.PREFIX: "email LIKE :value || '%'",
    Match.CONTAINS: "email LIKE '%' || :value || '%'",
}
_NAME: Final = {
    Match.EXACT: "lower(name) = lower(:value)",
    Match.PREFIX: "lower(name) LIKE lower(:value) || '%'",
    Match.CONTAINS: "lower(name) LIKE '%' || lower(:value) || '%'",
}


class PredicateKeyError(KeyFileError):
    """The key file is no key, or cannot be read or made."""


class PredicateKey:
    """The key of this service and all its replicas; it makes digests and shows itself to nobody."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The key of a file, made when there is none. Raises PredicateKeyError."""
        try:
            return cls(secret_of_file(path))
        except SecretFileError as error:
            raise PredicateKeyError(str(error)) from error

    def predicate(self, wanted: Wanted, *, limit: int, cursor: str | None) -> str:
        """The digest of one page of a search; `cursor` is what `place` gave for its beginning."""
        return self._digest(
            {
                "query_id": QUERY_ID,
                "sql_template": _template(wanted),
                "params": {"value": wanted.folded},
                "order": _ORDER,
                "limit": limit,
                "cursor": cursor,
            }
        )

    def place(self, place: Place | None) -> str | None:
        """The digest of where a page begins; None for the first."""
        if place is None:
            return None
        return self._digest({"query_id": QUERY_ID, "after": place.user_id, "page_no": place.page_no})

    def result(self, user_ids: Sequence[str]) -> str:
        """The digest of who was shown, in the order of the page."""
        return self._digest({"query_id": QUERY_ID, "users": list(user_ids)})

    def _digest(self, value: object) -> str:
        return hmac.new(self._key, canonical_json(value), hashlib.sha256).hexdigest()


def _template(wanted: Wanted) -> str:
    """The condition with its value left open; what is read beside it never varies (`QUERY_ID`)."""
    by_email = _EMAIL[wanted.match]
    return by_email if wanted.field is Field.EMAIL else f"({by_email} OR {_NAME[wanted.match]})"
