"""Rules, dashboard and runbooks fit each other, the tools accept them, and what they name is there."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from auth_proxy.routes import BUILT_IN
from tests.deploy.monitoring.monitored import (
    DASHBOARD,
    MONITORING,
    OF_PROMETHEUS,
    OURS,
    ROOT,
    RULE_TESTS,
    RULES,
    RUNBOOKS,
    Alert,
    alerts,
    dashboard,
    dashboard_queries,
    metrics_of,
    panels,
    patterns_without_a_metric,
    recorded,
    samples,
    tool,
)

SECTIONS = ["What it means", "Who is affected", "First look", "Fix", "Afterwards"]
NAMES = sorted({alert.name for alert in alerts()})
EXPRESSIONS = sorted(
    {*(alert.expr for alert in alerts()), *(expr for many in recorded().values() for expr in many)}
    | set(dashboard_queries())
)


def run(*command: str | Path) -> None:
    ended = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_takes_the_rules_and_the_example() -> None:
    """`promtool check config` accepts the scrapes and every rule file that they name (issue 10)."""
    run(tool("promtool"), "check", "config", "prometheus.yml")
    run(tool("promtool"), "check", "rules", *RULES)


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_and_clears(path: Path) -> None:
    """`promtool test rules`: on figures of a fault, and no more when it is over (issue 10)."""
    run(tool("promtool"), "test", "rules", path.relative_to(MONITORING))


def test_no_alert_is_without_such_a_test() -> None:
    """Each is expected once with its labels, and once, later, not at all."""
    fires, clears = set(), set()
    for path in RULE_TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            asked = test["alert_rule_test"]
            fires |= {case["alertname"] for case in asked if case["exp_alerts"]}
            clears |= {case["alertname"] for case in asked[-1:] if not case["exp_alerts"]}

    assert fires == clears == set(NAMES)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: Alert) -> None:
    """A severity that the routing knows, one sentence, and the page that is there."""
    assert alert.labels["severity"] in {"page", "ticket"}
    assert 20 < len(alert.annotations["summary"]) < 130
    assert alert.annotations["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert (ROOT / alert.annotations["runbook_url"]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_helps_in_the_night(name: str) -> None:
    """Each page has the same five sections in one order, and none of them is empty."""
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    title, *sections = page.split("\n## ")

    assert title.startswith(f"# {name}\n")
    assert [section.partition("\n")[0] for section in sections] == SECTIONS
    assert min(len(section.partition("\n")[2].strip()) for section in sections) > 6
    assert f"({name}.md)" in (RUNBOOKS / "README.md").read_text(encoding="utf-8")


def test_no_runbook_is_of_an_alert_that_is_gone() -> None:
    """The folder holds the pages of the alerts and their index, and links to nothing that is missing."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*NAMES, "README"}
    for path in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_rule_or_panel_reads_what_there_is(expression: str) -> None:
    """No expression names a metric that no process has, or a recorded one that no rule records."""
    read = metrics_of(expression)

    assert read or "up{" in expression or "ALERTS" in expression or expression.startswith("vector(")
    assert read - samples() - set(recorded()) - OF_PROMETHEUS == set()
    assert patterns_without_a_metric(expression) == []


def test_a_runbook_names_only_what_there_is() -> None:
    """Also what a person is told to look at in the night exists, and so does all that docs/slo.md names."""
    histograms = {name.removesuffix("_bucket") for name in samples()}
    known, missing = samples() | histograms | set(recorded()), []
    for path in (*RUNBOOKS.glob("*.md"), ROOT / "docs" / "slo.md"):
        for code in re.findall(r"`([^`]+)`", path.read_text(encoding="utf-8")):
            missing += [(path.name, name) for name in metrics_of(code) - known]
            for tail in re.findall(r"(?:…|\.\.\.)(_[a-z_]+)", code):
                missing += [] if any(name.endswith(tail) for name in known) else [(path.name, tail)]

    assert missing == []


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    """A recent schema, a data source to choose, a row for each part, and no two panels in one place."""
    document = dashboard()
    (variable,) = document["templating"]["list"]
    rows = [panel["title"] for panel in document["panels"] if panel["type"] == "row"]
    identities = [panel["id"] for panel in document["panels"]]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in document["panels"]]

    assert document["schemaVersion"] >= 39
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    assert rows == ["Objectives", "Sidecar", "Services", "Security", "Audit, mail and money"]
    assert len(set(identities)) == len(identities)
    assert len(set(places)) == len(places)
    for panel in panels():
        assert panel["targets"], panel["title"]
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}


def test_every_metric_of_ours_is_on_the_dashboard_or_behind_an_alert() -> None:
    """What nobody looks at need not be measured: each metric is read somewhere."""
    read = {name for expression in EXPRESSIONS for name in metrics_of(expression)}
    parts = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in read}
    ours = {name.removesuffix("_bucket") for name in samples() if not name.endswith(("_sum", "_count"))}

    assert {name for name in ours if not name.startswith("process_")} - parts - read == set()


def test_the_routing_knows_the_severities_and_the_alerts() -> None:
    """The example of Alertmanager sends pages to the pager, and silences by alerts that exist."""
    routing = yaml.safe_load((MONITORING / "alertmanager.yml").read_text(encoding="utf-8"))
    receivers = {receiver["name"] for receiver in routing["receivers"]}
    (pager,) = routing["route"]["routes"]
    named = [
        matcher
        for rule in routing["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
    ]

    assert {pager["receiver"], routing["route"]["receiver"]} == receivers
    assert pager["matchers"] == ['severity="page"']
    assert {matcher.partition('"')[2].strip('"') for matcher in named} <= set(NAMES)


def test_the_files_are_written_for_any_machine() -> None:
    """No path of a machine, and no metric spelled out that OURS would not find."""
    text = DASHBOARD.read_text(encoding="utf-8")

    assert "/home/" not in text
    assert "/work/" not in text
    assert OURS.search(text)


def test_what_streams_is_not_taken_for_slow() -> None:
    """An open dashboard is two streams a minute of half a minute each: they alone would spend the budget."""
    ours = {route.pattern for route in BUILT_IN}
    streams = {"/manage/live", "/api/admin/audit-logs/export", "/api/admin/audit-logs/verify"}
    slow = [one for one in EXPRESSIONS if "auth_proxy_request_seconds_bucket" in one and 'le="0.5"' in one]
    assert slow
    assert streams <= ours
    for expression in slow:
        wanted = re.findall(r'route=~"([^"]+)"', expression)[0]
        left_out = re.findall(r'route!~"([^"]+)"', expression)[0]
        counted = {one for one in ours if re.fullmatch(wanted, one) and not re.fullmatch(left_out, one)}
        assert "/manage" in counted
        assert counted.isdisjoint(streams)
