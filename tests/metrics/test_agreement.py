"""Rules, dashboard and documents speak only of metrics that a real service shows, and of all alerts."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.alarms.prometheus import FILES
from tests.http.bench import report
from tests.process.service_process import ServiceProcess, wait_until

from globeco_allocation.adapters.postgres.address import DatabaseAddress

ROOT = Path(__file__).parents[2]
PROMETHEUS, DASHBOARD = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana" / "dashboard.json"
DOCUMENTS = ROOT / "docs" / "operations"

OF_THE_TARGET = {"job", "instance", "namespace", "pod", "le"}
"""Labels that Prometheus adds, and the bucket's."""

OF_PROMETHEUS = {"up": set[str](), "ALERTS": {"alertname", "alertstate"}}

_METRIC = re.compile(r"(?:[a-z_]+:)?(?:globeco_allocation|process)_\w+(?::\w+)?|\bup\b|\bALERTS\b")
_MATCHERS = re.compile(r"\{([^{}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|without|group_left|group_right)\s*\(([^()]*)\)")
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)

Scrape = Mapping[str, tuple[str, set[str]]]


def rules() -> Iterator[dict[str, Any]]:
    for name in FILES:
        for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    return [one for one in rules() if "alert" in one]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, and where it stands."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']!r}", target["expr"]
    dashboard = json.loads(DASHBOARD.read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield f"annotation {annotation['name']}", annotation["expr"]


def labels_in(expression: str) -> set[str]:
    """The labels that an expression names, wherever it does."""
    found: set[str] = set()
    for matchers in _MATCHERS.findall(expression):
        found |= set(re.findall(r"(\w+)\s*[=!]~?=?\s*\"", matchers))
    for group in _GROUPED.findall(expression):
        found |= {one.strip() for one in group.split(",") if one.strip()}
    return found


def read(text: str) -> Scrape:
    """Read a scrape: type and labels of each metric, by the names that expressions use."""
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    labels: dict[str, set[str]] = {name: set() for name in types}
    for name, given in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        labels[family] |= set(re.findall(r'(\w+)="', given))
    return {name: (kind, labels[name] - {"le"}) for name, kind in types.items()}


@pytest.fixture(scope="module")
def the_scrape() -> dict[str, Scrape]:
    """Filled by the first test that has a service."""
    return {}


@pytest.fixture
def scrape(
    the_scrape: dict[str, Scrape],
    request: pytest.FixtureRequest,
) -> Scrape:
    """What a service shows that has done everything once."""
    if "it" not in the_scrape:
        start: Callable[..., ServiceProcess] = request.getfixturevalue("start_service")
        database: DatabaseAddress = request.getfixturevalue("database")
        service = start(
            database,
            TRADE_SERVICE_URL=request.getfixturevalue("trade_service"),
            SIMULATED_ACCOUNTING_FAULT="exit-1:1",  # the first run fails, the next one does not
            DELIVERY_RETRY_BASE_DELAY_SECONDS="1",
        )
        wait_until(service.is_ready, "the service is ready")
        service.post("/api/v1/executions", [report(1), report(2)])
        service.post("/api/v1/executions/send", {})
        wait_until(
            lambda: 'deliveries_total{runner="subprocess",status="delivered"} 1.0' in shown(service),
            "the batch is delivered",
        )
        the_scrape["it"] = read(shown(service))
    return the_scrape["it"]


def shown(service: ServiceProcess) -> str:
    with closing(http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=10)) as asked:
        asked.request("GET", "/metrics")
        return asked.getresponse().read().decode()


def family_of(name: str, scrape: Scrape) -> str | None:
    for known in (name, re.sub(r"_(bucket|sum|count)$", "", name)):
        if known in scrape:
            return known
    return None


def test_every_metric_and_label_that_is_asked_for_is_shown(scrape: Scrape) -> None:
    recorded = {rule["record"]: labels_in(rule["expr"]) for rule in rules() if "record" in rule}
    faults: list[str] = []
    for place, expression in expressions():
        names = set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))
        allowed = set(OF_THE_TARGET)
        assert names, place
        for name in names:
            family = family_of(name, scrape)
            if name in recorded:
                allowed |= recorded[name]
            elif name in OF_PROMETHEUS:
                allowed |= OF_PROMETHEUS[name]
            elif family is None:
                faults.append(f"{place}: there is no {name}")
            else:
                allowed |= scrape[family][1]
        faults += [f"{place}: no label {one}" for one in labels_in(expression) - allowed]
    assert faults == []


def test_every_metric_is_documented_with_its_type_and_labels(scrape: Scrape) -> None:
    text = (DOCUMENTS / "metrics.md").read_text()
    rows = {name: (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in _ROW.findall(text)}

    assert rows == dict(scrape)


def test_a_fault_in_an_expression_would_be_seen(scrape: Scrape) -> None:
    assert family_of("globeco_allocation_no_such_metric", scrape) is None
    assert labels_in('sum by (a, b) (x{c=~"y", d!="z"}) / on (e) w') == {"a", "b", "c", "d", "e"}


def sections() -> dict[str, str]:
    text = (DOCUMENTS / "alerts.md").read_text()
    return {part.splitlines()[0].strip(): part for part in text.split("\n## ")[1:]}


def test_every_alert_has_its_section_and_no_section_is_left_over() -> None:
    assert list(sections()) == [one["alert"] for one in alerts()]
    for name, text in sections().items():
        assert all(f"**{word}.**" in text for word in ("Meaning", "First look", "Remedy")), name


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: one["alert"])
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    anchor = said["runbook_url"].partition("docs/operations/alerts.md#")[2]

    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert anchor == alert["alert"].lower()
    assert said["summary"]
    assert "{{" in said["description"] or "No replica" in said["summary"] + said["description"]


def fires_and_is_silent(name: str) -> tuple[bool, bool]:
    """Whether the unit tests see an alert fire, and whether they see it silent on a good series."""
    fires = silent = False
    for test in yaml.safe_load((PROMETHEUS / "alerts_test.yaml").read_text())["tests"]:
        for expected in test["alert_rule_test"]:
            if expected["alertname"] == name:
                fires = fires or bool(expected["exp_alerts"])
                good = any('namespace="good"' in one["series"] for one in test.get("input_series", ()))
                silent = silent or good
    return fires, silent


@pytest.mark.parametrize("name", [one["alert"] for one in alerts()])
def test_every_alert_has_its_unit_tests(name: str) -> None:
    assert fires_and_is_silent(name) == (True, True)


def promtool(*arguments: str | Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian, Ubuntu: apt install prometheus)")
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_sound() -> None:
    assert "SUCCESS" in promtool("check", "rules", PROMETHEUS / "recording.yaml", PROMETHEUS / "alerts.yaml")


def test_each_alert_fires_on_its_series_and_is_silent_on_good_ones() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "alerts_test.yaml")


def test_the_names_of_the_scrape_keep_to_prometheus_conventions(
    scrape: Scrape, request: pytest.FixtureRequest
) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian, Ubuntu: apt install prometheus)")
    del request
    text = "".join(
        f"# HELP {name} x\n# TYPE {name} {kind}\n"
        + (
            f"{name} 1\n"
            if kind != "histogram"
            else f'{name}_bucket{{le="+Inf"}} 1\n{name}_sum 1\n{name}_count 1\n'
        )
        for name, (kind, _) in scrape.items()
    )
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def everywhere(value: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(key), inner  # pyright: ignore[reportUnknownArgumentType]
            yield from everywhere(inner)
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from everywhere(inner)


def test_the_dashboard_hard_wires_no_data_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    sources = [value for key, value in everywhere(dashboard) if key == "datasource"]

    assert {one["uid"] for one in sources} == {"${datasource}", "-- Grafana --"}
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource", "namespace", "pod"]
    assert dashboard["id"] is None


def test_the_dashboards_panels_have_ids_places_and_rows_as_grafana_wants_them() -> None:
    shown_panels = panels()
    assert len({one["id"] for one in shown_panels}) == len(shown_panels)
    rows = [one["title"] for one in shown_panels if one["type"] == "row"]
    assert rows == [
        "At a glance",
        "Traffic and errors",
        "Trade Service",
        "Batches and deliveries",
        "Backlog and age",
        "Database pool",
        "Process",
    ]
    taken: set[tuple[int, int]] = set()
    for panel in shown_panels:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["type"] in {"timeseries", "stat"}
            assert [one["refId"] for one in panel["targets"]] == [
                chr(65 + number) for number in range(len(panel["targets"]))
            ]
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_the_stack_of_containers_loads_every_rule() -> None:
    loaded = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())["rule_files"]
    mounted = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]

    for name in FILES:
        assert f"/etc/prometheus/{name}" in loaded
        assert f"./deploy/prometheus/{name}:/etc/prometheus/{name}:ro" in mounted
