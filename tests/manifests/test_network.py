"""Our pods are reached by whom we know, and reach what the settings name."""

from urllib.parse import urlsplit

import pytest
from tests.kubernetes.objects import Json, part, parts
from tests.manifests.accounting_jobs import job_of
from tests.manifests.installations import ALL, OVERLAYS, SERVICE, Installation, PodTemplate, installation

COLLECTOR = {"app.kubernetes.io/component": "opentelemetry-collector"}
DNS = {"k8s-app": "kube-dns"}
CALLERS = [
    ("globeco", {"app": "globeco-confirmation-service"}),
    ("globeco", {"app": "globeco-portfolio-management-portal"}),
    (
        "envoy-gateway-system",
        {
            "gateway.envoyproxy.io/owning-gateway-name": "globeco-gateway",
            "gateway.envoyproxy.io/owning-gateway-namespace": "globeco",
        },
    ),
    ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
]


def policies(found: Installation, labels: Json) -> list[Json]:
    """The policies that select a pod."""
    return [
        policy["spec"]
        for policy in found.all("NetworkPolicy")
        if part(policy, "spec", "podSelector", "matchLabels").items() <= labels.items()
    ]


def allowed(
    found: Installation, labels: Json, way: str, namespace: str, other: Json, *, port: int | str
) -> bool:
    """Tell whether a pod may call (egress) another, or be called by it (ingress)."""
    peers = {"egress": "to", "ingress": "from"}[way]
    for spec in policies(found, labels):
        for rule in parts(spec, way):
            ports = {one["port"] for one in parts(rule, "ports")}
            if port in ports and any(is_meant(peer, namespace, other) for peer in parts(rule, peers)):
                return True
    return False


def is_meant(peer: Json, namespace: str, labels: Json) -> bool:
    wanted = part(peer, "namespaceSelector", "matchLabels").get("kubernetes.io/metadata.name", "globeco")
    return (
        "ipBlock" not in peer
        and wanted == namespace
        and part(peer, "podSelector", "matchLabels").items() <= labels.items()
    )


def pods(found: Installation) -> list[PodTemplate]:
    """All pods of an installation, those of the Jobs that it starts too."""
    template = job_of(found)["spec"]["template"]
    jobs = [PodTemplate("Job", template["metadata"]["labels"], template["spec"])] if found.all("Role") else []
    return found.pods + jobs


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_no_policy_allows_no_pod_of_ours_may(name: str) -> None:
    found = installation(name)
    for pod in pods(found):
        denied = {way for spec in policies(found, pod.labels) for way in spec["policyTypes"]}
        assert denied == {"Ingress", "Egress"}, pod.owner


@pytest.mark.parametrize("name", ALL)
def test_the_neighbours_pods_are_left_alone(name: str) -> None:
    for _, labels in CALLERS:
        assert policies(installation(name), labels) == []
    assert policies(installation(name), {}) == []


@pytest.mark.parametrize(("namespace", "labels"), CALLERS)
def test_those_who_call_the_service_may(namespace: str, labels: Json) -> None:
    found = installation("production")

    assert allowed(found, found.service_pod.labels, "ingress", namespace, labels, port="http")
    assert not allowed(found, found.service_pod.labels, "ingress", "elsewhere", labels, port="http")


def test_nobody_else_may() -> None:
    found = installation("production")
    rules = [rule for spec in policies(found, found.service_pod.labels) for rule in parts(spec, "ingress")]
    (cron,) = [pod for pod in found.pods if pod.owner.startswith("CronJob")]

    assert sum(len(rule["from"]) for rule in rules) == len(CALLERS) + 1
    assert allowed(found, found.service_pod.labels, "ingress", "globeco", cron.labels, port="http")
    assert not any({"ipBlock", "namespaceSelector"} >= peer.keys() for rule in rules for peer in rule["from"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_service_may_call_what_its_settings_name(name: str) -> None:
    found = installation(name)
    pod = found.service_pod
    set_to = found.environment(pod.container(SERVICE))
    migrating = found.environment(pod.container("migrate"))
    trade = urlsplit(set_to["TRADE_SERVICE_URL"])
    targets = [(one["DB_HOST"], int(one["DB_PORT"])) for one in (set_to, migrating)]

    for host, port in [*targets, (trade.hostname, trade.port)]:
        assert allowed(found, pod.labels, "egress", "globeco", {"app": host}, port=port or 0), host
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in set_to:
        collector = urlsplit(set_to["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert allowed(found, pod.labels, "egress", "globeco", COLLECTOR, port=collector.port or 0)


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_api_server_is_called_only_where_jobs_are_started(name: str) -> None:
    found = installation(name)
    for pod in pods(found):
        rules = [rule for spec in policies(found, pod.labels) for rule in parts(spec, "egress")]
        anywhere = {
            port["port"]
            for rule in rules
            for peer in rule["to"]
            if "ipBlock" in peer
            for port in rule["ports"]
        }
        starts_jobs = pod.owner == f"Deployment {SERVICE}" and bool(found.all("Role"))
        assert anywhere == ({443, 6443} if starts_jobs else set()), pod.owner


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_jobs_may_call_portfolio_accounting_and_nothing_else(name: str) -> None:
    found = installation(name)
    for pod in pods(found):
        if pod.owner == "Job":
            (cli,) = pod.spec["containers"]
            told = {one["name"]: one["value"] for one in cli["env"]}
            host, port = told["GLOBECO_PA_SERVER_HOST"], int(told["GLOBECO_PA_SERVER_PORT"])
            rules = [rule for spec in policies(found, pod.labels) for rule in parts(spec, "egress")]
            assert allowed(found, pod.labels, "egress", "globeco", {"app": host}, port=port)
            assert len(rules) == 2, "names and Portfolio Accounting"
            assert not any(parts(spec, "ingress") for spec in policies(found, pod.labels))


@pytest.mark.parametrize("name", OVERLAYS)
def test_whoever_calls_by_a_name_may_ask_for_its_address(name: str) -> None:
    found = installation(name)
    for pod in pods(found):
        calls = any(parts(spec, "egress") for spec in policies(found, pod.labels))
        assert allowed(found, pod.labels, "egress", "kube-system", DNS, port=53) == calls, pod.owner


def test_the_dev_database_is_reached_by_the_service_alone() -> None:
    found = installation("dev")
    (database,) = [pod for pod in found.pods if pod.owner.startswith("StatefulSet")]
    (rule,) = [rule for spec in policies(found, database.labels) for rule in parts(spec, "ingress")]

    assert allowed(found, database.labels, "ingress", "globeco", found.service_pod.labels, port="postgresql")
    assert len(rule["from"]) == 1
