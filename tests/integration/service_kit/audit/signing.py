"""Signed checkpoints over every head of a log, as the beat of a service would have made them."""

from sqlalchemy import insert, select

from service_kit.audit.notes import Checkpoint, origin_of, sign
from service_kit.audit.tables import AuditTables
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.identity.keys import SigningKey


async def sign_heads(
    database: Database, tables: AuditTables, service: str, key: SigningKey, clock: Clock
) -> None:
    """Each head of the log, signed now."""
    async with database.write() as session:
        for head in await session.rows(select(tables.heads)):
            row = Checkpoint(origin_of(service), head["chain"], head["seq"], head["hash"], clock.now())
            values = {"chain": row.chain, "seq": row.seq, "hash": row.hash, "at": row.at, "key_id": key.kid}
            await session.execute(insert(tables.checkpoints).values(**values, note=sign(row, key).note))
