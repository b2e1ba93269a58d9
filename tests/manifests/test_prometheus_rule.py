"""The Prometheus operator is given the rules of ``deploy/prometheus``, all of them and as they are."""

import pytest
from tests.manifests.installations import installation
from tests.manifests.prometheus_rule import FILE, SOURCES, prometheus_rule


def test_the_operator_s_rules_are_those_that_promtool_has_tested() -> None:
    assert FILE.read_text("utf-8") == prometheus_rule(), "run: python -m tests.manifests.prometheus_rule"


def test_both_files_of_rules_are_in_it() -> None:
    groups = installation("production").one("PrometheusRule")["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(SOURCES) == 2
    assert any("alert" in rule for rule in rules)
    assert any("record" in rule for rule in rules)


@pytest.mark.parametrize("label", ["job", "namespace"])
def test_scraped_series_have_the_labels_that_the_rules_ask_for(label: str) -> None:
    # The operator names a job after the Service, unless jobLabel says otherwise, and adds the namespace.
    monitor = installation("production").one("ServiceMonitor")["spec"]
    service = installation("production").one("Service")["metadata"]

    assert "jobLabel" not in monitor
    assert not any({"relabelings", "metricRelabelings"} & one.keys() for one in monitor["endpoints"])
    if label == "job":
        assert f'job="{service["name"]}"' in FILE.read_text("utf-8")
