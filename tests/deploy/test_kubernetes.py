"""The Kubernetes manifests: valid for the API, restricted, closed by default, set as the processes expect."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml

from admin_service.settings import DatabaseSettings
from service_kit.settings import load_settings
from service_kit.web.serving import DRAIN_SECONDS
from tests.deploy.kustomized import Manifest, key, kustomized
from tests.deploy.shipped import DEPLOY, PROCESSES, ports

KUBERNETES: Final = DEPLOY / "kubernetes"
OVERLAYS: Final = ("standalone", "sidecar")
VERSION: Final = "1.37"
OURS: Final = "sallyport/"
WORLD: Final = "0.0.0.0/0"
PRIVATE: Final = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}
SECRETS: Final = {"database-url": "postgresql://owner@db.example/sallyport", "smtp-url": ""}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return kustomized(KUBERNETES / "overlays" / request.param)


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The Pod of every workload, by the workload's name."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def environment(manifests: list[Manifest], container: Mapping[str, Any]) -> dict[str, str]:
    """What the kubelet would set: literals, ConfigMaps, and stand-ins for what Secrets hold."""
    maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    for variable in container.get("env", ()):
        name, origin = variable["name"], variable.get("valueFrom", {})
        if "configMapKeyRef" in origin:
            reference = origin["configMapKeyRef"]
            if not reference.get("optional"):
                found[name] = maps[reference["name"]][reference["key"]]
        elif "secretKeyRef" in origin:
            found[name] = SECRETS[origin["secretKeyRef"]["key"]]
        else:
            found[name] = variable["value"]
    assert all(isinstance(value, str) for value in found.values()), (
        "a number in YAML is no string to Kubernetes"
    )
    return found


def our_containers(manifests: list[Manifest]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Our containers: the process, the container, its Pod."""
    for _, pod in pods(manifests):
        for container in containers(pod):
            if container["image"].startswith(OURS):
                yield container["image"].removeprefix(OURS).split(":")[0], container, pod


def test_every_manifest_is_valid_for_the_api(manifests: list[Manifest]) -> None:
    """Each manifest fits the API's own schema of a recent Kubernetes, without unknown fields."""
    validator = importlib.import_module("kubernetes_validate")
    for manifest in manifests:
        validator.validate(manifest, VERSION, strict=True)

    assert len({key(m) for m in manifests}) == len(manifests)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_reads_the_overlay_as_these_tests_do(overlay: str) -> None:
    """Where kubectl is installed, its own rendering has the same manifests with the same content."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip(
            "kubectl is not installed, and no Debian package brings it"
        )  # also in CI: read by kustomized()
    folder = KUBERNETES / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, check=True, timeout=60)
    hashed = re.compile(rb"\b(auth-proxy)-[a-z0-9]{10}$", re.MULTILINE)
    rendered = {key(m): m for m in yaml.safe_load_all(hashed.sub(rb"\1", done.stdout))}
    composed = {key(m): m for m in kustomized(folder)}

    assert set(rendered) == set(composed)
    for name, manifest in composed.items():
        theirs = rendered[name]
        theirs["metadata"].pop("annotations", None)
        assert theirs == manifest


def test_every_process_has_its_settings(manifests: list[Manifest]) -> None:
    """No variable is misspelt, none that is required is missing, the ports are the usual ones (R-173)."""
    seen = set()
    for name, container, _ in our_containers(manifests):
        given = environment(manifests, container)
        if (name, container.get("args")) == ("admin-service", ["migrate"]):
            load_settings(DatabaseSettings, given)  # all that this command reads
            continue
        settings = PROCESSES[name].require_valid(given)
        assert container.get("args", ["run"]) in (["run"], ["migrate"])
        if "ports" in container:
            declared = {port["containerPort"] for port in container["ports"]}
            assert declared == set(ports(settings).values()) == set(ports(PROCESSES[name].settings).values())
        seen.add(name)

    assert "auth-proxy" in seen


def test_probes_ask_the_operations_listener(manifests: list[Manifest]) -> None:
    """Liveness asks /livez, so that a database or team that is away kills nobody; readiness asks /readyz."""
    for name, container, _ in our_containers(manifests):
        if container.get("args") == ["migrate"]:
            continue
        probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        paths = {kind: probe["path"] for kind, probe in probes.items()}
        (ops,) = [port for port in container["ports"] if port["name"] == "ops"]

        assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
        assert {probe["port"] for probe in probes.values()} == {"ops"}
        assert ops["containerPort"] == ports(PROCESSES[name].settings)["ops_listen"]


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    """The restricted standard of Pod Security, a read-only root, and no token of the API server."""
    for _, pod in pods(manifests):
        context = pod["securityContext"]
        assert pod["automountServiceAccountToken"] is False
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 1000
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(volume) & {"secret", "configMap", "emptyDir"} for volume in pod.get("volumes", ()))
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert not re.search(r":latest$|^[^:]+$", container["image"])
            for mount in container.get("volumeMounts", ()):
                assert mount.get("readOnly") or mount["name"] == "tmp"
    (namespace,) = [m for m in manifests if m["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_service_accounts_hold_no_token(manifests: list[Manifest]) -> None:
    """Every Pod runs as an account of its own that exists, and that is given nothing."""
    accounts = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ServiceAccount"}

    assert {pod["serviceAccountName"] for _, pod in pods(manifests)} == set(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert not [
        m for m in manifests if m["kind"] in {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    ]


def test_what_leaves_may_take_its_time(manifests: list[Manifest]) -> None:
    """The grace period is longer than what comes before the drain, the drain and the closing together."""
    for name, container, pod in our_containers(manifests):
        if container.get("args") == ["migrate"]:
            continue
        given = environment(manifests, container)
        before = max(
            [
                each["lifecycle"]["preStop"]["sleep"]["seconds"]
                for each in containers(pod)
                if "sleep" in each.get("lifecycle", {}).get("preStop", {})
            ]
            + [float(given.get("AUTH_PROXY_LAME_DUCK_SECONDS", 0))]
        )
        drain = float(given.get("AUTH_PROXY_DRAIN_SECONDS", DRAIN_SECONDS))
        slowest_probe = (
            container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]
        )

        assert pod["terminationGracePeriodSeconds"] >= before + drain + 5
        assert before > slowest_probe, f"{name} is told to stop before anybody can have seen it"


def test_a_sidecar_leaves_before_its_frontend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its preStop tells its own process to leave; it lets nobody through when the frontend is told.

    Kubernetes itself would tell it after the frontend's end: until then kept connections were answered 502.
    """
    manifests = kustomized(KUBERNETES / "overlays" / "sidecar")
    [pod] = [pod for name, pod in pods(manifests) if name == "admin-frontend"]
    [sidecar], [frontend] = pod["initContainers"], pod["containers"]
    program, option, code = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    told: list[tuple[int, int]] = []
    waited: list[float] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    monkeypatch.setattr(time, "sleep", waited.append)
    exec(code)

    assert (program, option, told) == ("python", "-c", [(1, signal.SIGTERM)])
    given = environment(manifests, sidecar)
    lame_duck = float(given["AUTH_PROXY_LAME_DUCK_SECONDS"])
    # Whoever is told twice ends at once: Kubernetes' own SIGTERM must find nobody.
    assert sum(waited) >= lame_duck + float(given["AUTH_PROXY_DRAIN_SECONDS"]) + 5
    assert pod["terminationGracePeriodSeconds"] > sum(waited)
    assert 0 < lame_duck < frontend["lifecycle"]["preStop"]["sleep"]["seconds"] - 3


def test_every_deployment_survives_a_node_and_grows(manifests: list[Manifest]) -> None:
    """Two replicas that are spread, a disruption budget that names them, and an autoscaler for ours."""
    by_kind: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    budgets = [b["spec"]["selector"]["matchLabels"] for b in by_kind["PodDisruptionBudget"]]
    scaled = {s["spec"]["scaleTargetRef"]["name"]: s["spec"] for s in by_kind["HorizontalPodAutoscaler"]}

    for deployment in by_kind["Deployment"]:
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert spec["selector"]["matchLabels"] in budgets
        for spread in spec["template"]["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"].items() <= labels.items()
        # One of the two says how many: both would undo each other's work at each `kubectl apply`.
        assert (name in scaled) is ("replicas" not in spec)
        assert (scaled[name]["minReplicas"] if name in scaled else spec["replicas"]) >= 2
        if name != "cloudflared":
            assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_references_lead_somewhere(manifests: list[Manifest]) -> None:
    """Services find Pods with their port; ConfigMaps are there; the guide makes the Secrets."""
    guide = (DEPLOY.parent / "docs" / "install.md").read_text(encoding="utf-8")
    workloads = [m["spec"]["template"] for m in manifests if m["kind"] in {"Deployment", "Job"}]
    for service in (m["spec"] for m in manifests if m["kind"] == "Service"):
        found = [w for w in workloads if service["selector"].items() <= w["metadata"]["labels"].items()]
        named = {
            p["name"]: p["containerPort"]
            for w in found
            for c in containers(w["spec"])
            for p in c.get("ports", ())
        }
        for port in service["ports"]:
            assert named[port["targetPort"]] == port["port"]
    maps = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    for _, pod in pods(manifests):
        for volume in pod.get("volumes", ()):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            if "secret" in volume:
                assert f"secret generic {volume['secret']['secretName']}" in guide


def policies(manifests: list[Manifest]) -> dict[str, Mapping[str, Any]]:
    return {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}


def who(rule: Mapping[str, Any], side: str) -> set[str]:
    """The Pods, namespaces and address blocks of one rule."""
    found = set()
    for peer in rule[side]:
        block = peer.get("ipBlock", {}).get("cidr")
        space = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
        pod = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
        found.add(block or (f"{space}/" if space else "") + (pod or ""))
    return found


def reach(policy: Mapping[str, Any], direction: str) -> dict[int, set[str]]:
    """By port, who may come in or may be asked."""
    found: dict[int, set[str]] = {}
    for rule in policy.get(direction, ()):
        for port in rule["ports"]:
            found.setdefault(port["port"], set()).update(
                who(rule, "from" if direction == "ingress" else "to")
            )
    return found


def test_nothing_may_talk_by_default(manifests: list[Manifest]) -> None:
    """Every Pod is denied both directions, and every rule that opens one names its ports and its peers."""
    found = policies(manifests)

    assert found["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in found.values():
        for rule in [*policy.get("ingress", ()), *policy.get("egress", ())]:
            assert rule["ports"]
            assert rule.get("from") or rule.get("to")
            assert all(peer for peer in [*rule.get("from", ()), *rule.get("to", ())])


def test_only_sidecars_reach_the_services() -> None:
    """R-136: a service's own port is open to sidecars, and the tenant service's to the admin service too."""
    found = policies(kustomized(KUBERNETES / "overlays" / "standalone"))

    assert reach(found["admin-service"], "ingress") == {
        8081: {"auth-proxy"},
        9091: {"tenant-service", "monitoring/"},
    }
    assert reach(found["tenant-service"], "ingress") == {
        8082: {"auth-proxy", "admin-service"},
        8083: {"ingress/"},
        9092: {"admin-service", "monitoring/"},
    }
    assert reach(found["auth-proxy"], "ingress") == {
        8080: {"cloudflared"},
        9090: {"admin-service", "tenant-service", "monitoring/"},
    }


def test_what_each_process_asks_is_allowed_and_little_else() -> None:
    """The sidecar asks services and the team; services each other, the keys, database and mail."""
    found = policies(kustomized(KUBERNETES / "overlays" / "standalone"))

    assert reach(found["auth-proxy"], "egress") == {
        8081: {"admin-service"},
        8082: {"tenant-service"},
        443: {WORLD},
    }
    assert reach(found["admin-service"], "egress") == {
        8082: {"tenant-service"},
        9092: {"tenant-service"},
        9090: {"auth-proxy"},
    }
    assert reach(found["tenant-service"], "egress") == {
        9090: {"auth-proxy"},
        9091: {"admin-service"},
        465: {WORLD},
        587: {WORLD},
    }
    assert set(reach(found["to-postgresql"], "egress")) == {5432}


def test_a_way_out_to_the_world_leads_to_nothing_in_here(manifests: list[Manifest]) -> None:
    """A rule for https to everywhere leaves out private networks and the cloud's metadata address."""
    for name, policy in policies(manifests).items():
        for rule in policy.get("egress", ()):
            for peer in rule["to"]:
                block = peer.get("ipBlock", {})
                if block.get("cidr") == WORLD and any(port["port"] == 443 for port in rule["ports"]):
                    assert set(block["except"]) == PRIVATE, name


def test_the_frontend_beside_the_sidecar_is_reached_through_it_alone() -> None:
    """In the sidecar form the tunnel reaches port 8080 of the Pod, and the frontend has no port at all."""
    found = kustomized(KUBERNETES / "overlays" / "sidecar")
    rules = policies(found)
    (pod,) = [pod for name, pod in pods(found) if name == "admin-frontend"]
    (sidecar,) = pod["initContainers"]

    assert reach(rules["admin-frontend"], "ingress") == {8080: {"cloudflared"}, 9090: {"monitoring/"}}
    assert reach(rules["cloudflared"], "egress")[8080] == {"admin-frontend"}
    assert sidecar["restartPolicy"] == "Always"
    assert not any("ports" in container for container in pod["containers"])
    assert environment(found, sidecar)["AUTH_PROXY_UPSTREAM"].startswith("http://127.0.0.1:")


def test_keys_are_served_by_sidecars_that_are_not_ready_yet() -> None:
    """Otherwise both sides would wait: a sidecar for the operator list, the admin service for the keys."""
    found = kustomized(KUBERNETES / "overlays" / "standalone")
    services = {m["metadata"]["name"]: m["spec"] for m in found if m["kind"] == "Service"}
    config = {m["metadata"]["name"]: m["data"] for m in found if m["kind"] == "ConfigMap"}["sallyport"]

    assert services["auth-proxy-keys"]["publishNotReadyAddresses"] is True
    assert config["INTERNAL_JWKS_URL"] == "http://auth-proxy-keys:9090/.well-known/jwks.json"
    assert "publishNotReadyAddresses" not in services["auth-proxy"]


def test_the_monitor_scrapes_what_is_there() -> None:
    """The optional PodMonitor names the port and path of the metrics, and the Pods of the standalone form."""
    (monitor,) = kustomized(KUBERNETES / "components" / "monitoring")
    spec = monitor["spec"]
    wanted = set(spec["selector"]["matchExpressions"][0]["values"])

    assert wanted == {
        name for name, _, _ in our_containers(kustomized(KUBERNETES / "overlays" / "standalone"))
    }
    assert [(e["port"], e["path"]) for e in spec["podMetricsEndpoints"]] == [("ops", "/metrics")]


def test_the_monitor_names_the_jobs_as_the_rules_do() -> None:
    """The operator's own `job` is the monitor's name: no rule would ever have fired."""
    (monitor,) = kustomized(KUBERNETES / "components" / "monitoring")
    spec = monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    prometheus = yaml.safe_load((KUBERNETES.parent / "monitoring" / "prometheus.yml").read_text())
    jobs = [
        found.expand(rule["replacement"].replace("$", "\\"))
        for name in spec["selector"]["matchExpressions"][0]["values"]
        for rule in endpoint["relabelings"]
        if (found := re.fullmatch(rule["regex"], name))
    ]

    assert {rule["targetLabel"] for rule in endpoint["relabelings"]} == {"job"}
    assert sorted(jobs) == sorted(
        one["job_name"] for one in prometheus["scrape_configs"] if one["job_name"].startswith("sallyport-")
    )


def test_the_tenants_hosts_know_who_asks() -> None:
    """Behind an ingress everybody would share the sign-in limit of one address."""
    manifests = kustomized(KUBERNETES / "overlays" / "standalone")
    (config,) = [
        one
        for one in manifests
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith("sallyport")
    ]
    served = [
        {one["name"] for one in container["env"]}
        for process, container, _ in our_containers(manifests)
        if process == "tenant-service"
    ]
    names = next(names for names in served if "TENANT_PUBLIC_LISTEN" in names)

    assert "TENANT_PUBLIC_TRUSTED_PROXIES" in names
    assert config["data"]["TENANT_PUBLIC_TRUSTED_PROXIES"]
