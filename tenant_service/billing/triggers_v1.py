"""The triggers of the ledger as they were first made, for the migration; a change of them is a new one.

They let transactions and postings only grow, and keep what a grant was.
"""

from typing import Final

_SQLITE: Final = (
    """CREATE TRIGGER credit_txns_no_update BEFORE UPDATE ON credit_txns
       BEGIN SELECT RAISE(ABORT, 'credit_txns is append-only'); END""",
    """CREATE TRIGGER credit_txns_no_delete BEFORE DELETE ON credit_txns
       BEGIN SELECT RAISE(ABORT, 'credit_txns is append-only'); END""",
    # INSERT OR REPLACE and ON CONFLICT DO UPDATE slip past the two triggers above.
    """CREATE TRIGGER credit_txns_no_overwrite BEFORE INSERT ON credit_txns
       WHEN EXISTS (SELECT 1 FROM credit_txns WHERE id = NEW.id)
         OR EXISTS (SELECT 1 FROM credit_txns WHERE organization_id = NEW.organization_id
                    AND idempotency_key = NEW.idempotency_key)
         OR EXISTS (SELECT 1 FROM credit_txns WHERE reverses_txn_id = NEW.reverses_txn_id)
       BEGIN SELECT RAISE(ABORT, 'credit_txns is append-only'); END""",
    """CREATE TRIGGER credit_ledger_no_update BEFORE UPDATE ON credit_ledger
       BEGIN SELECT RAISE(ABORT, 'credit_ledger is append-only'); END""",
    """CREATE TRIGGER credit_ledger_no_delete BEFORE DELETE ON credit_ledger
       BEGIN SELECT RAISE(ABORT, 'credit_ledger is append-only'); END""",
    """CREATE TRIGGER credit_ledger_no_overwrite BEFORE INSERT ON credit_ledger
       WHEN EXISTS (SELECT 1 FROM credit_ledger WHERE seq = NEW.seq)
         OR EXISTS (SELECT 1 FROM credit_ledger WHERE id = NEW.id)
       BEGIN SELECT RAISE(ABORT, 'credit_ledger is append-only'); END""",
    """CREATE TRIGGER credit_grants_no_rewrite
       BEFORE UPDATE OF id, organization_id, amount, category, source, effective_at, created_at
       ON credit_grants
       BEGIN SELECT RAISE(ABORT, 'a credit grant is not rewritten'); END""",
    """CREATE TRIGGER credit_grants_no_delete BEFORE DELETE ON credit_grants
       BEGIN SELECT RAISE(ABORT, 'a credit grant is not rewritten'); END""",
    """CREATE TRIGGER credit_grants_no_overwrite BEFORE INSERT ON credit_grants
       WHEN EXISTS (SELECT 1 FROM credit_grants WHERE id = NEW.id)
       BEGIN SELECT RAISE(ABORT, 'a credit grant is not rewritten'); END""",
)
_POSTGRES_APPEND_ONLY: Final = (
    """CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION '{table} is append-only'; END $$""",
    """CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
       FOR EACH ROW EXECUTE FUNCTION {table}_append_only()""",
    """CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
       FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()""",
    # A session that plays replicated changes turns ordinary triggers off.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
)
_POSTGRES: Final = (
    """CREATE FUNCTION credit_ledger_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF (SELECT sum(amount) FROM credit_ledger
             WHERE txn_id = NEW.txn_id AND grant_id = NEW.grant_id) <> 0 THEN
           RAISE EXCEPTION 'the postings of % do not sum to zero', NEW.txn_id
             USING ERRCODE = 'check_violation';
         END IF;
         RETURN NULL;
       END $$""",
    # Deferred to the commit: in the middle of a transaction one side is always written first.
    """CREATE CONSTRAINT TRIGGER credit_ledger_zero AFTER INSERT ON credit_ledger
       DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION credit_ledger_sums_to_zero()""",
    "ALTER TABLE credit_ledger ENABLE ALWAYS TRIGGER credit_ledger_zero",
    """CREATE FUNCTION credit_grants_kept() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'UPDATE'
            AND (NEW.id, NEW.organization_id, NEW.amount, NEW.category, NEW.source,
                 NEW.effective_at, NEW.created_at)
            IS NOT DISTINCT FROM
                (OLD.id, OLD.organization_id, OLD.amount, OLD.category, OLD.source,
                 OLD.effective_at, OLD.created_at) THEN
           RETURN NEW;
         END IF;
         RAISE EXCEPTION 'a credit grant is not rewritten';
       END $$""",
    """CREATE TRIGGER credit_grants_no_rewrite BEFORE UPDATE OR DELETE ON credit_grants
       FOR EACH ROW EXECUTE FUNCTION credit_grants_kept()""",
    """CREATE TRIGGER credit_grants_no_truncate BEFORE TRUNCATE ON credit_grants
       FOR EACH STATEMENT EXECUTE FUNCTION credit_grants_kept()""",
    "ALTER TABLE credit_grants ENABLE ALWAYS TRIGGER credit_grants_no_rewrite",
    "ALTER TABLE credit_grants ENABLE ALWAYS TRIGGER credit_grants_no_truncate",
)


def ledger_triggers_v1(dialect: str) -> tuple[str, ...]:
    """The statements that forbid changing what was booked, by any SQL."""
    if dialect != "postgresql":
        return _SQLITE
    tables = ("credit_txns", "credit_ledger")
    grow = tuple(line.format(table=table) for table in tables for line in _POSTGRES_APPEND_ONLY)
    return (*grow, *_POSTGRES)
