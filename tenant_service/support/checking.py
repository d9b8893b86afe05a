"""Whether a recorded search was for these values: what the security role asks of a digest (R-124).

It tells yes or no and nothing else, and records that it was asked. It finds nobody.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service_kit.audit.queries import AuditQueries
from service_kit.db.session import Database
from service_kit.ids import is_id
from tenant_service.asking import Asker
from tenant_service.events import SUPPORT_QUERY_EXECUTED
from tenant_service.support.asking import wanted_of
from tenant_service.support.errors import no_such_search, other_form_of_digest
from tenant_service.support.models import Match
from tenant_service.support.predicates import QUERY_ID, PredicateKey
from tenant_service.support.recording import SearchLog
from tenant_service.support.schemas import PredicateCheck, PredicateParams


@dataclass(frozen=True, slots=True)
class PredicateChecking:
    """Compares a suspected search with the digest in its audit row."""

    database: Database
    audit: AuditQueries
    key: PredicateKey
    log: SearchLog

    async def check(self, asker: Asker, asked: PredicateCheck) -> bool:
        """Whether the row is of this search; the question itself becomes a row in the same transaction.

        Raises NotFoundError for a row that is no search or is hidden, ConflictError for a digest of
        other rules, BadRequestError for values that nobody could have searched for.
        """
        if not is_id(asked.event_id, "aud"):
            raise no_such_search()
        async with self.database.write() as session:
            row = await self.audit.by_id(session, asked.event_id, hide_admin_events=asker.hides_admin_events)
            if row is None or row["event"] != SUPPORT_QUERY_EXECUTED.name:
                raise no_such_search()
            matches = hmac.compare_digest(self._digest(row, asked.params), str(row["predicate_digest"]))
            await self.log.checked(session, asker, asked.event_id, matches=matches)
        return matches

    def _digest(self, row: Mapping[str, Any], params: PredicateParams) -> str:
        details = row["details"]
        if details["queryId"] != QUERY_ID:
            raise other_form_of_digest()
        match = params.match or _match_of(row["predicate_shape"])
        wanted = wanted_of(params.email, params.q, match)
        return self.key.predicate(wanted, limit=details["limit"], cursor=details["cursorDigest"])


def _match_of(shape: str) -> Match:
    """How the search was asked; all its columns are matched alike."""
    return Match(next(iter(json.loads(shape).values())))
