"""The one entry of every request: decide, write it down, forward it or render the refusal.

There is no other way to an upstream (R-003, R-051), and no exemption by path, method or header. A
failure to decide is a refusal.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from auth_proxy.decision_log import Decision, DecisionLog
from auth_proxy.forwarding import client_address
from auth_proxy.pipeline.admit import METHODS, AdmitPolicy, admit
from auth_proxy.pipeline.authenticate import Authenticator, InsecureDevAuthenticator
from auth_proxy.pipeline.authorize import Authorizer
from auth_proxy.pipeline.exchange import RawRequest, SignedGrant
from auth_proxy.pipeline.identify import identify
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.pipeline.vouch import Voucher
from auth_proxy.refusal_rendering import Reader, prefers_page, render
from auth_proxy.refusals import AUDITED, Reason, Refusal
from auth_proxy.roster.source import Denials, Denied
from auth_proxy.routes import BOOT_EXCHANGE
from auth_proxy.transport.unread import read_a_little
from service_kit.clock import Clock
from service_kit.ids import IdFactory
from service_kit.telemetry.logging import get_logger

_RAY: Final = re.compile(r"[0-9a-f]{16}(-[A-Z]{3})?")
_NO_ROUTE: Final = "-"
_CLIENT_LEFT: Final = 499
"""In the log only: the client left before it had an answer."""

_log = get_logger(__name__)


class Forwarder(Protocol):
    """The way from a signed grant to an answer."""

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The answer, already sent. Raises Refusal while nothing has been sent yet."""
        ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps in their order. What one returns is all that the next one gets."""

    admit_policy: AdmitPolicy
    screen_policy: ScreenPolicy
    authenticator: Authenticator | InsecureDevAuthenticator
    accepted_types: frozenset[str]
    authorizer: Authorizer
    voucher: Voucher
    is_misconfigured: bool = False

    async def decide(self, raw: RawRequest) -> SignedGrant:
        """The signed grant of a request. Raises Refusal."""
        if self.is_misconfigured:
            raise Refusal(Reason.MISCONFIGURED)
        inbound = admit(raw, self.admit_policy)
        screened = screen(inbound, self.screen_policy)
        verified = await self.authenticator.authenticate(screened)
        person = identify(verified, accepted_types=self.accepted_types)
        grant = await self.authorizer.authorize(person)
        return self.voucher.vouch(grant)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a configuration makes of requests: how they are decided, and where they lead."""

    pipeline: Pipeline
    forwarder: Forwarder


class Gate:
    """Answers every request of the public listener; each by the plan that stood when it came."""

    def __init__(
        self,
        plan: Plan,
        log: DecisionLog,
        clock: Clock,
        *,
        denials: Denials,
        can_enroll: bool,
    ) -> None:
        self.plan = plan
        self._log = log
        self._clock = clock
        self._denials = denials
        self._can_enroll = can_enroll
        self._ids = IdFactory(clock)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        plan = self.plan
        started = self._clock.monotonic()
        request_id = self._ids.new("req")
        signed: SignedGrant | None = None
        refusal: Refusal | None = None
        status = _CLIENT_LEFT
        try:
            signed = await plan.pipeline.decide(_raw(request, request_id))
            response = await _forward(plan, signed, request, request_id)
            status = response.status
        except (asyncio.CancelledError, ConnectionError):
            raise  # the client left; there is nobody to answer
        except Exception as error:  # noqa: BLE001 - a failure to decide is a refusal
            refusal = error if isinstance(error, Refusal) else _defect(error, request_id)
            status = refusal.answer.status
            is_proven = signed is not None or bool(refusal.sub)
            response = await self._refuse(refusal, request, request_id, is_proven=is_proven)
        finally:
            seconds = self._clock.monotonic() - started
            self._log.record(
                _decision(request, signed, refusal, request_id=request_id, status=status, seconds=seconds)
            )
        return response

    def refuse_unparsed(self, refusal: Refusal) -> web.StreamResponse:
        """The answer to bytes that are no request."""
        request_id = self._ids.new("req")
        response = render(refusal, request_id, Reader(), method="")
        self._log.record(
            Decision(
                request_id,
                "-",
                _NO_ROUTE,
                reason=refusal.reason,
                detail=refusal.detail,
                status=response.status,
            )
        )
        return response

    async def _refuse(
        self, refusal: Refusal, request: web.BaseRequest, request_id: str, *, is_proven: bool
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent; the connection must break")
        if refusal.reason in AUDITED:
            self._denials.note(self._denied(refusal, request, request_id))
        response = render(refusal, request_id, self._reader(request), method=request.method)
        if not is_proven:
            # A place among the connections is for somebody: a request without a token must not buy one.
            response.force_close()
        if "Upgrade" in request.headers:
            # The parser stopped at the head: what follows on this connection was never read as requests.
            response.force_close()
        if request.can_read_body:
            response.force_close()
            await response.prepare(request)
            await response.write_eof()
            await read_a_little(request)
        return response

    def _reader(self, request: web.BaseRequest) -> Reader:
        headers = request.headers
        fetch_mode = headers.get("Sec-Fetch-Mode", "")
        page = prefers_page(headers.get("Accept", ""), fetch_mode, headers.get("X-Requested-With", ""))
        boots = request.raw_path.partition("?")[0] == BOOT_EXCHANGE
        return Reader(wants_page=page, navigates=page, boots=boots, can_enroll=self._can_enroll)

    def _denied(self, refusal: Refusal, request: web.BaseRequest, request_id: str) -> Denied:
        """What the audit log is told; the client chose the address only behind a trusted proxy."""
        policy = self.plan.pipeline.screen_policy
        sent = tuple((name, value) for name, value in request.headers.items())
        return Denied(
            reason=refusal.reason,
            sub=refusal.sub,
            email=refusal.email,
            operator_id=refusal.operator_id,
            route=refusal.route or _NO_ROUTE,
            ip=client_address(sent, _peer(request), policy.trusted),
            user_agent=request.headers.get("User-Agent", ""),
            request_id=request_id,
        )


async def _forward(
    plan: Plan, signed: SignedGrant, request: web.BaseRequest, request_id: str
) -> web.StreamResponse:
    if signed.grant.person.screened.inbound.expects_continue:
        _send_continue(request)
    return await plan.forwarder.forward(signed, request, request_id)


def _decision(
    request: web.BaseRequest,
    signed: SignedGrant | None,
    refusal: Refusal | None,
    *,
    request_id: str,
    status: int,
    seconds: float,
) -> Decision:
    """What the log says of a request: as much as is proven, and nothing that the client chose."""
    method = request.method if request.method in METHODS else "-"
    grant = None if signed is None else signed.grant
    operator = None if grant is None else grant.operator
    route, role, operator_id = _NO_ROUTE, "", ""
    if grant is not None:
        route = grant.route.name
    elif refusal is not None:
        route, role, operator_id = refusal.route or _NO_ROUTE, refusal.role, refusal.operator_id
    if operator is not None:
        role, operator_id = operator.role.value, operator.id
    return Decision(
        request_id=request_id,
        method=method,
        route=route,
        seconds=seconds,
        reason=None if refusal is None else refusal.reason,
        detail="" if refusal is None else refusal.detail,
        status=status,
        role=role,
        operator_id=operator_id,
        ray_id=_ray(request),
        dropped_headers=0 if grant is None else grant.person.screened.dropped,
        is_abandoned=grant is None and refusal is None,
    )


def _ray(request: web.BaseRequest) -> str:
    ray = request.headers.get("Cf-Ray", "")
    return ray if _RAY.fullmatch(ray) else ""


def _defect(error: Exception, request_id: str) -> Refusal:
    _log.error("gate_failed", request_id=request_id, exc_info=error)
    return Refusal(Reason.INTERNAL_ERROR, type(error).__name__)


def _raw(request: web.BaseRequest, request_id: str) -> RawRequest:
    return RawRequest(
        method=request.method,
        target=request.raw_path,
        version=(request.version.major, request.version.minor),
        headers=request.raw_headers,
        peer=_peer(request),
        request_id=request_id,
    )


def _peer(request: web.BaseRequest) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[0] if isinstance(peer, tuple) and peer else ""


def _send_continue(request: web.BaseRequest) -> None:
    """Only now: a client that waits for this line has sent no byte of a body that may be refused."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
