"""One question from a proxy, and what the decision log, the audit log and the renderer are told of it.

As at the gate: as much as is proven, and nothing that the client chose.
"""

import re
from dataclasses import dataclass
from typing import Final

from auth_proxy.decision_log import Decision
from auth_proxy.forwarding import Network, client_address
from auth_proxy.pipeline.admit import METHODS
from auth_proxy.pipeline.exchange import RawRequest, SignedGrant
from auth_proxy.refusal_rendering import Reader, prefers_page
from auth_proxy.refusals import Refusal
from auth_proxy.roster.source import Denied
from auth_proxy.routes import BOOT_EXCHANGE

_RAY: Final = re.compile(r"[0-9a-f]{16}(-[A-Z]{3})?")
_NOTHING: Final = "-"


@dataclass(slots=True)
class Case:
    """A question, and how far it came."""

    question: RawRequest
    about: RawRequest | None = None
    """The request of the client; None while the proxy's words are not understood."""
    signed: SignedGrant | None = None
    refusal: Refusal | None = None

    @property
    def request_id(self) -> str:
        return self.question.request_id

    @property
    def method(self) -> str:
        return self.about.method if self.about else ""

    def header(self, wanted: str) -> str:
        """A header of the client's request; empty when it is missing or not understood."""
        headers = self.about.headers if self.about else ()
        name = wanted.encode()
        return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")

    def decision(self, *, status: int, seconds: float) -> Decision:
        grant = None if self.signed is None else self.signed.grant
        refusal, ray = self.refusal, self.header("cf-ray")
        route, role, operator_id = (
            (refusal.route, refusal.role, refusal.operator_id) if refusal else ("", "", "")
        )
        if grant is not None:
            route = grant.route.name
            if grant.operator is not None:
                role, operator_id = grant.operator.role.value, grant.operator.id
        return Decision(
            request_id=self.request_id,
            method=self.method if self.method in METHODS else _NOTHING,
            route=route or _NOTHING,
            seconds=seconds,
            reason=None if refusal is None else refusal.reason,
            detail="" if refusal is None else refusal.detail,
            status=status,
            role=role,
            operator_id=operator_id,
            ray_id=ray if _RAY.fullmatch(ray) else "",
            dropped_headers=0 if grant is None else grant.person.screened.dropped,
        )

    def denied(self, refusal: Refusal, trusted: tuple[Network, ...]) -> Denied:
        headers = self.about.headers if self.about else ()
        sent = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        return Denied(
            reason=refusal.reason,
            sub=refusal.sub,
            email=refusal.email,
            operator_id=refusal.operator_id,
            route=refusal.route or _NOTHING,
            ip=client_address(sent, self.question.peer, trusted),
            user_agent=self.header("user-agent"),
            request_id=self.request_id,
        )

    def reader(self, *, can_enroll: bool) -> Reader:
        target = self.about.target if self.about else ""
        page = prefers_page(
            self.header("accept"), self.header("sec-fetch-mode"), self.header("x-requested-with")
        )
        boots = target.partition("?")[0] == BOOT_EXCHANGE
        return Reader(wants_page=page, navigates=page, boots=boots, can_enroll=can_enroll)
