"""PostgreSQL roles, grants and row-level security: a plane of the service has rights of its own.

`platform_app` is the operators' side and the jobs, `platform_reader` the search over all tenants, `tenant_app`
the tenants' own plane, which sees the rows of the tenant that its transaction names. The owner runs migrations
and maintenance commands, and serves no request. SQLite knows no roles.

Revision ID: 0008
"""

from alembic import op

from service_kit.db.roles import grant, isolate, make_role

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PLATFORM, READER, TENANT = "platform_app", "platform_reader", "tenant_app"
APPEND_ONLY = ["audit_events", "audit_checkpoints", "audit_witnesses", "audit_erasures", "credit_txns", "credit_ledger"]
"""Rows come, and stay: no role may change one, nor take one away."""
OF_A_TENANT = [
    "billing_accounts", "connected_accounts", "credit_grants", "credit_ledger", "credit_reservations",
    "credit_txns", "feature_flags", "invitations", "members", "org_owner_guard", "purchases", "sessions",
]  # fmt: skip
OF_THE_PLATFORM = [
    "credit_pack_prices", "credit_packs", "idempotency_keys", "job_runs", "jobs", "organizations", "outbox",
    "rate_limit_hits", "service_keys", "slug_tombstones", "user_credentials", "users",
]  # fmt: skip
AUDIT = ["audit_events", "audit_pii", "audit_chain_heads"]
CHANGEABLE = sorted({*OF_A_TENANT, *OF_THE_PLATFORM} - {*APPEND_ONLY})

OWN = "organization_id = current_setting('app.organization_id', true)"
OWN_ROW = "id = current_setting('app.organization_id', true)"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    for role in (PLATFORM, READER, TENANT):
        make_role(role)
    _grants()
    _policies()
    # They look at rows of the audit log and of a tenant's owners, which the role that fires them may not see.
    for function in ("audit_chain_heads_guard", "audit_pii_guard", "audit_erasures_guard", "members_guard"):
        op.execute(f"ALTER FUNCTION {function}() SECURITY DEFINER SET search_path = pg_catalog, public")


def _grants() -> None:
    grant(
        PLATFORM,
        {
            "SELECT, INSERT": APPEND_ONLY,
            "SELECT, INSERT, UPDATE": ["audit_chain_heads"],
            "SELECT, INSERT, DELETE": ["audit_pii"],
            "SELECT, INSERT, UPDATE, DELETE": CHANGEABLE,
            "SELECT": ["alembic_version"],
        },
    )
    grant(
        READER,
        {
            "SELECT": ["organizations", "members", "users"],
            "SELECT, INSERT": ["audit_events", "audit_pii"],
            "SELECT, INSERT, UPDATE": ["audit_chain_heads"],
        },
    )
    grant(
        TENANT,
        {
            "SELECT": [
                "organizations", "billing_accounts", "credit_grants", "credit_pack_prices", "credit_packs",
                "feature_flags", "connected_accounts",
            ],  # fmt: skip
            "UPDATE (updated_at)": ["organizations"],  # a row can be held only by who may change something of it
            "SELECT, INSERT": ["audit_events", "audit_pii"],
            "SELECT, INSERT, UPDATE": ["audit_chain_heads", "users", "user_credentials", "invitations"],
            # A letter whose invitation is taken back is taken back with it.
            "SELECT, INSERT, UPDATE, DELETE": ["members", "sessions", "idempotency_keys", "outbox"],
            "SELECT, INSERT, DELETE": ["rate_limit_hits"],
        },
    )
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {PLATFORM}")


def _policies() -> None:
    everybody = [PLATFORM, READER]
    for table in (*OF_A_TENANT, "outbox"):
        isolate(table, scoped={TENANT: OWN}, everywhere=everybody)
    isolate("organizations", scoped={TENANT: OWN_ROW}, everywhere=everybody)
    isolate("audit_events", scoped={}, everywhere=everybody)
    isolate("audit_pii", scoped={}, everywhere=everybody)
    # A tenant reads its own rows. What it writes may stand in the platform's log too.
    op.execute(f"CREATE POLICY audit_events_tenant_reads ON audit_events FOR SELECT TO {TENANT} USING ({OWN})")
    op.execute(
        f"CREATE POLICY audit_events_tenant_writes ON audit_events FOR INSERT TO {TENANT} "
        f"WITH CHECK ({OWN} OR organization_id IS NULL)"
    )
    # The subquery sees what the role sees of the events.
    op.execute(
        f"CREATE POLICY audit_pii_tenant_reads ON audit_pii FOR SELECT TO {TENANT} "
        "USING (EXISTS (SELECT 1 FROM audit_events WHERE audit_events.id = audit_pii.event_id))"
    )
    op.execute(f"CREATE POLICY audit_pii_tenant_writes ON audit_pii FOR INSERT TO {TENANT} WITH CHECK (true)")
