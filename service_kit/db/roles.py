"""Roles of PostgreSQL, for migrations: made where that is allowed, otherwise asked for by name.

A role belongs to the whole server, so it may be there already; it never logs in, and owns nothing. What a
transaction may do is what its role was granted (`Database.acting_as`).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from alembic import op

_MAKE: Final = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        BEGIN
            CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL; -- another database of the server was quicker
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role {role} is missing, and % may not make it: see docs/postgresql.md',
                    current_user;
        END;
    END IF;
    IF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN
        BEGIN
            GRANT {role} TO CURRENT_USER;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'the role {role} is there, and % may not take it: see docs/postgresql.md',
                current_user;
        END;
    END IF;
END $$
"""


def make_role(role: str) -> None:
    """The role exists, and the user of the service may take it. `role` is a word of ours."""
    op.execute(_MAKE.format(role=role))
    op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")


def grant(role: str, rights: Mapping[str, Iterable[str]]) -> None:
    """What the role may do, as `{"SELECT, INSERT": tables}`."""
    for verbs, tables in rights.items():
        op.execute(f"GRANT {verbs} ON {', '.join(tables)} TO {role}")


def isolate(table: str, *, scoped: Mapping[str, str], everywhere: Iterable[str]) -> None:
    """Row-level security: what each scoped role may see of a table, and who may see all of it.

    The owner, as whom migrations and maintenance commands run, is named like any other role: a role
    without a policy sees nothing.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for role in (*everywhere, "CURRENT_USER"):
        op.execute(
            f"CREATE POLICY {table}_{role.lower()} ON {table} TO {role} USING (true) WITH CHECK (true)"
        )
    for role, condition in scoped.items():
        op.execute(
            f"CREATE POLICY {table}_{role} ON {table} TO {role} USING ({condition}) WITH CHECK ({condition})"
        )
