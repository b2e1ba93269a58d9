"""Memory, connections and times fit into one another."""

import pytest
from tests.kubernetes.objects import parts
from tests.manifests.installations import ALL, OVERLAYS, ROOT, SERVICE, Installation, installation
from tests.manifests.settings_of import settings_of

RESERVED = 3
"""PostgreSQL's own superuser_reserved_connections."""

MIGRATING = 2
"""Connections of a migration: its own, and the lock's."""

PEOPLE = 5
"""What is left for operators, backups and monitoring."""


def most_connections(found: Installation) -> int:
    """What a server of 100 may be asked for at a rollout at full size."""
    surge = found.deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    replicas = found.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"] + surge
    settings = settings_of(found)
    return replicas * settings.workers * settings.db_pool_size + surge * MIGRATING


def server_s_connections(found: Installation) -> int:
    """PostgreSQL's max_connections: what the dev overlay's server is told, elsewhere its default."""
    for pod in found.pods:
        if pod.owner.startswith("StatefulSet"):
            arguments: list[str] = pod.container("postgresql")["args"]
            (said,) = [one for one in arguments if one.startswith("max_connections=")]
            return int(said.removeprefix("max_connections="))
    return 100


@pytest.mark.parametrize("name", ALL)
def test_all_replicas_together_leave_connections_to_others(name: str) -> None:
    found = installation(name)

    assert most_connections(found) + RESERVED + PEOPLE <= server_s_connections(found)


def test_the_readme_s_sum_is_the_manifests() -> None:
    text = (ROOT / "k8s" / "README.md").read_text("utf-8")
    found = installation("production")
    most = found.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"]

    assert f"`DB_POOL_SIZE` ({settings_of(found).db_pool_size})" in text
    assert f"`maxReplicas` {most} that is\n{most_connections(found)} of" in text


@pytest.mark.parametrize("name", ALL)
def test_a_container_has_what_the_deployed_chart_gives_it(name: str) -> None:
    for container in installation(name).service_pod.containers:
        both = {"cpu": "200m", "memory": "100Mi"}
        assert container["resources"] == {"requests": both, "limits": both}


@pytest.mark.parametrize("name", ALL)
def test_a_pod_has_the_time_that_an_orderly_end_takes(name: str) -> None:
    found = installation(name)
    spec = found.service_pod.spec
    pause = found.service_pod.container(SERVICE)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pause > 0
    assert spec["terminationGracePeriodSeconds"] >= pause + settings_of(found).shutdown_grace_seconds + 5


@pytest.mark.parametrize("name", ALL)
def test_probes_are_the_deployed_chart_s(name: str) -> None:
    container = installation(name).service_pod.container(SERVICE)
    asked = {"httpGet": {"path": "/healthz", "port": "http"}}
    patient = {"periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6}

    first = {"initialDelaySeconds": 5, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 12}
    assert container["startupProbe"] == asked | first
    assert container["livenessProbe"] == asked | patient
    assert container["readinessProbe"] == {"httpGet": {"path": "/readyz", "port": "http"}} | patient


@pytest.mark.parametrize("name", ALL)
def test_a_rollout_never_has_fewer_replicas_than_before(name: str) -> None:
    strategy = installation(name).deployment["spec"]["strategy"]

    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_production_has_two_replicas_at_least_and_a_drain_takes_one_at_a_time() -> None:
    found = installation("production")

    assert found.one("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    assert found.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_files_lie_on_a_volume_that_every_pod_can_mount(name: str) -> None:
    found = installation(name)
    (volume,) = [one for one in parts(found.service_pod.spec, "volumes") if "persistentVolumeClaim" in one]
    claim = found.one("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    # The dev overlay is for one node, on which the pods share a volume of that node's.
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce" if name == "dev" else "ReadWriteMany"]
