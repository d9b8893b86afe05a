"""Puts the support search together; nothing runs here but the making of its keys."""

from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from service_kit.audit.queries import AuditQueries
from service_kit.clock import Clock
from service_kit.db.service_keys import ensure_service_key
from service_kit.db.session import Database
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from tenant_service.people.sliding_log import SlidingLog
from tenant_service.recording import Recorder
from tenant_service.support.checking import PredicateChecking
from tenant_service.support.cursors import PlaceCodec
from tenant_service.support.predicates import PredicateKey
from tenant_service.support.recording import SearchLog
from tenant_service.support.repository import SupportRepository
from tenant_service.support.service import SearchMetrics, SupportSearch
from tenant_service.tables import Tables


@dataclass(frozen=True, slots=True)
class SearchRules:
    """What an installation may decide: who searches (C-11), if tenants are told, where the key stands."""

    roles: frozenset[Role]
    tells_tenants: bool
    predicate_key_file: Path


@dataclass(frozen=True, slots=True)
class Support:
    """What the handlers ask."""

    search: SupportSearch
    checking: PredicateChecking


@dataclass(frozen=True, slots=True)
class SupportParts:
    """What the service has already."""

    database: Database
    tables: Tables
    recorder: Recorder
    ids: IdFactory
    clock: Clock
    registry: CollectorRegistry


async def open_support(parts: SupportParts, rules: SearchRules, namespace: str) -> Support:
    """The search and the check of its digests, with keys that all replicas share."""
    tables, clock = parts.tables, parts.clock
    cursor_key = await ensure_service_key(parts.database, tables.service_keys, "cursor", clock)
    key = PredicateKey.of_file(rules.predicate_key_file)
    log = SearchLog(parts.recorder, parts.ids, key, rules.tells_tenants)
    search = SupportSearch(
        database=parts.database,
        people=SupportRepository(tables.people, tables.organizations),
        hits=SlidingLog(tables.rate_limit_hits),
        log=log,
        cursors=PlaceCodec(cursor_key),
        roles=rules.roles,
        metrics=SearchMetrics(parts.registry, namespace),
        clock=clock,
    )
    return Support(search, PredicateChecking(parts.database, AuditQueries(tables.audit), key, log))
