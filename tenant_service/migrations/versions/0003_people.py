"""People: users, credentials, members, sessions, and the hits of rate limits.

A tenant that has an owner keeps one, against raw SQL too: `org_owner_guard` counts the owners of each
tenant, kept by triggers on `members`, and its CHECK makes zero impossible. Two owners who remove each
other at the same time meet at that row's lock. Only a deleted tenant may lose its last owner (its
people are purged); then its guard row goes too.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BigInt, BoolInt, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    _users()
    _user_credentials()
    _members()
    _org_owner_guard()
    _sessions()
    _rate_limit_hits()
    for statement in _POSTGRES if dialect == "postgresql" else _SQLITE:
        op.execute(statement)


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email_verified", BoolInt(), nullable=False),
        sa.Column("disabled_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint("email = lower(trim(email)) AND email <> ''", name=op.f("ck_users_email_normal")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 120", name=op.f("ck_users_name")),
        sa.CheckConstraint("email_verified IN (0, 1)", name=op.f("ck_users_email_verified")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sqlite_strict=True,
    )
    op.create_index("ix_users_time", "users", ["created_at", "id"])
    op.create_index(
        "ix_users_name",
        "users",
        [sa.func.lower(sa.column("name")).label("lower_name")],
        postgresql_ops={"lower_name": "text_pattern_ops"},
    )


def _user_credentials() -> None:
    op.create_table(
        "user_credentials",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("failed_count", BigInt, nullable=False),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.CheckConstraint("failed_count >= 0", name=op.f("ck_user_credentials_failed_count")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_credentials_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_credentials")),
        sqlite_strict=True,
    )


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_members_role")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_members_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("organization_id", "user_id", name=op.f("uq_members_organization_id_user_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_members_user", "members", ["user_id"])
    op.create_index("ix_members_time", "members", ["organization_id", "created_at", "id"])


def _org_owner_guard() -> None:
    op.create_table(
        "org_owner_guard",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("owners", BigInt, nullable=False),
        sa.CheckConstraint("owners >= 1", name=op.f("ck_org_owner_guard_never_zero")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_org_owner_guard_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_org_owner_guard")),
        sqlite_strict=True,
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_sessions_expires_later")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_sessions_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
        sqlite_strict=True,
    )
    op.create_index("ix_sessions_user", "sessions", ["user_id"])
    op.create_index("ix_sessions_organization", "sessions", ["organization_id", "revoked_at"])


def _rate_limit_hits() -> None:
    op.create_table(
        "rate_limit_hits",
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("seq", BigInt, autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "seq", name=op.f("pk_rate_limit_hits")),
        sqlite_strict=True,
    )
    op.create_index("ix_rate_limit_hits_time", "rate_limit_hits", ["partition", "at"])


# RAISE(ABORT) and not only the CHECK: inside a trigger, "UPDATE OR IGNORE" would skip a failed CHECK
# of the guard row in silence and let the member's own row through.
_ONE_LESS = """
    SELECT RAISE(ABORT, 'the last owner of a tenant cannot be removed')
    WHERE coalesce((SELECT owners FROM org_owner_guard WHERE organization_id = OLD.organization_id), 0) <= 1
      AND NOT EXISTS (SELECT 1 FROM organizations WHERE id = OLD.organization_id AND status = 'deleted');
    DELETE FROM org_owner_guard WHERE organization_id = OLD.organization_id AND owners = 1;
    UPDATE org_owner_guard SET owners = owners - 1 WHERE organization_id = OLD.organization_id;"""
_ONE_MORE = """
    UPDATE org_owner_guard SET owners = owners + 1 WHERE organization_id = NEW.organization_id;
    INSERT INTO org_owner_guard (organization_id, owners) SELECT NEW.organization_id, 1
    WHERE NOT EXISTS (SELECT 1 FROM org_owner_guard WHERE organization_id = NEW.organization_id);"""


_OWNERS_NEW = "(SELECT count(*) FROM members WHERE organization_id = NEW.organization_id AND role = 'owner')"
_OWNERS_OLD = "(SELECT count(*) FROM members WHERE organization_id = OLD.organization_id AND role = 'owner')"

_SQLITE = (
    f"""CREATE TRIGGER members_guard_insert AFTER INSERT ON members
        WHEN NEW.role = 'owner' BEGIN {_ONE_MORE} END""",
    f"""CREATE TRIGGER members_guard_delete AFTER DELETE ON members
        WHEN OLD.role = 'owner' BEGIN {_ONE_LESS} END""",
    f"""CREATE TRIGGER members_guard_lose AFTER UPDATE ON members
        WHEN OLD.role = 'owner' AND (NEW.role <> 'owner' OR NEW.organization_id <> OLD.organization_id)
        BEGIN {_ONE_LESS} END""",
    f"""CREATE TRIGGER members_guard_gain AFTER UPDATE ON members
        WHEN NEW.role = 'owner' AND (OLD.role <> 'owner' OR NEW.organization_id <> OLD.organization_id)
        BEGIN {_ONE_MORE} END""",
    # INSERT OR REPLACE removes a row without firing its delete trigger, unless recursive_triggers is on.
    """CREATE TRIGGER members_no_replace_insert BEFORE INSERT ON members
       WHEN EXISTS (SELECT 1 FROM members AS other WHERE other.id = NEW.id
           OR (other.organization_id = NEW.organization_id AND other.user_id = NEW.user_id))
       BEGIN SELECT RAISE(ABORT, 'a member row is never overwritten'); END""",
    """CREATE TRIGGER members_no_replace_update BEFORE UPDATE ON members
       WHEN EXISTS (SELECT 1 FROM members AS other WHERE other.id <> OLD.id AND (other.id = NEW.id
           OR (other.organization_id = NEW.organization_id AND other.user_id = NEW.user_id)))
       BEGIN SELECT RAISE(ABORT, 'a member row is never overwritten'); END""",
    f"""CREATE TRIGGER org_owner_guard_true_insert AFTER INSERT ON org_owner_guard
        WHEN NEW.owners <> {_OWNERS_NEW}
        BEGIN SELECT RAISE(ABORT, 'only triggers write org_owner_guard'); END""",
    f"""CREATE TRIGGER org_owner_guard_true_update AFTER UPDATE ON org_owner_guard
        WHEN NEW.organization_id <> OLD.organization_id OR NEW.owners <> {_OWNERS_NEW}
        BEGIN SELECT RAISE(ABORT, 'only triggers write org_owner_guard'); END""",
    f"""CREATE TRIGGER org_owner_guard_true_delete BEFORE DELETE ON org_owner_guard
        WHEN {_OWNERS_OLD} <> 0
        BEGIN SELECT RAISE(ABORT, 'only triggers write org_owner_guard'); END""",
)

_POSTGRES = (
    # The guard is moved by a difference, not counted anew: under READ COMMITTED a count would not see
    # what another transaction is about to commit, while the row's lock makes differences add up.
    """CREATE FUNCTION members_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            lost text;
            gained text;
        BEGIN
            IF TG_OP <> 'INSERT' AND OLD.role = 'owner' THEN lost := OLD.organization_id; END IF;
            IF TG_OP <> 'DELETE' AND NEW.role = 'owner' THEN gained := NEW.organization_id; END IF;
            IF lost IS NOT DISTINCT FROM gained THEN RETURN NULL; END IF;
            IF gained IS NOT NULL THEN
                INSERT INTO org_owner_guard (organization_id, owners) VALUES (gained, 1)
                ON CONFLICT (organization_id) DO UPDATE SET owners = org_owner_guard.owners + 1;
            END IF;
            IF lost IS NOT NULL THEN
                UPDATE org_owner_guard SET owners = owners - 1 WHERE organization_id = lost AND owners > 1;
                IF FOUND THEN RETURN NULL; END IF;
                IF NOT EXISTS (SELECT 1 FROM organizations WHERE id = lost AND status = 'deleted') THEN
                    RAISE EXCEPTION 'the last owner of a tenant cannot be removed'
                    USING ERRCODE = 'check_violation';
                END IF;
                DELETE FROM org_owner_guard WHERE organization_id = lost;
                IF NOT FOUND THEN RAISE EXCEPTION 'org_owner_guard has lost its row'; END IF;
            END IF;
            RETURN NULL;
        END $$""",
    """CREATE TRIGGER members_guard AFTER INSERT OR UPDATE OR DELETE ON members
       FOR EACH ROW EXECUTE FUNCTION members_guard()""",
    """CREATE FUNCTION refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION '% is not changed by hand', TG_TABLE_NAME; END $$""",
    """CREATE TRIGGER members_no_truncate BEFORE TRUNCATE ON members
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_by_hand()""",
    """CREATE TRIGGER org_owner_guard_by_trigger_only BEFORE INSERT OR UPDATE OR DELETE ON org_owner_guard
       FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_by_hand()""",
    """CREATE TRIGGER org_owner_guard_no_truncate BEFORE TRUNCATE ON org_owner_guard
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_by_hand()""",
    # `session_replication_role = replica` turns ordinary triggers off; these fire there too.
    "ALTER TABLE members ENABLE ALWAYS TRIGGER members_guard",
    "ALTER TABLE members ENABLE ALWAYS TRIGGER members_no_truncate",
    "ALTER TABLE org_owner_guard ENABLE ALWAYS TRIGGER org_owner_guard_by_trigger_only",
    "ALTER TABLE org_owner_guard ENABLE ALWAYS TRIGGER org_owner_guard_no_truncate",
)
