"""The compose file: each container has its settings, and nothing can be reached but the sidecars."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.deploy.shipped import AUD, DEPLOY, LIBRARIES, PROCESSES, ROOT, env_file, ports
from tests.deploy.test_docker import stages

COMPOSE = DEPLOY / "compose"
EXAMPLE = {**env_file(COMPOSE / ".env.example"), "CF_ACCESS_AUD": AUD}
TUNNEL, POSTGRES = "cloudflared", "postgres"


def document() -> dict[str, Any]:
    """The file with the example's variables filled in, as Compose does it."""
    loaded: dict[str, Any] = interpolated(
        yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    )
    return loaded


def interpolated(value: Any) -> Any:
    """Strings alone are filled in, after the file was parsed: an empty variable is an empty string."""
    if isinstance(value, dict):
        return {name: interpolated(each) for name, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each) for each in value]
    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", filled_in, value) if isinstance(value, str) else value


def filled_in(match: re.Match[str]) -> str:
    name, kind, other = match.groups()
    value = EXAMPLE.get(name, "")
    assert value or kind != "?", f"{name} is needed, and the example does not have it"
    return value or (other if kind == "-" else "")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def ours() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The containers of this project, with the process that each runs."""
    for service in services().values():
        if "build" in service:
            yield service["build"]["target"], service


def test_every_container_has_the_settings_of_its_process() -> None:
    """No variable is misspelt, none that is required is missing, and the ports are the usual ones (R-173)."""
    started = set()
    for name, service in ours():
        process = PROCESSES[name]
        environ = {key: str(value) for key, value in service["environment"].items()}
        settings = process.require_valid(environ)
        assert ports(settings) == ports(process.settings)
        started.add(name)

    assert started == set(PROCESSES)


def test_the_example_has_every_variable_and_no_secret() -> None:
    """`.env.example` names what the file reads, each is empty or an example, and git takes no real one."""
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{(\w+)", text))
    example = env_file(COMPOSE / ".env.example")

    assert read == set(example)
    assert not example["CF_ACCESS_AUD"]
    assert not example["SMTP_URL"]
    assert {"secrets/", ".env"} <= set((COMPOSE / ".gitignore").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("name", services())
def test_every_container_may_do_next_to_nothing(name: str) -> None:
    """A user that is not root, a read-only root, no capability, no new privilege, and limits."""
    service = services()[name]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert "docker.sock" not in str(service)


def test_only_the_sidecars_and_the_tenants_hosts_have_a_port() -> None:
    """R-136: what is published is on loopback, and is no listener of a service or of operations."""
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}

    assert published == {
        "auth-proxy-1": ["127.0.0.1:8080:8080"],
        "auth-proxy-2": ["127.0.0.1:8180:8080"],
        "tenant-service": ["127.0.0.1:8083:8083"],
    }


def test_the_networks_keep_apart_what_need_not_meet() -> None:
    """R-136: services alone see the database, the tunnel sees sidecars alone, and neither leads out."""
    networks = document()["networks"]
    members: dict[str, set[str]] = {name: set() for name in networks}
    for name, service in services().items():
        for network in service["networks"]:
            members[network].add(name)
    sidecars = {"auth-proxy-1", "auth-proxy-2"}

    assert members["edge"] == sidecars | {TUNNEL}
    assert members["inside"] == sidecars | {"admin-service", "tenant-service"}
    assert members["data"] == {"admin-service", "tenant-service", "admin-migrate", "tenant-migrate", POSTGRES}
    assert members["tenants"] == {"tenant-service"}
    assert all(networks[name]["internal"] for name in ("inside", "data"))


def test_secrets_are_files_and_each_is_made_by_the_script() -> None:
    """No password stands in an environment; what is mounted is declared, and make-secrets.sh makes it."""
    declared = document()["secrets"]
    script = (DEPLOY / "make-secrets.sh").read_text(encoding="utf-8").replace("$name", "admin-owner")
    script += "tenant-owner.password postgres-superuser.password"  # the loop's other turns

    for service in services().values():
        assert set(service.get("secrets", ())) <= set(declared)
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or key.endswith("_FILE")
            assert not re.search(r"://[^/@:]*:[^/@]+@", str(value))
            if str(value).startswith("/run/secrets/"):
                assert str(value).removeprefix("/run/secrets/") in service["secrets"]
    for name, secret in declared.items():
        assert name == "tunnel-token" or secret["file"].removeprefix("./secrets/") in script


def test_what_is_mounted_and_built_is_in_the_checkout() -> None:
    """Every mount names a file of ours, a made secret or a volume; every build a stage."""
    volumes = document()["volumes"]
    for service in services().values():
        for volume in service.get("volumes", ()):
            source, _, options = volume.partition(":")
            if source in volumes:
                continue
            assert options.endswith(":ro")
            assert source.startswith("./secrets/") or (COMPOSE / source).resolve().is_file()
        if "build" in service:
            assert (COMPOSE / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in stages()
        else:
            assert re.search(r":\d[\w.-]+$", service["image"])


def test_databases_are_migrated_before_anybody_serves() -> None:
    """PostgreSQL is healthy, then each migration ends well, then its service starts."""
    for name in ("admin", "tenant"):
        assert services()[f"{name}-migrate"]["command"] == ["migrate"]
        assert services()[f"{name}-migrate"]["depends_on"][POSTGRES]["condition"] == "service_healthy"
        first = services()[f"{name}-service"]["depends_on"][f"{name}-migrate"]
        assert first["condition"] == "service_completed_successfully"


def test_nobody_is_killed_while_draining() -> None:
    """The engine waits longer than the sidecar's lame duck and drain, and than a service's drain."""
    for _, service in ours():
        environment = service["environment"]
        drain = float(environment.get("AUTH_PROXY_DRAIN_SECONDS", 30))
        duck = float(environment.get("AUTH_PROXY_LAME_DUCK_SECONDS", 0))
        assert float(service["stop_grace_period"].removesuffix("s")) > drain + duck + 5


def test_readiness_is_asked_by_the_right_variable() -> None:
    """Each health check asks /readyz of the listener that the container's own settings open."""
    for name, service in ours():
        if "healthcheck" in service:
            _, _, script, variable, path = service["healthcheck"]["test"]
            assert script == "/opt/sallyport/bin/healthcheck.py"
            assert variable in PROCESSES[name].variables & set(service["environment"])
            assert path == "/readyz"


def test_the_pass_file_of_a_service_is_for_its_own_database() -> None:
    """R-006: the owner of a database URL is the one whom the service's password file knows."""
    script = (DEPLOY / "make-secrets.sh").read_text(encoding="utf-8")
    for name in ("admin", "tenant"):
        environment = services()[f"{name}-service"]["environment"]
        url = environment[f"{name.upper()}_DATABASE_URL"]
        assert url == f"postgresql://{name}_owner@postgres:5432/sallyport_{name}"
        assert f"*:*:sallyport_{name}:{name}_owner:" in script
        assert set(environment) >= LIBRARIES
