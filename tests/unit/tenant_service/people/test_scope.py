"""The plane of tenants reaches the database through one seam, and builds no statement beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite

from tenant_service.people.scope import TenantScope, UnscopedTableError
from tenant_service.tables import schema

PACKAGE = Path(__file__).parents[4] / "tenant_service"
SEAM = "people/scope.py"
BESIDE = {
    "people/models.py",  # the tables themselves
    "people/repository.py",  # the operators' search stands on it; the plane may not import it
    "people/sliding_log.py",  # counts tries; no tenant's data
    "people/accounts.py",  # users belong to no single tenant: one address or one id at a time
    SEAM,
}
STATEMENTS = {"select", "insert", "update", "delete", "text", "union_all"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("people", "public"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module, package: str) -> set[str]:
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package)
        for alias in node.names
    }


def test_only_the_seam_builds_statements() -> None:
    """R-120, data-model 2.8: no module of the plane writes a statement without its tenant."""
    builders = {name for name, tree in modules() if imported(tree, "sqlalchemy") & STATEMENTS}

    assert builders - BESIDE == set()
    assert SEAM in builders


def test_only_the_seam_opens_transactions() -> None:
    """data-model 2.8: each transaction of the plane passes where PostgreSQL is told whose it is."""
    openers = {name for name, tree in modules() if "Database" in imported(tree, "service_kit.db.session")}

    assert openers == {SEAM}


def test_a_statement_names_its_tenant() -> None:
    """data-model 2.8: whatever is built within a scope has the tenant in it; no row says otherwise."""
    scope, members = TenantScope("org_1"), schema().people.members
    for statement in (
        scope.select(members),
        scope.select(members, members.c.id).where(members.c.id == "mem_1"),
        scope.update(members).values(role="admin"),
        scope.delete(members),
        scope.insert(members, {"id": "mem_1", "organization_id": "org_2"}),
    ):
        compiled = statement.compile(dialect=sqlite.dialect())
        assert "organization_id" in str(compiled)
        assert "org_1" in compiled.params.values()
        assert "org_2" not in compiled.params.values()


def test_a_table_of_no_tenant_is_refused() -> None:
    """data-model 2.8: a scope has no words for tables that belong to nobody."""
    for build in (TenantScope("org_1").select, TenantScope("org_1").update, TenantScope("org_1").delete):
        with pytest.raises(UnscopedTableError):
            build(schema().people.users)
