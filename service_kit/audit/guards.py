"""The triggers around personal data, erasures and the heads of chains: what the database lets happen to them.

Personal data goes in one way: an audit row tells of the erasure, `audit_erasures` names the row whose data
goes, and only then may it be deleted. A head only moves one row forward, onto a row that is there.
"""

from typing import Final

from service_kit.audit.chain import GENESIS

ERASED_EVENT: Final = "audit.personal_data.erased"

TRIGGERS: Final = {
    "audit_pii": ("change", "truncate", "overwrite"),
    "audit_erasures": ("change", "truncate", "overwrite"),
    "audit_chain_heads": ("change", "truncate", "overwrite"),
}
"""The names of the PostgreSQL triggers: `<table>_no_<what>`."""


def guard_ddl(dialect: str) -> tuple[str, ...]:
    """The statements, for a migration, after those of `append_only_ddl`."""
    statements = _POSTGRES if dialect == "postgresql" else _SQLITE
    return tuple(one.replace("<ERASED>", ERASED_EVENT).replace("<GENESIS>", GENESIS) for one in statements)


_SQLITE: Final = (
    """CREATE TRIGGER audit_pii_no_update BEFORE UPDATE ON audit_pii
       BEGIN SELECT RAISE(ABORT, 'audit_pii is append-only'); END""",
    # INSERT OR REPLACE fires no trigger on DELETE unless a connection asks for it.
    """CREATE TRIGGER audit_pii_no_overwrite BEFORE INSERT ON audit_pii
       WHEN EXISTS (SELECT 1 FROM audit_pii WHERE event_id = NEW.event_id)
         OR EXISTS (SELECT 1 FROM audit_erasures WHERE event_id = NEW.event_id)
       BEGIN SELECT RAISE(ABORT, 'audit_pii is append-only'); END""",
    """CREATE TRIGGER audit_pii_no_delete BEFORE DELETE ON audit_pii
       WHEN NOT EXISTS (SELECT 1 FROM audit_erasures WHERE event_id = OLD.event_id)
       BEGIN SELECT RAISE(ABORT, 'audit_pii is append-only: no erasure names that row'); END""",
    """CREATE TRIGGER audit_erasures_no_update BEFORE UPDATE ON audit_erasures
       BEGIN SELECT RAISE(ABORT, 'audit_erasures is append-only'); END""",
    """CREATE TRIGGER audit_erasures_no_delete BEFORE DELETE ON audit_erasures
       BEGIN SELECT RAISE(ABORT, 'audit_erasures is append-only'); END""",
    """CREATE TRIGGER audit_erasures_no_overwrite BEFORE INSERT ON audit_erasures
       WHEN EXISTS (SELECT 1 FROM audit_erasures WHERE event_id = NEW.event_id)
         OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.erasure_id AND event = '<ERASED>')
       BEGIN SELECT RAISE(ABORT, 'audit_erasures is append-only, and an audit row tells of each'); END""",
    """CREATE TRIGGER audit_chain_heads_no_delete BEFORE DELETE ON audit_chain_heads
       BEGIN SELECT RAISE(ABORT, 'audit_chain_heads is append-only'); END""",
    """CREATE TRIGGER audit_chain_heads_no_overwrite BEFORE INSERT ON audit_chain_heads
       WHEN NEW.seq <> 0 OR NEW.hash <> '<GENESIS>'
         OR EXISTS (SELECT 1 FROM audit_chain_heads WHERE chain = NEW.chain)
       BEGIN SELECT RAISE(ABORT, 'audit_chain_heads is append-only'); END""",
    """CREATE TRIGGER audit_chain_heads_no_update BEFORE UPDATE ON audit_chain_heads
       WHEN NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1
         OR NOT EXISTS (SELECT 1 FROM audit_events
                        WHERE chain = NEW.chain AND chain_seq = NEW.seq AND hash = NEW.hash)
       BEGIN SELECT RAISE(ABORT, 'audit_chain_heads is append-only: a head moves one row on'); END""",
)

_POSTGRES: Final = (
    """CREATE FUNCTION audit_pii_guard() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'DELETE' THEN
           IF EXISTS (SELECT 1 FROM audit_erasures WHERE event_id = OLD.event_id) THEN RETURN OLD; END IF;
         ELSIF TG_OP = 'INSERT' THEN
           IF NOT EXISTS (SELECT 1 FROM audit_erasures WHERE event_id = NEW.event_id) THEN RETURN NEW; END IF;
         END IF;
         RAISE EXCEPTION 'audit_pii is append-only: no erasure names that row';
       END $$""",
    """CREATE FUNCTION audit_erasures_guard() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'INSERT' THEN
           IF EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.erasure_id AND event = '<ERASED>') THEN
             RETURN NEW;
           END IF;
         END IF;
         RAISE EXCEPTION 'audit_erasures is append-only, and an audit row tells of each';
       END $$""",
    """CREATE FUNCTION audit_chain_heads_guard() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'INSERT' THEN
           IF NEW.seq = 0 AND NEW.hash = '<GENESIS>' THEN RETURN NEW; END IF;
         ELSIF TG_OP = 'UPDATE' THEN
           IF NEW.chain = OLD.chain AND NEW.seq = OLD.seq + 1
              AND EXISTS (SELECT 1 FROM audit_events
                          WHERE chain = NEW.chain AND chain_seq = NEW.seq AND hash = NEW.hash) THEN
             RETURN NEW;
           END IF;
         END IF;
         RAISE EXCEPTION 'audit_chain_heads is append-only: a head moves one row on';
       END $$""",
    *(
        statement
        for table in TRIGGERS
        for statement in (
            f"""CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION {table}_guard()""",
            f"""CREATE TRIGGER {table}_no_overwrite BEFORE INSERT ON {table}
                FOR EACH ROW EXECUTE FUNCTION {table}_guard()""",
            f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION {table}_guard()""",
        )
    ),
    # A session that plays replicated changes turns ordinary triggers off.
    *(
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_{what}"
        for table, names in TRIGGERS.items()
        for what in names
    ),
)
