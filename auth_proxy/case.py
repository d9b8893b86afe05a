"""One request that is decided, and what the decision log, the audit log and the renderer are told of it.

As much as is proven, and nothing that the client chose. It decides nothing itself.
"""

import re
from collections.abc import Iterator
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
_READERS_NAMES: Final = (b"accept", b"sec-fetch-mode", b"x-requested-with")
_READERS_SIZES: Final = frozenset(map(len, _READERS_NAMES))


@dataclass(slots=True)
class Case:
    """A request, and how far it came."""

    question: RawRequest
    about: RawRequest | None = None
    """The request of the client. At the gate it is the question itself; of a proxy's question it is
    None while the proxy's words are not understood."""
    signed: SignedGrant | None = None
    refusal: Refusal | None = None
    is_abandoned: bool = False
    """The client left, and was neither let through nor refused."""

    @property
    def request_id(self) -> str:
        return self.question.request_id

    @property
    def method(self) -> str:
        return self.about.method if self.about else ""

    @property
    def is_proven(self) -> bool:
        """Whether it is known who asks, whatever they were told."""
        return self.signed is not None or bool(self.refusal and self.refusal.sub)

    def header(self, wanted: bytes) -> str:
        """A header of the client's request, by its lower-case name; empty when it is missing."""
        if self.about is not None:
            size = len(wanted)
            for name, value in self.about.headers:
                if len(name) == size and name.lower() == wanted:
                    return value.decode("latin-1")
        return ""

    def _reader_headers(self) -> Iterator[str]:
        """What `header` gives for the names of a reader, in one look at the head."""
        sent: dict[bytes, bytes] = {}
        for name, value in self.about.headers if self.about else ():
            if len(name) in _READERS_SIZES:
                sent.setdefault(name.lower(), value)
        return (sent.get(name, b"").decode("latin-1") for name in _READERS_NAMES)

    def decision(self, *, status: int, seconds: float) -> Decision:
        grant = None if self.signed is None else self.signed.grant
        refusal, ray = self.refusal, self.header(b"cf-ray")
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
            is_abandoned=self.is_abandoned,
        )

    def denied(self, refusal: Refusal, trusted: tuple[Network, ...]) -> Denied:
        """What the audit log is told; the client chose the address only behind a trusted proxy."""
        if self.signed is not None:  # a grant that lapsed: whom it hit, no step of the pipeline has noted
            person, route, operator, _ = self.signed.grant
            refusal.at(route.name).of(person.sub, person.email, operator.id if operator else "")
        headers = self.about.headers if self.about else ()
        sent = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        return Denied(
            reason=refusal.reason,
            sub=refusal.sub,
            email=refusal.email,
            operator_id=refusal.operator_id,
            route=refusal.route or _NOTHING,
            ip=client_address(sent, self.question.peer, trusted),
            user_agent=self.header(b"user-agent"),
            request_id=self.request_id,
        )

    def reader(self, *, can_enroll: bool) -> Reader:
        target = self.about.target if self.about else ""
        page = prefers_page(*self._reader_headers())
        boots = target.partition("?")[0] == BOOT_EXCHANGE
        return Reader(wants_page=page, navigates=page, boots=boots, can_enroll=can_enroll)
