"""Rows of a long audit log, chained as the recorder chains them; the recorder takes a transaction for each.

The mixture is unkind to a list: an operator who left long ago, one who only ever touched `admin.*`, events of
one scope only, and a rare event.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from service_kit.audit.chain import GENESIS, GLOBAL_CHAIN, pii_commitment, row_hash
from service_kit.audit.tables import shelf_of

FIRST: Final = datetime(2025, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=13)
_ORGANIZATIONS: Final = 20
_AT_ONCE: Final = 2000
_LEFT_AFTER: Final = 5000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of action in the mixture, and the scopes in which it writes."""

    event: str
    action: str
    severity: str
    resource_type: str
    scopes: tuple[str, ...]
    outcome: str = "success"


_SUSPENDED: Final = Kind("tenant.suspended", "suspend_tenant", "WARNING", "tenant", ("global", "tenant"))
_SIGNED_IN: Final = Kind("user.signed_in", "", "INFO", "user", ("tenant",))
_PACK: Final = Kind("billing.pack.created", "create_pack", "NOTICE", "credit_pack", ("global",))
_PACK_GONE: Final = Kind("billing.pack.deleted", "delete_pack", "NOTICE", "credit_pack", ("global",))
_MINTED: Final = Kind("admin.session.minted", "mint_session", "INFO", "operator_session", ("global",))
_SEARCHED: Final = Kind("admin.support_query.executed", "", "CRITICAL", "user", ("global",))
_REPLIES: Final = Kind("billing.replies.granted", "grant_replies", "NOTICE", "billing", ("global", "tenant"))
_MIXTURE: Final = (_SUSPENDED, _SIGNED_IN, _SIGNED_IN, _PACK, _MINTED, _SEARCHED, _REPLIES)


@dataclass(slots=True)
class Batch:
    """Rows for both tables."""

    events: list[Mapping[str, Any]] = field(default_factory=list)
    pii: list[Mapping[str, Any]] = field(default_factory=list)


class LongLog:
    """The chains of one log as they grow."""

    def __init__(self) -> None:
        self._heads: dict[str, tuple[int, str]] = {}
        self._written = 0

    @property
    def heads(self) -> list[Mapping[str, Any]]:
        return [{"chain": chain, "seq": seq, "hash": found} for chain, (seq, found) in self._heads.items()]

    def batches(self, rows: int) -> Iterator[Batch]:
        """So many rows or one more, some thousand at a time."""
        batch, number = Batch(), 0
        while self._written < rows:
            self._act(batch, number)
            number += 1
            if len(batch.events) >= _AT_ONCE:
                yield batch
                batch = Batch()
        yield batch

    def _act(self, batch: Batch, number: int) -> None:
        kind = _PACK_GONE if number % 50_000 == 1 else _MIXTURE[number % len(_MIXTURE)]
        organization = f"org_{number % _ORGANIZATIONS}"
        for scope in kind.scopes:
            chain = GLOBAL_CHAIN if scope == "global" else organization
            at = FIRST + STEP * (self._written if scope == kind.scopes[0] else self._written - 1)
            row = _row(kind, scope, organization, number, row_id=f"aud_{self._written:026}", at=at)
            self._chain(batch, chain, row, _person(row["actor_id"]))

    def _chain(self, batch: Batch, chain: str, row: dict[str, Any], person: Mapping[str, Any]) -> None:
        seq, before = self._heads.get(chain, (0, GENESIS))
        salt = f"{self._written:032x}"
        row |= {"chain": chain, "chain_seq": seq + 1, "prev_hash": before}
        row["pii_commitment"] = pii_commitment(salt, person)
        row["hash"] = row_hash(before, row)
        self._heads[chain] = (seq + 1, row["hash"])
        self._written += 1
        copies = {"shelf": shelf_of(row["event"], row["scope"]), "occurred_at": row["occurred_at"]}
        batch.events.append(row)
        batch.pii.append({"event_id": row["id"], "salt": salt, **person, **copies})


def _actor(kind: Kind, number: int) -> str:
    if number < _LEFT_AFTER and number % 3 == 0:
        return "adm_old"
    if kind.event.startswith("admin."):
        return "adm_admin"
    return f"usr_{number % 997}" if kind is _SIGNED_IN else f"adm_{number % 5}"


def _person(actor_id: str) -> Mapping[str, Any]:
    return {
        "actor_email": f"{actor_id}@example.com",
        "actor_name": f"Person {actor_id}",
        "ip": "192.0.2.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
        "details_pii": {},
    }


def _row(
    kind: Kind, scope: str, organization: str, number: int, *, row_id: str, at: datetime
) -> dict[str, Any]:
    """The content of a row; its place and its hashes come last."""
    tenant, dual = scope == "tenant", len(kind.scopes) > 1
    return {
        "id": row_id,
        "pair_id": f"pair_{number:026}" if dual else None,
        "scope": scope,
        "event": kind.event,
        "event_version": 1,
        "action": kind.action,
        "severity": kind.severity,
        "outcome": "failure" if number % 5000 == 0 else kind.outcome,
        "actor_type": "user" if kind is _SIGNED_IN else "global_admin",
        "actor_id": _actor(kind, number),
        "actor_role": "" if kind is _SIGNED_IN else "super_admin",
        "target_type": "organization" if tenant else "tenant",
        "target_id": organization,
        "resource_type": kind.resource_type,
        "resource_id": organization if dual else f"res_{number % 5003}",
        "organization_id": organization if tenant else None,
        "request_id": f"req_{number}",
        "session_ref": None,
        "justification_code": None,
        "reason": "as agreed with the customer" if dual else "",
        "ticket_ref": "",
        "predicate_digest": None,
        "predicate_shape": None,
        "row_count": None,
        "page_no": None,
        "details": {"number": number, "before": "active", "after": "suspended"},
        "occurred_at": at,
    }
