"""A PostgreSQL role of its own: what serves requests may not change the schema, nor an audit row.

The owner runs migrations and maintenance commands, and serves no request. SQLite knows no roles.

Revision ID: 0008
"""

from alembic import op

from service_kit.db.roles import grant, make_role

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLE = "admin_app"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    make_role(ROLE)
    grant(
        ROLE,
        {
            "SELECT": ["alembic_version", "roster_version", "super_admin_guard"],
            "UPDATE (id)": ["roster_version", "super_admin_guard"],  # to hold their rows; triggers keep the ids
            "SELECT, INSERT": ["audit_events", "audit_checkpoints", "audit_witnesses", "audit_erasures"],
            "SELECT, INSERT, UPDATE": ["audit_chain_heads", "global_admins"],  # nobody deletes an operator
            "SELECT, INSERT, DELETE": ["audit_pii"],
            "SELECT, INSERT, UPDATE, DELETE": [
                "enrollment_attempts", "idempotency_keys", "job_runs", "jobs", "operator_preferences", "operator_sessions", "outbox",
                "service_keys",
            ],  # fmt: skip
        },
    )
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}")
    # They keep the guard of the last super admin and the version of the list, which the role cannot write.
    for function in ("global_admins_guard", "global_admins_roster"):
        op.execute(f"ALTER FUNCTION {function}() SECURITY DEFINER SET search_path = pg_catalog, public")
