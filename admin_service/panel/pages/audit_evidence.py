"""Evidence for an auditor (P-18): a period in numbers, privileged and refused acts, the proof of the log.

As a page to print, and as a zip that is proven away from the services.
"""

from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from admin_service.audit.evidence_pack import packed
from admin_service.audit.export import ExportAsked
from admin_service.panel.context import PanelServices, both, operator_frame, page, reader_of
from admin_service.panel.views.audit_evidence import DEFAULT_PERIOD, PERIODS, EvidenceView
from service_kit.audit.export_formats import ExportFormat
from service_kit.audit.queries import AuditFilter
from service_kit.web.api import Call
from service_kit.web.streaming import send_stream

_DAYS: Final = {name: int(name.removesuffix("d")) for name, _label in PERIODS}


async def show_evidence(services: PanelServices, call: Call) -> web.Response:
    """Raises AuditSourceUnavailableError: half of the log is no evidence."""
    period, since, until = _period(services, call)
    found = services.evidence.of(reader_of(call), since, until, verify="verify" in call.request.query)
    frame, evidence = await both(operator_frame(services, call), found)
    return page(services, frame, EvidenceView(evidence, period))


async def send_pack(services: PanelServices, call: Call) -> web.StreamResponse:
    """The period as a zip, both scopes whole. Raises what `AuditExporter.open` does before it sends."""
    _name, since, until = _period(services, call)
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f'attachment; filename="evidence-{since:%Y-%m-%d}-{until:%Y-%m-%d}.zip"',
    }
    if call.request.method == "HEAD":  # nothing leaves the house, so nothing is recorded
        return web.Response(headers={**headers, "Cache-Control": "no-store"})
    reader = reader_of(call)
    asked = ExportAsked(AuditFilter(scope="", since=since, until=until), ExportFormat.NDJSON)
    # The export first: the operator's leave is short, and a verification of the whole log is not.
    async with services.audit_exports.open(call, reader, asked) as export:
        evidence = await services.evidence.of(reader, since, until, verify=True)
        return await send_stream(call.request, headers, packed(export, evidence))


def _period(services: PanelServices, call: Call) -> tuple[str, datetime, datetime]:
    given = call.request.query.get("range", "")
    period = given if given in _DAYS else DEFAULT_PERIOD
    until = services.clock.now()
    return period, until - timedelta(days=_DAYS[period]), until
