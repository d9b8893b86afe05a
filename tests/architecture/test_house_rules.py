"""Rules of the house that no linter knows; each is here because breaking it once would be costly."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import admin_service
import auth_proxy
import service_kit
import tenant_service

PACKAGES = (auth_proxy, admin_service, tenant_service, service_kit)
ROOT = Path(__file__).parents[2]


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from Path(package.__path__[0]).rglob("*.py")


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func)


def names_of_modules() -> list[str]:
    found = []
    for package in PACKAGES:
        found += [item.name for item in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [name for name in found if not name.endswith("__main__") and ".migrations" not in name]


def test_time_comes_from_the_clock_alone() -> None:
    """Only clock.py asks the operating system for the time, so that a test can move it."""
    offenders = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        for call in calls(ast.parse(path.read_text()))
        if call in {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic"}
    }

    assert offenders == {"service_kit/clock.py"}


def test_the_claimed_email_is_read_in_one_place() -> None:
    """R-170: only identify.py compares what Cf-Access-Authenticated-User-Email claims."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "claimed_email"
    }

    assert readers == {"auth_proxy/pipeline/identify.py"}


def test_commits_stand_in_the_kit_alone() -> None:
    """A service never commits: the block that opened the transaction does."""
    offenders = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        for call in calls(ast.parse(path.read_text()))
        if call.endswith((".commit", ".rollback"))
    ]

    assert offenders == []


def test_no_module_grows_past_four_hundred_lines() -> None:
    """A module that grows past 400 lines wants to be two."""
    long = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines())
        for path in sources()
        if len(path.read_text().splitlines()) > 400
    }

    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    """Each module opens with its responsibility."""
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if not ast.get_docstring(ast.parse(path.read_text())) and "versions" not in path.parts
    ]

    assert silent == []


def test_every_module_can_be_imported_alone() -> None:
    """No module needs another one to have been imported before it."""
    assert len([importlib.import_module(name) for name in names_of_modules()]) > 100


def test_the_sidecar_starts_without_the_services_libraries() -> None:
    """R-003: the sidecar that stands before every byte loads no database and no template engine."""
    program = "import sys, auth_proxy.cli; print({'sqlalchemy', 'alembic', 'jinja2'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("folder", ["auth_proxy", "admin_service", "tenant_service", "deploy", "tests"])
def test_the_top_level_tells_the_product(folder: str) -> None:
    """R-001: a newcomer sees from `ls` what the product is."""
    assert (ROOT / folder).is_dir()
    assert (ROOT / "pyproject.toml").is_file()
