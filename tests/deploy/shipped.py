"""What the manifests of `deploy/` are held against: the settings classes, and the checkout itself."""

import functools
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from admin_service.settings import AdminSettings
from auth_proxy.settings import ProxySettings, load_proxy_settings
from service_kit.settings import Listen, ServiceSettings, load_settings, variables
from tenant_service.settings import TenantSettings

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
AUD: Final = "4c1d8f0e7a92b635" * 4
LIBRARIES: Final = {"PGPASSFILE"}
"""Read by asyncpg, not by us: where the password of a database URL without one stands."""


@dataclass(frozen=True, slots=True)
class Process:
    """One of the three, as a manifest starts it."""

    name: str
    settings: type[ServiceSettings]
    load: Callable[[Mapping[str, str]], ServiceSettings]

    @property
    def variables(self) -> set[str]:
        return {name for names in variables(self.settings).values() for name in names}

    def require_valid(self, environ: Mapping[str, str]) -> ServiceSettings:
        """The settings of a manifest: every name is one of ours, and nothing required is missing."""
        unknown = set(environ) - self.variables - LIBRARIES
        assert not unknown, f"{self.name} has no such setting: {unknown}"
        return self.load(environ)


PROCESSES: Final = {
    process.name: process
    for process in (
        Process("auth-proxy", ProxySettings, load_proxy_settings),
        Process("admin-service", AdminSettings, functools.partial(load_settings, AdminSettings)),
        Process("tenant-service", TenantSettings, functools.partial(load_settings, TenantSettings)),
    )
}
OPS_FIELD: Final = "ops_listen"


def ports(settings: ServiceSettings | type[ServiceSettings]) -> dict[str, int]:
    """The port of each listener, by its field: of a configuration, or by default."""
    kind = settings if isinstance(settings, type) else type(settings)
    found = {}
    for field, info in kind.model_fields.items():
        value = info.default if isinstance(settings, type) else getattr(settings, field)
        if isinstance(value, Listen):
            found[field] = value.port
    return found


def commands() -> dict[str, str]:
    """The commands that the package installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    scripts: dict[str, str] = project["scripts"]
    return scripts


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def required_tool(name: str) -> str:
    """An installed program. Skips the test without one; fails it when SALLYPORT_REQUIRE_ALL is set."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("SALLYPORT_REQUIRE_ALL"):
            pytest.fail(f"{name} is not installed, and SALLYPORT_REQUIRE_ALL is set")
        pytest.skip(f"{name} is not installed")
    return found
