"""The first schema: operators with their guards, enrollment tries, service keys, and the audit log.

The guards are triggers, because they must hold against raw SQL too:

* never zero active super_admins once there was one (R-079), counted in `super_admin_guard`;
* no operator row can be overwritten by INSERT OR REPLACE or UPDATE OR REPLACE, which would remove
  a row on SQLite without firing its delete trigger;
* every change that decides who passes moves `roster_version`.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from service_kit.audit.schema_v1 import create_audit_schema
from service_kit.db.columns import BigInt, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _global_admins()
    _one_row_tables()
    _enrollment_attempts()
    _service_keys()
    create_audit_schema(dialect)
    op.execute("INSERT INTO roster_version (id, version) VALUES (1, 1)")
    for statement in _guards(dialect):
        op.execute(statement)


def _global_admins() -> None:
    op.create_table(
        "global_admins",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("cf_access_sub", sa.Text(), nullable=True),
        sa.Column("enrollment_token_hash", sa.Text(), nullable=True),
        sa.Column("enrollment_token_expires_at", UtcDateTime(), nullable=True),
        sa.Column("enrollment_issued_by", sa.Text(), nullable=True),
        sa.Column("enrollment_issued_at", UtcDateTime(), nullable=True),
        sa.Column("last_active_at", UtcDateTime(), nullable=True),
        sa.Column("deactivated_at", UtcDateTime(), nullable=True),
        sa.Column("deactivated_by", sa.Text(), nullable=True),
        sa.Column("deactivation_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint(
            "role IN ('super_admin', 'support', 'read_only', 'security')", name=op.f("ck_global_admins_role")
        ),
        sa.CheckConstraint(
            "email = lower(trim(email)) AND email <> ''", name=op.f("ck_global_admins_email_normal")
        ),
        sa.CheckConstraint(
            "(enrollment_token_hash IS NULL) = (enrollment_token_expires_at IS NULL)",
            name=op.f("ck_global_admins_token_expires"),
        ),
        sa.CheckConstraint(
            "cf_access_sub IS NULL OR enrollment_token_hash IS NULL",
            name=op.f("ck_global_admins_token_is_spent"),
        ),
        sa.CheckConstraint("cf_access_sub <> ''", name=op.f("ck_global_admins_sub_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_global_admins")),
        sqlite_strict=True,
    )
    _unique_where("uq_global_admins_cf_access_sub", "cf_access_sub", "cf_access_sub IS NOT NULL")
    _unique_where(
        "uq_global_admins_enrollment_token_hash",
        "enrollment_token_hash",
        "enrollment_token_hash IS NOT NULL",
    )
    _unique_where("uq_global_admins_live_email", "email", "deactivated_at IS NULL")
    op.create_index("ix_global_admins_role", "global_admins", ["role", "deactivated_at"])
    op.create_index("ix_global_admins_created", "global_admins", ["created_at", "id"])


def _unique_where(name: str, column: str, condition: str) -> None:
    op.create_index(
        name,
        "global_admins",
        [column],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )


def _one_row_tables() -> None:
    op.create_table(
        "super_admin_guard",
        sa.Column("id", BigInt, autoincrement=False, nullable=False),
        sa.Column("active", BigInt, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_super_admin_guard_one_row")),
        sa.CheckConstraint("active >= 1", name=op.f("ck_super_admin_guard_never_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_super_admin_guard")),
        sqlite_strict=True,
    )
    op.create_table(
        "roster_version",
        sa.Column("id", BigInt, autoincrement=False, nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_roster_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_version")),
        sqlite_strict=True,
    )


def _enrollment_attempts() -> None:
    op.create_table(
        "enrollment_attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("access_sub", sa.Text(), nullable=False),
        sa.Column("attempted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment_attempts")),
        sqlite_strict=True,
    )
    op.create_index("ix_enrollment_attempts_sub", "enrollment_attempts", ["access_sub", "attempted_at"])


def _service_keys() -> None:
    op.create_table(
        "service_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_service_keys")),
        sqlite_strict=True,
    )


def _guards(dialect: str) -> tuple[str, ...]:
    return _POSTGRES if dialect == "postgresql" else _SQLITE


def _active(row: str) -> str:
    """G-08: a super_admin counts when enrolled and not deactivated."""
    return f"({row}.role = 'super_admin' AND {row}.cf_access_sub IS NOT NULL AND {row}.deactivated_at IS NULL)"


# RAISE(ABORT) and not only the CHECK: inside a trigger, "UPDATE OR IGNORE" would skip a failed CHECK
# of the guard row in silence and let the operator's own row through.
_ONE_LESS = """
    SELECT RAISE(ABORT, 'the last active super_admin cannot be removed')
    WHERE coalesce((SELECT active FROM super_admin_guard WHERE id = 1), 0) <= 1;
    UPDATE super_admin_guard SET active = active - 1 WHERE id = 1;"""
_ONE_MORE = """
    UPDATE super_admin_guard SET active = active + 1 WHERE id = 1;
    INSERT INTO super_admin_guard (id, active) SELECT 1, 1
    WHERE NOT EXISTS (SELECT 1 FROM super_admin_guard WHERE id = 1);"""
_NEXT_VERSION = "UPDATE roster_version SET version = version + 1 WHERE id = 1;"
_REAL_COUNT = f"(SELECT count(*) FROM global_admins AS one WHERE {_active('one')})"
_TAKEN = """
    SELECT 1 FROM global_admins AS other
    WHERE other.id = NEW.id OR other.cf_access_sub = NEW.cf_access_sub
       OR other.enrollment_token_hash = NEW.enrollment_token_hash
       OR (other.email = NEW.email AND other.deactivated_at IS NULL AND NEW.deactivated_at IS NULL)"""
_TAKEN_BY_ANOTHER = """
    SELECT 1 FROM global_admins AS other
    WHERE other.id <> OLD.id
      AND (other.id = NEW.id OR other.cf_access_sub = NEW.cf_access_sub
           OR other.enrollment_token_hash = NEW.enrollment_token_hash
           OR (other.email = NEW.email AND other.deactivated_at IS NULL AND NEW.deactivated_at IS NULL))"""

_SQLITE = (
    f"""CREATE TRIGGER global_admins_guard_insert AFTER INSERT ON global_admins
        WHEN {_active("NEW")} BEGIN {_ONE_MORE} END""",
    f"""CREATE TRIGGER global_admins_guard_delete AFTER DELETE ON global_admins
        WHEN {_active("OLD")} BEGIN {_ONE_LESS} END""",
    f"""CREATE TRIGGER global_admins_guard_lose AFTER UPDATE ON global_admins
        WHEN {_active("OLD")} AND NOT {_active("NEW")} BEGIN {_ONE_LESS} END""",
    f"""CREATE TRIGGER global_admins_guard_gain AFTER UPDATE ON global_admins
        WHEN NOT {_active("OLD")} AND {_active("NEW")} BEGIN {_ONE_MORE} END""",
    f"""CREATE TRIGGER global_admins_no_replace_insert BEFORE INSERT ON global_admins
        WHEN EXISTS ({_TAKEN})
        BEGIN SELECT RAISE(ABORT, 'an operator row is never overwritten'); END""",
    f"""CREATE TRIGGER global_admins_no_replace_update BEFORE UPDATE ON global_admins
        WHEN EXISTS ({_TAKEN_BY_ANOTHER})
        BEGIN SELECT RAISE(ABORT, 'an operator row is never overwritten'); END""",
    f"""CREATE TRIGGER super_admin_guard_true_insert AFTER INSERT ON super_admin_guard
        WHEN NEW.active <> {_REAL_COUNT}
        BEGIN SELECT RAISE(ABORT, 'only triggers write super_admin_guard'); END""",
    f"""CREATE TRIGGER super_admin_guard_true_update AFTER UPDATE ON super_admin_guard
        WHEN NEW.active <> {_REAL_COUNT}
        BEGIN SELECT RAISE(ABORT, 'only triggers write super_admin_guard'); END""",
    """CREATE TRIGGER super_admin_guard_no_delete BEFORE DELETE ON super_admin_guard
       BEGIN SELECT RAISE(ABORT, 'super_admin_guard is never removed'); END""",
    f"""CREATE TRIGGER global_admins_roster_insert AFTER INSERT ON global_admins
        BEGIN {_NEXT_VERSION} END""",
    f"""CREATE TRIGGER global_admins_roster_delete AFTER DELETE ON global_admins
        BEGIN {_NEXT_VERSION} END""",
    f"""CREATE TRIGGER global_admins_roster_update
        AFTER UPDATE OF role, deactivated_at, cf_access_sub, email, name ON global_admins
        BEGIN {_NEXT_VERSION} END""",
    """CREATE TRIGGER roster_version_forward BEFORE UPDATE ON roster_version WHEN NEW.version <= OLD.version
       BEGIN SELECT RAISE(ABORT, 'roster_version only grows'); END""",
    """CREATE TRIGGER roster_version_no_delete BEFORE DELETE ON roster_version
       BEGIN SELECT RAISE(ABORT, 'roster_version is never removed'); END""",
)

_POSTGRES = (
    # The guard is moved by a difference, not counted anew: under READ COMMITTED a count would not see
    # what another transaction is about to commit, while the row's lock makes differences add up.
    f"""CREATE FUNCTION global_admins_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            counted boolean := false;
            counts boolean := false;
        BEGIN
            IF TG_OP <> 'INSERT' THEN counted := {_active("OLD")}; END IF;
            IF TG_OP <> 'DELETE' THEN counts := {_active("NEW")}; END IF;
            IF counts AND NOT counted THEN
                INSERT INTO super_admin_guard (id, active) VALUES (1, 1)
                ON CONFLICT (id) DO UPDATE SET active = super_admin_guard.active + 1;
            ELSIF counted AND NOT counts THEN
                UPDATE super_admin_guard SET active = active - 1 WHERE id = 1;
                IF NOT FOUND THEN RAISE EXCEPTION 'super_admin_guard has lost its row'; END IF;
            END IF;
            RETURN NULL;
        END $$""",
    """CREATE TRIGGER global_admins_guard AFTER INSERT OR UPDATE OR DELETE ON global_admins
       FOR EACH ROW EXECUTE FUNCTION global_admins_guard()""",
    f"""CREATE FUNCTION global_admins_roster() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {_NEXT_VERSION} RETURN NULL; END $$""",
    """CREATE TRIGGER global_admins_roster AFTER INSERT OR DELETE
       OR UPDATE OF role, deactivated_at, cf_access_sub, email, name ON global_admins
       FOR EACH ROW EXECUTE FUNCTION global_admins_roster()""",
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION '% is not changed by hand', TG_TABLE_NAME; END $$""",
    """CREATE TRIGGER global_admins_no_truncate BEFORE TRUNCATE ON global_admins
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER super_admin_guard_by_trigger_only BEFORE INSERT OR UPDATE OR DELETE ON super_admin_guard
       FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER super_admin_guard_no_truncate BEFORE TRUNCATE ON super_admin_guard
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER roster_version_forward BEFORE UPDATE ON roster_version
       FOR EACH ROW WHEN (NEW.version <= OLD.version) EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER roster_version_no_delete BEFORE DELETE ON roster_version
       FOR EACH ROW EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER roster_version_no_truncate BEFORE TRUNCATE ON roster_version
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
)
