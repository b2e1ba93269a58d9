"""What the manifests set are settings, with values that the service takes."""

import os
from pathlib import Path

import pytest
from tests.kubernetes.objects import parts
from tests.manifests.accounting_jobs import job_of
from tests.manifests.installations import ALL, OVERLAYS, SERVICE, installation
from tests.manifests.settings_of import environment_here, mounted_files, settings_of

from globeco_allocation.adapters.kubernetes_job.template import server_variables
from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import declared

CONTAINERS = [(name, container) for name in ALL for container in ("migrate", SERVICE)]


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_every_variable_is_a_setting_or_handed_on(name: str, container: str) -> None:
    found = installation(name)
    variables = found.environment(found.service_pod.container(container))
    settings = {variable for setting in declared().values() for variable in setting.names}

    handed_on = set(server_variables(variables))
    assert variables.keys() - settings - handed_on == set()


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_config_check_takes_the_environment_as_a_whole(
    name: str,
    container: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = installation(name)
    for variable in os.environ:
        monkeypatch.delenv(variable)
    for variable, value in environment_here(found, found.service_pod, container, tmp_path).items():
        monkeypatch.setenv(variable, value)

    assert main(["config", "check"]) == ExitCode.OK, capsys.readouterr().err


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_every_path_that_is_set_is_mounted(name: str, container: str) -> None:
    found = installation(name)
    pod = found.service_pod
    variables = found.environment(pod.container(container))
    mounts = {mount["mountPath"] for mount in parts(pod.container(container), "volumeMounts")}
    paths = {one: value for one, value in variables.items() if value.startswith("/")}
    if container == "migrate":
        del paths["OUTPUT_DIR"]  # which alone is not looked at before it is used

    assert "DB_PASSWORD_FILE" in paths
    assert set(paths.values()) <= mounts | mounted_files(found, pod, container).keys()


@pytest.mark.parametrize("name", ALL)
def test_no_secret_stands_in_a_settings_map(name: str) -> None:
    secrets = {variable for setting in declared().values() if setting.secret for variable in setting.names}
    for one in installation(name).all("ConfigMap"):
        assert secrets.isdisjoint(one["data"])


@pytest.mark.parametrize("name", ALL)
def test_nobody_migrates_but_the_init_container_and_it_goes_around_a_pooler(name: str) -> None:
    found = installation(name)
    migrating = found.environment(found.service_pod.container("migrate"))

    assert found.service_pod.container("migrate")["args"][0] == "migrate"
    assert not settings_of(found).migrate_on_start
    assert migrating.get("DB_POOLER", "none") == "none"
    assert (migrating["DB_HOST"], migrating["DB_PORT"]) == ("globeco-allocation-service-postgresql", "5432")


def test_production_loses_no_trade_and_runs_the_cli_as_jobs() -> None:
    found = installation("production")
    settings = settings_of(found)
    variables = found.environment(found.service_pod.container(SERVICE))

    assert settings.trade_service_defer
    assert settings.kubernetes_batch_enabled
    assert settings.kubernetes_batch_job_timeout_seconds == 1800
    assert settings.delivery_retry_max_attempts == 2
    assert variables["BATCH_MANIFEST"] == "true"
    assert variables["DB_SSL_MODE"] == "verify-full"
    assert variables["TRACING_ENABLED"] == "true"


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "dev"])
def test_the_jobs_find_their_claim_account_and_group(name: str) -> None:
    found = installation(name)
    spec = job_of(found)["spec"]["template"]["spec"]
    settings = settings_of(found)

    found.one("PersistentVolumeClaim", spec["volumes"][0]["persistentVolumeClaim"]["claimName"])
    found.one("ServiceAccount", spec["serviceAccountName"])
    assert settings.kubernetes_batch_namespace == found.deployment["metadata"]["namespace"]
    assert spec["securityContext"]["fsGroup"] == found.service_pod.spec["securityContext"]["fsGroup"]
    assert {one["name"] for one in spec["containers"][0]["env"]} == {
        "GLOBECO_PA_SERVER_HOST",
        "GLOBECO_PA_SERVER_PORT",
    }
