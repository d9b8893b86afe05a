"""Handlers are wrappers: they read a call, ask a service and name a status."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = sorted(
    path for service in ("admin_service", "tenant_service") for path in (ROOT / service).rglob("handlers.py")
)
MOST_STATEMENTS = 6
STREAMS = {"feed"}
"""Writing a stream is HTTP's own business and takes a few lines more."""


def functions(tree: ast.AST) -> Iterator[ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_handler_has_no_sql_and_few_lines(path: Path) -> None:
    """R-098: no SQL, no repository and no session in a handler, and no more than a few statements."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    forbidden = ("sqlalchemy", "service_kit.db.session", "service_kit.db.engine")
    sizes = {
        node.name: sum(isinstance(part, ast.stmt) for part in ast.walk(node)) - 1 for node in functions(tree)
    }

    assert [
        name for name in imported(tree) if name.startswith(forbidden) or name.endswith(".repository")
    ] == []
    assert {
        name: size for name, size in sizes.items() if size > MOST_STATEMENTS and name not in STREAMS
    } == {}


def test_there_are_handlers() -> None:
    """The rule has something to hold for."""
    assert len(HANDLERS) >= 5
