"""The only door to the tenant service: a typed client that asks in the operator's own name.

It has no identity of its own to offer: every request carries the delegation that the sidecar made
for this browser request, so this service can neither invent nor widen what an operator may do.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from admin_service.caller import Origin
from admin_service.tenant_address import open_session, parse_address
from admin_service.tenant_answers import (
    Answer,
    AuditActivity,
    AuditCountsAnswer,
    AuditDetail,
    AuditProof,
    AuditRows,
    CreatedTenant,
    EventCatalogue,
    TenantCounts,
    TenantDetail,
    TenantPage,
)
from admin_service.tenant_export import TenantExport, open_export
from admin_service.tenant_parameters import audit_parameters, given, place, stretch_parameters
from service_kit.audit.failing import AUDIT_WRITE_FAILED, AuditWriteFailedError
from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Stretch
from service_kit.db.keyset import Position
from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    PreconditionRequiredError,
    ProblemError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
    UnsupportedMediaError,
)
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.telemetry.logging import get_logger

READ_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 10.0
VERIFY_SECONDS: Final = 25.0
_CONNECT_SECONDS: Final = 1.0
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_RETRY_AFTER: Final = 3600
_MULTIPLE_CHOICES: Final = 300
_NO_CONTENT: Final = b"{}"

_TENANTS: Final = "/api/admin/tenants"
_COUNTS: Final = "/internal/v1/tenant-counts"
_AUDIT: Final = "/internal/v1/audit-events"
_VERIFY: Final = "/internal/v1/audit-events/verify"
_ACTIVITY: Final = "/internal/v1/audit-activity"

_ERRORS: Final[Mapping[int, type[ProblemError]]] = {
    kind.status: kind
    for kind in (
        BadRequestError,
        ForbiddenError,
        NotFoundError,
        ConflictError,
        PreconditionFailedError,
        PayloadTooLargeError,
        UnsupportedMediaError,
        UnprocessableError,
        PreconditionRequiredError,
        RateLimitedError,
    )
}

_log = get_logger(__name__)

A = TypeVar("A", bound=Answer)
Body = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """In whose name a request is made, and from where it came."""

    delegation: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class TenantListQuery:
    """What to list, in the words of the API; an empty member asks nothing."""

    q: str = ""
    status: str = ""
    plan: str = ""
    created_from: str = ""
    created_to: str = ""
    low_balance: str = ""
    sort: str = ""
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What the operator typed, unjudged: the tenant service says what is wrong with it."""

    slug: str
    name: str
    primary_admin_email: str
    plan: str
    currency: str


class _Problem(BaseModel):
    """A problem document; members beyond these are its extra."""

    model_config = ConfigDict(extra="allow", frozen=True)

    status: int
    code: str
    error: str
    errors: list[dict[str, str]] = []
    type: str = ""
    title: str = ""
    requestId: str = ""  # noqa: N815 - the member's name


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request as it will be sent."""

    method: str
    path: str
    delegation: str = field(repr=False)
    origin: Origin | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = READ_SECONDS


class TenantApi:
    """The tenant service, seen from here. Without a URL every question answers "unavailable"."""

    def __init__(self, url: str | None) -> None:
        self._address = parse_address(url) if url else None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool; nothing is connected yet, the tenant service may start later."""
        if self._address is not None:
            self._session = open_session(self._address)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def list(self, behalf: OnBehalf, query: TenantListQuery) -> TenantPage:
        """One page of tenants, newest first."""
        asked = {
            "q": query.q,
            "status": query.status,
            "plan": query.plan,
            "createdFrom": query.created_from,
            "createdTo": query.created_to,
            "lowBalance": query.low_balance,
            "sort": query.sort,
            "cursor": query.cursor,
        }
        parameters = {**given(asked), "limit": str(query.limit)}
        return await self._get(TenantPage, _TENANTS, behalf.delegation, behalf.origin, parameters)

    async def get(self, behalf: OnBehalf, id_or_slug: str) -> TenantDetail:
        """Raises NotFoundError."""
        return await self._get(TenantDetail, _under(_TENANTS, id_or_slug), behalf.delegation, behalf.origin)

    async def counts(self, behalf: OnBehalf) -> TenantCounts:
        """How many tenants there are (R-018)."""
        return await self._get(TenantCounts, _COUNTS, behalf.delegation, behalf.origin)

    async def create(self, behalf: OnBehalf, wanted: NewTenant, *, idempotency_key: str) -> CreatedTenant:
        """Create a tenant at most once per key (R-100…R-104).

        Raises the tenant service's own refusal, with its fields; UnavailableError when nobody knows
        whether it was created: then the same key may be sent again.
        """
        body = {
            "slug": wanted.slug,
            "name": wanted.name,
            "primaryAdminEmail": wanted.primary_admin_email,
            "plan": wanted.plan,
            "currency": wanted.currency,
        }
        return await self._ask(
            CreatedTenant,
            _Ask(
                "POST",
                _TENANTS,
                behalf.delegation,
                behalf.origin,
                body=body,
                headers={"Idempotency-Key": idempotency_key},
                seconds=WRITE_SECONDS,
            ),
        )

    async def audit_page(
        self, delegation: str, wanted: AuditFilter, *, position: Position | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Rows of the tenant service's audit log; see `admin_service.audit.service.TenantAudit`."""
        parameters = {**audit_parameters(wanted), **place(position), "limit": str(limit)}
        rows = await self._get(AuditRows, _AUDIT, delegation, None, parameters)
        return [row.model_dump() for row in rows.data]

    async def audit_event(self, delegation: str, event_id: str) -> Mapping[str, Any] | None:
        """One row and its twin, or None when it does not exist or is hidden."""
        try:
            detail = await self._get(AuditDetail, _under(_AUDIT, event_id), delegation)
        except NotFoundError:
            return None
        return detail.model_dump()

    async def audit_proof(self, delegation: str, wanted: Stretch) -> AuditProof:
        """What the tenant service finds when it verifies its audit log, which takes its time."""
        asked = _Ask("GET", _VERIFY, delegation, query=stretch_parameters(wanted), seconds=VERIFY_SECONDS)
        return await self._ask(AuditProof, asked)

    def audit_export(self, delegation: str, wanted: AuditFilter) -> AbstractAsyncContextManager[TenantExport]:
        """Every row of the tenant service's audit log for an export; opening it raises UnavailableError."""
        if self._address is None or self._session is None:
            raise _unavailable()
        ask = _Ask("GET", f"{_AUDIT}/export", delegation, query=audit_parameters(wanted))
        return open_export(self._session, self._address.url(ask.path, ask.query), _headers(ask), _refusal)

    async def event_catalogue(self, delegation: str) -> EventCatalogue:
        """What the tenant service can record (C-09)."""
        return await self._get(EventCatalogue, "/internal/v1/events", delegation)

    async def audit_counts(self, delegation: str, since: datetime, until: datetime) -> AuditCountsAnswer:
        """How much was recorded in a period, by event and by actor."""
        asked = {"from": since.isoformat(), "to": until.isoformat()}
        return await self._get(AuditCountsAnswer, "/internal/v1/audit-counts", delegation, None, asked)

    async def audit_activity(self, delegation: str, days: int) -> Mapping[date, int]:
        """Rows per UTC day, for the last days."""
        activity = await self._get(AuditActivity, _ACTIVITY, delegation, None, {"days": str(days)})
        return {entry.day: entry.count for entry in activity.data}

    async def at(
        self,
        kind: type[A],
        path: str,
        behalf: OnBehalf,
        body: Body = None,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        method: str = "",
        version: int | None = None,
    ) -> A:
        """What a path answers that another module made: a question, or with a body or a method an order.

        `version` is the one that was seen of what changes; the tenant service refuses when it is another.
        """
        ask = _Ask("GET", path, behalf.delegation, behalf.origin, query or {})
        if body is not None or method:
            seen = {} if version is None else {"If-Match": f'"{version}"'}
            headers = {"Idempotency-Key": key, **seen}
            ask = replace(ask, method=method or "POST", body=body, headers=headers, seconds=WRITE_SECONDS)
        return await self._ask(kind, ask)

    async def _get(
        self,
        kind: type[A],
        path: str,
        delegation: str,
        origin: Origin | None = None,
        query: Mapping[str, str] | None = None,
    ) -> A:
        return await self._ask(kind, _Ask("GET", path, delegation, origin, query or {}))

    async def _ask(self, kind: type[A], ask: _Ask) -> A:
        status, body = await self._send(ask)
        if status >= _MULTIPLE_CHOICES:
            raise _refusal(status, body)
        try:
            return kind.model_validate_json(body or _NO_CONTENT)
        except ValidationError as error:
            raise _unreadable(kind, error) from None

    async def _send(self, ask: _Ask) -> tuple[int, bytes]:
        if self._address is None or self._session is None:
            raise _unavailable()
        url = self._address.url(ask.path, ask.query)
        try:
            async with self._session.request(
                ask.method,
                url,
                json=ask.body,
                headers=_headers(ask),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=ask.seconds, connect=_CONNECT_SECONDS),
            ) as response:
                return response.status, await _bounded(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("tenant_service_unanswered", cause=type(error).__name__, path=ask.path)
            raise _unavailable() from error


def _headers(ask: _Ask) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        DELEGATION_HEADER: ask.delegation,
        **ask.headers,
    }
    if ask.origin is not None:
        headers["X-Request-Id"] = ask.origin.request_id
        headers["X-Forwarded-For"] = ask.origin.ip
        # A byte that is no UTF-8 arrives as a lone surrogate, which no header can hold again.
        headers["User-Agent"] = ask.origin.user_agent.encode("ascii", "replace").decode()
    return {name: value for name, value in headers.items() if value}


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _unavailable()
    return bytes(body)


def _refusal(status: int, body: bytes) -> ProblemError:
    """The tenant service's refusal as our own error; anything that is no problem document is an outage."""
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        _log.warning("tenant_service_answer", status=status, problem="no problem document")
        return _unavailable()
    if status == UnavailableError.status:
        return UnavailableError(problem.code, problem.error)
    if status == AuditWriteFailedError.status and problem.code == AUDIT_WRITE_FAILED:
        return AuditWriteFailedError()
    kind = _ERRORS.get(status)
    if kind is None:
        # 500, or 401: it failed, or it doubts our proof. The operator can do nothing about either.
        _log.warning("tenant_service_answer", status=status, code=problem.code)
        return _unavailable()
    return kind(problem.code, problem.error, fields=_field_problems(problem), extra=problem.model_extra)


def _field_problems(problem: _Problem) -> tuple[FieldProblem, ...]:
    return tuple(
        FieldProblem(entry.get("pointer", ""), entry.get("code", ""), entry.get("message", ""))
        for entry in problem.errors
    )


def _unavailable() -> UnavailableError:
    return UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service does not answer")


def _unreadable(kind: type[Answer], error: ValidationError) -> UnavailableError:
    wrong = [".".join(map(str, details["loc"])) for details in error.errors(include_input=False)]
    _log.warning("tenant_service_answer", answer=kind.__name__, problem=json.dumps(wrong[:5]))
    return _unavailable()


def _under(path: str, name: str) -> str:
    """A name as one more segment. Raises NotFoundError for dots, which some server might resolve."""
    if name.strip(".") == "":
        raise NotFoundError("NOT_FOUND", "Not found")
    return f"{path}/{quote(name, safe='')}"
