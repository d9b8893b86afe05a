"""What Prometheus and Grafana are given, read as they would read it, and the metrics that there are."""

import functools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from docs import metric_texts

ROOT: Final = Path(__file__).resolve().parents[3]
MONITORING: Final = ROOT / "deploy" / "monitoring"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
RULES: Final = tuple(sorted((MONITORING / "rules").glob("*.yml")))
RULE_TESTS: Final = tuple(sorted((MONITORING / "rule_tests").glob("*.yml")))
DASHBOARD: Final = MONITORING / "grafana" / "sallyport.json"
OF_PROMETHEUS: Final = {"up", "ALERTS"}
OURS: Final = re.compile(
    r"(?:sallyport:|auth_proxy:|auth_proxy_|admin_service_|tenant_service_|tenant_public_|process_)[\w:]+"
)
_NAMED: Final = re.compile(r'\{[^{}]*__name__=~"([^"]+)"[^{}]*\}')
_STRINGS: Final = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule."""

    name: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def tool(name: str) -> str:
    """A program of Prometheus. Skips the test without it; fails it when SALLYPORT_REQUIRE_ALL is set."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")
    if found is None:
        if os.environ.get("SALLYPORT_REQUIRE_ALL"):
            pytest.fail(f"{name} is not installed, and SALLYPORT_REQUIRE_ALL is set")
        pytest.skip(f"{name} is not installed")
    return found


def rules(path: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


@functools.cache
def alerts() -> tuple[Alert, ...]:
    found = [rule for path in RULES for rule in rules(path) if "alert" in rule]
    return tuple(Alert(rule["alert"], rule["expr"], rule["labels"], rule["annotations"]) for rule in found)


@functools.cache
def recorded() -> Mapping[str, Sequence[str]]:
    """The expressions behind each recorded name."""
    found: dict[str, list[str]] = {}
    for path in RULES:
        for rule in rules(path):
            if "record" in rule:
                found.setdefault(rule["record"], []).append(rule["expr"])
    return found


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


@functools.cache
def samples() -> frozenset[str]:
    """The names of every sample that a page can hold."""
    found = set()
    for process in metric_texts.metrics().values():
        for shown in process:
            if shown.kind == "histogram":
                found |= {f"{shown.name}_{part}" for part in ("bucket", "sum", "count")}
            else:
                found.add(shown.sample)
    return frozenset({*found, "auth_proxy_worker_up"})


def metrics_of(expression: str) -> set[str]:
    """The metrics that an expression reads: by name, or all of those that a pattern matches."""
    found = {
        name for pattern in _NAMED.findall(expression) for name in samples() if re.fullmatch(pattern, name)
    }
    return found | set(OURS.findall(_STRINGS.sub('""', expression)))


def patterns_without_a_metric(expression: str) -> list[str]:
    """Alternatives of a pattern over names that match nothing, such as a service without that metric."""
    missing = []
    for pattern in _NAMED.findall(expression):
        matching = [name for name in samples() if re.fullmatch(pattern, name)]
        if len(matching) < pattern.count("|") + 1:
            missing.append(pattern)
    return missing


def selectors_of(expression: str) -> list[str]:
    """Every selector of an expression, with its matchers."""
    found = re.findall(r"\{[^{}]*__name__[^{}]*\}", expression)
    known = samples() | OF_PROMETHEUS | set(recorded())
    for match in re.finditer(
        r"([a-zA-Z_:][\w:]*)(\{[^{}]*\})?", re.sub(r"\{[^{}]*__name__[^{}]*\}", "", expression)
    ):
        if match[1] in known:
            found.append(match[0])
    return found
