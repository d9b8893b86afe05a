"""A long audit log, written at once: the recorder takes a transaction for each row."""

from datetime import timedelta

from sqlalchemy import insert, text

from service_kit.audit.chain import pii_commitment, row_hash
from service_kit.db.session import Database
from tests.fakes.clock import START, FrozenClock
from tests.integration.service_kit.audit.writing import PACK_MADE, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT

_AT_ONCE = 2000


async def write_long_log(database: Database, rows: int) -> None:
    """One chain of so many rows, as the recorder would have written it."""
    await record(database, FrozenClock(), entry(PACK_MADE, org=None, details={"price": 100, "replies": 50}))
    [model] = (await chains(database))["global"]
    person = {
        "actor_email": "ada@example.com",
        "actor_name": "Ada",
        "ip": "",
        "user_agent": "",
        "details_pii": {},
    }
    before, batch = model["hash"], []
    async with database.write() as session:  # a head moves one row at a time; this one jumps
        await session.execute(text("DROP TRIGGER audit_chain_heads_no_update"))
    for seq in range(2, rows + 1):
        row = {
            **model,
            "chain_seq": seq,
            "id": f"aud_{seq:026}",
            "occurred_at": START + timedelta(seconds=seq),
            "pii_commitment": pii_commitment("salt", person),
            "prev_hash": before,
        }
        before = row["hash"] = row_hash(before, row)
        batch.append(row)
        if len(batch) == _AT_ONCE or seq == rows:
            async with database.write() as session:
                await session.execute(insert(AUDIT.events), batch)
                await session.execute(
                    insert(AUDIT.pii),
                    [
                        {
                            "event_id": one["id"],
                            "salt": "salt",
                            **person,
                            "shelf": "global",
                            "occurred_at": one["occurred_at"],
                        }
                        for one in batch
                    ],
                )
                await session.execute(AUDIT.heads.update().values(seq=seq, hash=before))
            batch = []
