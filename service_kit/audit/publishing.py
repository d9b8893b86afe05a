"""What a service shows of its audit log on its operations listener: signed notes and their public keys.

Whoever reads them learns names, lengths and hashes of chains, and can change nothing.
"""

from datetime import UTC, datetime

from aiohttp import web

from service_kit.audit.anchors import After, AnchorTable, Checkpoints
from service_kit.audit.peer import CHECKPOINTS, KEYS, WITNESSES
from service_kit.audit.tables import AuditTables
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.keys import public_jwks


class Shown:
    """The notes of one service, once its database is open; before that every question answers 503."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._tables: dict[str, AnchorTable] = {}
        self._checkpoints: Checkpoints | None = None

    def open(self, database: Database, tables: AuditTables, checkpoints: Checkpoints) -> None:
        self._database, self._checkpoints = database, checkpoints
        self._tables = {CHECKPOINTS: checkpoints.table, WITNESSES: AnchorTable(tables.witnesses)}

    def mount(self, app: web.Application) -> None:
        for path in (CHECKPOINTS, WITNESSES):
            app.router.add_get(path, self._notes)
        app.router.add_get(KEYS, self._keys)

    async def _notes(self, request: web.Request) -> web.Response:
        try:
            after = _after(request)
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest from None
        if self._database is None:
            raise web.HTTPServiceUnavailable
        try:
            async with self._database.read() as session:
                rows = await self._tables[request.path].page(session, after)
        except UnavailableError:
            raise web.HTTPServiceUnavailable from None
        return web.json_response({"notes": [row["note"] for row in rows]})

    async def _keys(self, _request: web.Request) -> web.Response:
        if self._checkpoints is None:
            raise web.HTTPServiceUnavailable
        return web.json_response(public_jwks(self._checkpoints.keys))


def _after(request: web.Request) -> After | None:
    at = request.query.get("after")
    if at is None:
        return None
    moment = datetime.fromisoformat(at)
    chain = request.query.get("chain", "")
    if moment.tzinfo is None or "\x00" in chain or not chain.isascii():
        raise ValueError("no place")
    return After(moment.astimezone(UTC), chain)
