"""Who may query people without naming their tenant (R-120): the support search, and nobody by accident."""

import ast
from collections.abc import Iterator
from pathlib import Path

import tenant_service

ROOT = Path(tenant_service.__path__[0])
PLATFORM = ("support", "migrations")
"""Packages for operators' questions over all tenants; each row that they read is recorded."""

_TABLES = {"members": {"organization_id"}, "users": {"organization_id", "user_id", "id", "email"}}
"""By which columns a query of each table is bound. A user is global: found by one key, never by a part."""

_NAMED = {("tenants/erasing.py", "_forget")}
"""The purge asks whether a person is a member anywhere else, and learns no more than that."""

_QUERIES = {"select", "update", "delete"}
_WIDE = {"like", "ilike", "startswith", "contains", "match", "regexp_match"}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def words(node: ast.AST) -> set[str]:
    """Every name, attribute and keyword in it."""
    found = {each.attr.removeprefix("_") for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.arg for each in ast.walk(node) if isinstance(each, ast.keyword) and each.arg}


def compared(node: ast.AST) -> set[str]:
    """Every name within a comparison, or within an `in_`."""
    parts: list[ast.AST] = [each for each in ast.walk(node) if isinstance(each, ast.Compare)]
    parts += [
        each
        for each in ast.walk(node)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "in_"
    ]
    return set[str]().union(*(words(part) for part in parts))


def queried(function: ast.AST) -> set[str]:
    """The tables of people that a function queries."""
    calls = (each for each in ast.walk(function) if isinstance(each, ast.Call))
    asks = any(isinstance(call.func, ast.Name) and call.func.id in _QUERIES for call in calls)
    return words(function) & _TABLES.keys() if asks else set()


def unbound(path: Path) -> Iterator[str]:
    module = path.relative_to(ROOT).as_posix()
    for function in (one for one in functions(path) if (module, one.name) not in _NAMED):
        for table in sorted(queried(function)):
            if not compared(function) & _TABLES[table]:
                yield f"{module}:{function.lineno} {function.name} queries {table} unbound"
        if words(function) & _TABLES.keys() and words(function) & _WIDE:
            yield f"{module}:{function.lineno} {function.name} looks for parts of a value"


def test_only_the_support_search_queries_people_of_all_tenants() -> None:
    """R-120: outside the platform's packages every query of people is bound to a tenant or to one key."""
    modules = (path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in PLATFORM)

    assert [offence for path in modules for offence in unbound(path)] == []


def test_the_rule_would_find_the_search_itself() -> None:
    """A test that cannot fail is a defect: the one query that may be unbound is one that the rule sees."""
    assert len(list(unbound(ROOT / "support" / "repository.py"))) >= 1


def test_no_switch_turns_the_binding_off() -> None:
    """R-120: there is no parameter, setting or session variable by which a query leaves its tenant."""
    switches = ("bypass", "unscoped=", "all_tenants=", "skip_scope", "ignore_tenant", "row_security = off")
    found = [
        (path.relative_to(ROOT).as_posix(), switch)
        for path in ROOT.rglob("*.py")
        for switch in switches
        if switch in path.read_text().lower()
    ]

    assert found == []


def test_nobody_can_act_as_somebody_else() -> None:
    """R-125: no endpoint of this service impersonates."""
    text = " ".join(path.read_text().lower() for path in ROOT.rglob("*.py"))

    assert "impersonat" not in text.replace("it impersonates nobody", "")
