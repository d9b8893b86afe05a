"""The one entry of every request: decide, write it down, forward it or render the refusal.

There is no other way to an upstream (R-003, R-051), and no exemption by path, method or header. A
failure to decide is a refusal.

It has two doors to the same rooms. `__call__` takes every request, in a task of its own. `answer_at_once`
takes those that wait for nothing, and makes no task, request object or response object for them. Both
decide by the same pipeline and log by the same case.
"""

import asyncio
from functools import partial
from typing import Final, Protocol

from aiohttp import web

from auth_proxy.case import Case
from auth_proxy.decision_log import Decision, DecisionLog
from auth_proxy.pipeline.exchange import RawRequest, SignedGrant
from auth_proxy.plan import Plan
from auth_proxy.refusal_bytes import refusal_bytes
from auth_proxy.refusal_rendering import Reader, render
from auth_proxy.refusals import AUDITED, Reason, Refusal
from auth_proxy.roster.source import Denials
from auth_proxy.transport.relay import AnsweringClient
from auth_proxy.transport.transfer import HTTP_1_1, Transfer
from auth_proxy.transport.unread import read_a_little
from service_kit.clock import Clock
from service_kit.ids import IdFactory
from service_kit.telemetry.logging import get_logger

_NO_ROUTE: Final = "-"
_CLIENT_LEFT: Final = 499
"""In the log only: the client left before it had an answer."""

_log = get_logger(__name__)


class QuickClient(AnsweringClient, Protocol):
    """A client's connection with one request on it that wants to be answered at once."""

    def exchange_is_over(self, *, keeps_alive: bool, is_proven: bool) -> None:
        """Its answer is written. `is_proven`: it is known who asked."""
        ...


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
        self.in_flight = 0
        self._log = log
        self._clock = clock
        self._denials = denials
        self._can_enroll = can_enroll
        self._ids = IdFactory(clock)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        plan = self.plan
        started = self._clock.monotonic()
        raw = _raw(request, self._ids.new("req"))
        case = Case(raw, about=raw)
        status = _CLIENT_LEFT
        self.in_flight += 1
        try:
            case.signed = await plan.pipeline.decide(raw)
            response = await _forward(plan, case.signed, request, raw.request_id)
            status = response.status
        except (asyncio.CancelledError, ConnectionError):
            case.is_abandoned = case.signed is None
            raise  # the client left; there is nobody to answer
        except Exception as error:  # noqa: BLE001 - a failure to decide is a refusal
            case.refusal = _refusal_of(error, raw.request_id)
            status = case.refusal.answer.status
            response = await self._refuse(case, case.refusal, request)
        finally:
            self._record(case, status, started)
        return response

    def answer_at_once(self, raw: RawRequest, client: QuickClient, keeps_alive: bool) -> bool:  # noqa: FBT001 - the listener's call
        """Answer a request without a body, and without a task; False leaves all of it to `__call__`.

        When it is True, the client has been told or will be told that its exchange is over.
        """
        if client.is_held_back:
            return False  # only a task waits until its answer is read; refusals would heap up here
        plan = self.plan
        started = self._clock.monotonic()
        raw = RawRequest(*raw[:-1], self._ids.new("req"))  # `_replace` costs three times as much
        case = Case(raw, about=raw)
        self.in_flight += 1
        try:
            case.signed = plan.pipeline.decide_at_once(raw)
            if case.signed is not None and plan.forwarder.carry(
                case.signed,
                client,
                raw.request_id,
                keeps_alive=keeps_alive,
                speaks_1_1=raw.version >= HTTP_1_1,
                done=partial(self._carried, case, client, started),
            ):
                return True
        except Exception as error:  # noqa: BLE001 - a failure to decide is a refusal
            refusal = _refusal_of(error, raw.request_id)
            self._refuse_at_once(case, refusal, client, started, keeps_alive=keeps_alive)
            return True
        self.in_flight -= 1
        return False

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

    def _carried(
        self, case: Case, client: QuickClient, started: float, transfer: Transfer, refusal: Refusal | None
    ) -> None:
        """A transfer of ours is over, one way or the other."""
        if refusal is not None and client.transport is not None:
            self._refuse_at_once(case, refusal, client, started, keeps_alive=transfer.keeps_alive)
            return
        self._record(case, _CLIENT_LEFT if client.transport is None else transfer.status, started)
        client.exchange_is_over(keeps_alive=transfer.keeps_alive, is_proven=True)

    def _refuse_at_once(
        self, case: Case, refusal: Refusal, client: QuickClient, started: float, *, keeps_alive: bool
    ) -> None:
        case.refusal = refusal
        self._note(case, refusal)
        keeps_alive = keeps_alive and not client.is_leaving
        answer = refusal_bytes(
            refusal,
            case.request_id,
            case.reader(can_enroll=self._can_enroll),
            method=case.method,
            keeps_alive=keeps_alive,
            speaks_1_1=case.question.version >= HTTP_1_1,
        )
        if client.transport is not None:
            client.transport.write(answer)
        self._record(case, refusal.answer.status, started)
        client.exchange_is_over(keeps_alive=keeps_alive, is_proven=case.is_proven)

    async def _refuse(self, case: Case, refusal: Refusal, request: web.BaseRequest) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent; the connection must break")
        self._note(case, refusal)
        reader = case.reader(can_enroll=self._can_enroll)
        response = render(refusal, case.request_id, reader, method=request.method)
        if not case.is_proven:
            # A place among the connections is for somebody. Who is answered at once makes room first
            # instead; whoever had to be looked up, or sent a body, has cost enough.
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

    def _note(self, case: Case, refusal: Refusal) -> None:
        if refusal.reason in AUDITED:
            self._denials.note(case.denied(refusal, self.plan.pipeline.screen_policy.trusted))

    def _record(self, case: Case, status: int, started: float) -> None:
        self.in_flight -= 1
        seconds = self._clock.monotonic() - started
        self._log.record_told(partial(case.decision, status=status, seconds=seconds))


async def _forward(
    plan: Plan, signed: SignedGrant, request: web.BaseRequest, request_id: str
) -> web.StreamResponse:
    if signed.grant.person.screened.inbound.expects_continue:
        _send_continue(request)
    return await plan.forwarder.forward(signed, request, request_id)


def _refusal_of(error: Exception, request_id: str) -> Refusal:
    if isinstance(error, Refusal):
        # Its frames hold the case that will hold the refusal: a ring that only the collector would undo, and
        # a flood of refusals would pay for that with a tenth of its time.
        return error.with_traceback(None)
    _log.error("gate_failed", request_id=request_id, exc_info=error)
    return Refusal(Reason.INTERNAL_ERROR, type(error).__name__)


def _raw(request: web.BaseRequest, request_id: str) -> RawRequest:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return RawRequest(
        method=request.method,
        target=request.raw_path,
        version=(request.version.major, request.version.minor),
        headers=request.raw_headers,
        peer=peer[0] if isinstance(peer, tuple) and peer else "",
        request_id=request_id,
    )


def _send_continue(request: web.BaseRequest) -> None:
    """Only now: a client that waits for this line has sent no byte of a body that may be refused."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
