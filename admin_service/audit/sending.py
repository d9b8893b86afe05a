"""An export as an HTTP answer: a file to save, sent while it is read."""

from aiohttp import web

from admin_service.audit.export import AuditExporter, Chosen
from admin_service.audit.service import Reader
from service_kit.audit.export_siem import writer_of
from service_kit.web.api import Call
from service_kit.web.streaming import send_stream


async def send_export(call: Call, reader: Reader, exporter: AuditExporter) -> web.StreamResponse:
    """Raises what `AuditExporter.open` raises, before the first byte; later the transfer is cut off."""
    asked = call.query.asked
    if call.request.method == "HEAD":  # nothing leaves the house, so nothing is recorded
        return web.Response(headers=_headers(exporter.chosen(reader, asked)))
    async with exporter.open(call, reader, asked) as export:
        return await send_stream(call.request, _headers(export.chosen), export.pieces())


def _headers(chosen: Chosen) -> dict[str, str]:
    return {
        "Content-Type": writer_of(chosen.format).content_type,
        "Content-Disposition": f'attachment; filename="{chosen.file_name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
