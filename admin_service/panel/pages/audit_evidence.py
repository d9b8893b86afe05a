"""Evidence for an auditor (P-18): a period in numbers, privileged and refused acts, the proof of the log."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, both, operator_frame, page, reader_of
from admin_service.panel.views.audit_evidence import DEFAULT_PERIOD, PERIODS, EvidenceView
from service_kit.web.api import Call

_DAYS: Final = {name: int(name.removesuffix("d")) for name, _label in PERIODS}


async def show_evidence(services: PanelServices, call: Call) -> web.Response:
    """Raises AuditSourceUnavailableError: half of the log is no evidence."""
    period = call.request.query.get("range", "")
    period = period if period in _DAYS else DEFAULT_PERIOD
    until = services.clock.now()
    found = services.evidence.of(
        reader_of(call), until - timedelta(days=_DAYS[period]), until, verify="verify" in call.request.query
    )
    frame, evidence = await both(operator_frame(services, call), found)
    return page(services, frame, EvidenceView(evidence, period))
