"""What one document calls another by is what that one is called."""

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from tests.http.bench import Bench
from tests.kubernetes.objects import Json, part, parts
from tests.manifests.installations import ALL, OVERLAYS, SERVICE, Installation, installation
from tests.manifests.settings_of import settings_of

from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode

REPOSITORY = "kasbench/globeco-allocation-service"


def selects(selector: Json, labels: Json) -> bool:
    return selector.items() <= labels.items()


def selected_owners(found: Installation, selector: Json) -> set[str]:
    return {pod.owner for pod in found.pods if selects(selector, pod.labels)}


@pytest.mark.parametrize("name", ALL)
def test_every_map_secret_claim_and_account_that_a_pod_names_is_there(name: str) -> None:
    found = installation(name)
    for pod in found.pods:
        for volume in parts(pod.spec, "volumes"):
            if "secret" in volume:
                assert found.data("Secret", volume["secret"]["secretName"]), pod.owner
            if "persistentVolumeClaim" in volume:
                found.one("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        for container in pod.containers:
            found.environment(container)
        if "serviceAccountName" in pod.spec:
            found.one("ServiceAccount", pod.spec["serviceAccountName"])


@pytest.mark.parametrize("name", ALL)
def test_every_mount_has_its_volume_and_every_volume_is_mounted(name: str) -> None:
    found = installation(name)
    for pod in found.pods:
        mounted = {
            mount["name"] for container in pod.containers for mount in parts(container, "volumeMounts")
        }
        stateful = [one for one in found.all("StatefulSet") if pod.owner.startswith("StatefulSet")]
        claims = {
            claim["metadata"]["name"]
            for one in stateful
            for claim in parts(one, "spec", "volumeClaimTemplates")
        }
        assert mounted == {volume["name"] for volume in parts(pod.spec, "volumes")} | claims, pod.owner


@pytest.mark.parametrize("name", ALL)
def test_what_makes_pods_selects_its_own_and_no_others(name: str) -> None:
    found = installation(name)
    for kind in ("Deployment", "StatefulSet"):
        for one in found.all(kind):
            selector = part(one, "spec", "selector", "matchLabels")
            assert selected_owners(found, selector) == {f"{kind} {one['metadata']['name']}"}


@pytest.mark.parametrize("name", ALL)
def test_calls_to_the_service_reach_its_pods_and_no_others(name: str) -> None:
    found = installation(name)

    assert selected_owners(found, found.one("Service")["spec"]["selector"]) == {f"Deployment {SERVICE}"}
    for budget in found.all("PodDisruptionBudget"):
        selector = part(budget, "spec", "selector", "matchLabels")
        assert selected_owners(found, selector) == {f"Deployment {SERVICE}"}
    for spread in parts(found.service_pod.spec, "topologySpreadConstraints"):
        assert selected_owners(found, part(spread, "labelSelector", "matchLabels")) == {
            f"Deployment {SERVICE}"
        }


@pytest.mark.parametrize("name", ALL)
def test_the_deployed_chart_s_pods_are_not_taken_for_ours(name: str) -> None:
    of_the_chart = {"app": SERVICE}
    found = installation(name)

    assert not selects(found.one("Service")["spec"]["selector"], of_the_chart)
    assert part(found.deployment, "spec", "selector", "matchLabels") != of_the_chart
    assert found.service_pod.labels["app"] == SERVICE, "by which the neighbours know us"


@pytest.mark.parametrize("name", ALL)
def test_ports_agree_with_the_setting_by_name_and_number(name: str) -> None:
    found = installation(name)
    port = settings_of(found).port
    container = found.service_pod.container(SERVICE)
    (offered,) = found.one("Service")["spec"]["ports"]

    assert port == 8089
    assert [(one["name"], one["containerPort"]) for one in container["ports"]] == [("http", port)]
    assert (offered["name"], offered["port"], offered["targetPort"]) == ("http", port, "http")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"


@pytest.mark.parametrize("name", ALL)
def test_a_port_is_named_only_where_there_is_one(name: str) -> None:
    found = installation(name)
    named = {port["name"] for pod in found.pods for one in pod.containers for port in parts(one, "ports")}
    for policy in found.all("NetworkPolicy"):
        for rule in parts(policy, "spec", "ingress") + parts(policy, "spec", "egress"):
            for port in parts(rule, "ports"):
                assert isinstance(port["port"], int) or port["port"] in named
    for service in found.all("Service"):
        (pod,) = [one for one in found.pods if selects(service["spec"]["selector"], one.labels)]
        own = {port["name"] for one in pod.containers for port in parts(one, "ports")}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= own


async def test_probes_and_prometheus_ask_at_addresses_that_answer() -> None:
    found = installation("production")
    container = found.service_pod.container(SERVICE)
    paths = {
        container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    paths |= {one["path"] for one in found.one("ServiceMonitor")["spec"]["endpoints"]}

    assert paths == {"/healthz", "/readyz", "/metrics"}
    async with Bench().client() as client:
        assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_prometheus_is_told_of_the_service_and_its_port() -> None:
    found = installation("production")
    monitor, service = found.one("ServiceMonitor")["spec"], found.one("Service")

    assert selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    assert {one["port"] for one in monitor["endpoints"]} == {one["name"] for one in service["spec"]["ports"]}


@pytest.mark.parametrize("name", ALL)
def test_the_autoscaler_scales_the_deployment_which_names_no_number_itself(name: str) -> None:
    found = installation(name)
    target = found.one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]

    assert target == {key: found.deployment[key] for key in ("apiVersion", "kind")} | {"name": SERVICE}
    assert "replicas" not in found.deployment["spec"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_is_in_the_namespace(name: str) -> None:
    for document in installation(name).documents:
        assert document["metadata"]["namespace"] == "globeco", document["metadata"]["name"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_container_of_ours_runs_one_tagged_image(name: str) -> None:
    images = {
        container["image"]
        for pod in installation(name).pods
        for container in pod.containers
        if container["image"].startswith(REPOSITORY)
    }

    assert len(images) == 1
    assert re.fullmatch(rf"{REPOSITORY}:[\w.-]+", images.pop())
    assert not any(image.endswith(":latest") for image in images)


def commands() -> Iterator[list[str]]:
    for pod in installation("everything").pods:
        yield from (one["args"] for one in pod.containers if one["image"].startswith(REPOSITORY))


@pytest.mark.parametrize("arguments", list(commands()), ids=lambda arguments: arguments[0])
def test_the_command_line_knows_what_the_containers_are_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "none")  # so that those that read settings get no further
    nobody = ["http://127.0.0.1:1" if one.startswith("http:") else one for one in arguments]
    try:
        code = main(nobody)
    except SystemExit as end:  # from argparse, which does not return
        code = end.code

    assert "usage:" not in capsys.readouterr().err
    assert code == (ExitCode.TRY_AGAIN if arguments[0] == "send" else ExitCode.USAGE)


def test_the_scheduled_send_asks_the_service_after_the_market_s_close_and_is_off() -> None:
    found = installation("production")
    cron = found.one("CronJob", "globeco-allocation-service-send")["spec"]
    (pod,) = [one for one in found.pods if one.owner.startswith("CronJob")]
    service = found.one("Service")

    url = pod.container("send")["args"][2]
    assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    minute, hour, *_, days = cron["schedule"].split()
    assert ((int(hour), int(minute)) > (16, 0), days) == (True, "1-5")
    assert ZoneInfo(cron["timeZone"]).key == "America/New_York"
    assert (cron["concurrencyPolicy"], cron["suspend"]) == ("Forbid", True)


def test_the_scheduled_send_is_repeated_only_where_the_service_was_away_or_busy() -> None:
    (cron,) = installation("production").all("CronJob")
    job = cron["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]

    assert job["backoffLimit"] > 0
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["operator"] == "NotIn"
    assert set(rule["onExitCodes"]["values"]) == {ExitCode.OK, ExitCode.TRY_AGAIN}
    assert rule["onExitCodes"]["containerName"] == job["template"]["spec"]["containers"][0]["name"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
