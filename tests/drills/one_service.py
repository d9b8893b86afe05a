"""One tenant service as a real process, a mail server that takes everything, and its clients."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from service_kit.clock import SystemClock
from service_kit.db.session import Database
from service_kit.identity.signing import IdentitySigner
from tenant_service.tables import schema
from tests.e2e.test_replicas import House, Postman, environment, published_key, replica
from tests.fixtures.identities import Vouch
from tests.fixtures.replicas import Clients
from tests.integration.service_kit.mail.mail_server import mail_server


@asynccontextmanager
async def one_service(url: str, folder: Path) -> AsyncIterator[House]:
    """The service on the database of `url`, started; it is killed at the end."""
    sidecar, runtime = (published_key(folder, name) for name in ("sidecar", "runtime"))
    worker = IdentitySigner(lambda: (runtime,), SystemClock(), issuer="runtime")
    postman, database = Postman(), Database.open(url)
    postman.holds.set()
    async with (
        mail_server(postman) as port,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        only = replica(0, environment(folder, url, port), folder)
        try:
            await only.start()
            # Twice the same: whoever got no answer asks again with the same key, here the same process.
            clients = Clients([only, only], session, Vouch(key=sidecar), worker)
            yield House([only], postman, database, schema(), clients)
        finally:
            await only.end(signal.SIGKILL)
            await database.close()
