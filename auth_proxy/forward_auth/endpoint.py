"""The endpoint that proxies ask: who asks, about what, the same decision as at the gate, an answer.

It stands before the routing of the operations listener: a question whose path has odd segments could
otherwise be led to `/livez`, whose 200 a proxy takes for a yes. It forwards nothing and reads no body.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from auth_proxy.case import Case
from auth_proxy.decision_log import DecisionLog
from auth_proxy.forward_auth.answers import REFUSAL_HEADER, REQUEST_ID_HEADER, granted, refused, told_again
from auth_proxy.forward_auth.dialects import DIALECTS, PREFIX, Dialect
from auth_proxy.forward_auth.leftovers import check_passed_on
from auth_proxy.forward_auth.question import original_request
from auth_proxy.forwarding import is_in
from auth_proxy.pipeline.exchange import RawRequest, SignedGrant
from auth_proxy.pipeline.screen import ScreenPolicy
from auth_proxy.refusal_rendering import SERVER, Reader, render
from auth_proxy.refusals import AUDITED, Reason, Refusal
from auth_proxy.roster.source import Denials
from service_kit.clock import Clock
from service_kit.ids import IdFactory
from service_kit.telemetry.logging import get_logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REFUSAL: Final = "/refusal"
"""Below the path of a proxy that does not relay refusals: the one that it was told, for its client."""
_REQUEST_ID: Final = re.compile(r"req_[0-9A-Z]{26}")

_log = get_logger(__name__)


class Decider(Protocol):
    """The pipeline of the gate."""

    @property
    def screen_policy(self) -> ScreenPolicy: ...
    async def decide(self, raw: RawRequest) -> SignedGrant:
        """Raises Refusal."""
        ...


class ForwardAuth:
    """Answers the questions of the enabled proxies, each by the plan that stands when it comes."""

    def __init__(
        self,
        pipeline: Callable[[], Decider],
        log: DecisionLog,
        clock: Clock,
        *,
        enabled: Iterable[str],
        denials: Denials,
        can_enroll: bool,
    ) -> None:
        self._pipeline = pipeline
        self._log = log
        self._clock = clock
        self._dialects = tuple(DIALECTS[name] for name in enabled)
        self._denials = denials
        self._can_enroll = can_enroll
        self._ids = IdFactory(clock)

    @property
    def middleware(self) -> Middleware:
        """For the operations listener: takes every path below `/authz/`, whatever else it may mean."""

        @web.middleware
        async def ask_first(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.raw_path.startswith(PREFIX):
                return await self.answer(request)
            return await handler(request)

        return ask_first

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to a question; 404 where no enabled proxy asks."""
        path = request.raw_path.partition("?")[0]
        question = _question(request, self._ids.new("req"))
        response = web.Response(status=404, text="Not Found", headers={"Server": SERVER})
        for dialect in self._dialects:
            if dialect.is_asked_at(path):
                response = await self._decide(Case(question), dialect, has_body=request.can_read_body)
            elif not dialect.relays_refusals and path == dialect.path + _REFUSAL:
                response = self._tell_again(Case(question), dialect)
        if request.can_read_body or "Upgrade" in request.headers:
            response.force_close()  # what follows on this connection was never read as a question
        return response

    async def _decide(self, case: Case, dialect: Dialect, *, has_body: bool) -> web.Response:
        started = self._clock.monotonic()
        pipeline = self._pipeline()
        policy = pipeline.screen_policy
        try:
            self._check_peer(case.question, policy)
            if has_body:
                raise Refusal(Reason.PROXY_WORDS_AMBIGUOUS, "a body")  # noqa: TRY301 - a refusal like any other
            case.about = original_request(case.question, dialect)
            signed = await pipeline.decide(case.about)
            check_passed_on(signed, dialect, case.about.target, policy.reserved)
            case.signed = signed
            response = granted(signed, dialect, case.request_id, policy.reserved)
        except Exception as error:  # noqa: BLE001 - a failure to decide is a refusal
            case.refusal = error if isinstance(error, Refusal) else _defect(error, case.request_id)
            response = self._refuse(case, case.refusal, dialect, policy)
        seconds = self._clock.monotonic() - started
        status = response.status if case.refusal is None else case.refusal.answer.status
        self._log.record(case.decision(status=status, seconds=seconds))
        return response

    def _check_peer(self, question: RawRequest, policy: ScreenPolicy) -> None:
        """Mistake M-13 of others: whose words about a request are believed is a matter of configuration."""
        if not is_in(question.peer, policy.trusted):
            raise Refusal(Reason.PROXY_UNTRUSTED)

    def _refuse(self, case: Case, refusal: Refusal, dialect: Dialect, policy: ScreenPolicy) -> web.Response:
        if refusal.reason in AUDITED:
            self._denials.note(case.denied(refusal, policy.trusted))
        if refusal.reason is Reason.PROXY_UNTRUSTED:  # no proxy of ours: it gets no proxy's form of a no
            return render(refusal, case.request_id, Reader(), method="")
        reader = case.reader(can_enroll=self._can_enroll)
        return refused(refusal, dialect, case.request_id, reader, method=case.method)

    def _tell_again(self, case: Case, dialect: Dialect) -> web.Response:
        """Nothing is decided here: the texts of refusals are no secret, and there is no way to a yes."""
        request_id = _header(case.question, REQUEST_ID_HEADER)
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = case.request_id
        try:
            self._check_peer(case.question, self._pipeline().screen_policy)
            case.about = original_request(case.question, dialect)
            refusal = told_again(_header(case.question, REFUSAL_HEADER))
        except Refusal as error:
            refusal = error
        reader = case.reader(can_enroll=self._can_enroll)
        return render(refusal, request_id, reader, method=case.method)


def _question(request: web.Request, request_id: str) -> RawRequest:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return RawRequest(
        method=request.method,
        target=request.raw_path,
        version=(request.version.major, request.version.minor),
        headers=request.raw_headers,
        peer=peer[0] if isinstance(peer, tuple) and peer else "",
        request_id=request_id,
    )


def _header(question: RawRequest, wanted: str) -> str:
    name = wanted.lower().encode()
    values = [value.decode("latin-1") for key, value in question.headers if key.lower() == name]
    return values[0] if len(values) == 1 else ""


def _defect(error: Exception, request_id: str) -> Refusal:
    _log.error("forward_auth_failed", request_id=request_id, exc_info=error)
    return Refusal(Reason.INTERNAL_ERROR, type(error).__name__)
