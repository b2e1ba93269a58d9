"""compose.yaml is valid, confines every container, and agrees with settings, image, database and files."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from tests.image.files import ROOT, load_yaml, stages

from globeco_allocation.entrypoints.settings import Settings, declared

COMPOSE = load_yaml("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVICE = SERVICES["globeco-allocation-service"]
DATABASE = "globeco-allocation-service-postgresql"
RUNNING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}
SCHEMA = ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json"


def test_it_fits_the_compose_specification() -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text(encoding="utf-8")))

    assert [f"{fault.instance_path}: {fault.message}" for fault in validator.iter_errors(COMPOSE)] == []


def test_the_services_environment_holds_settings_only_and_all_of_them_are_right() -> None:
    known = {name for setting in declared().values() for name in setting.names}
    environment = dict(SERVICE["environment"])

    assert set(environment) - known == set()
    del environment["DB_PASSWORD_FILE"]  # there is none here
    assert Settings.load(environment)


def test_the_services_settings_name_the_other_containers() -> None:
    environment = SERVICE["environment"]
    trade_service = SERVICES["globeco-trade-service"]

    assert environment["DB_HOST"] == DATABASE
    assert environment["TRADE_SERVICE_URL"] == "http://globeco-trade-service:8082"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
    assert trade_service["command"][-1] == trade_service["environment"]["PORT"] == "8082"


def test_the_names_are_those_that_the_service_looks_for_by_default() -> None:
    settings = declared()

    assert settings["db_host"].default == DATABASE
    assert "globeco-trade-service" in settings["trade_service_url"].default


def test_each_port_is_published_on_this_machine_alone_and_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert len(published) == len(set(published)) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)
    assert SERVICE["ports"] == [f"127.0.0.1:{SERVICE['environment']['PORT']}:8089"]
    assert SERVICE["environment"]["PORT"] == declared()["port"].default


def test_every_volume_is_declared_and_used_and_every_file_exists() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", ())]
    files = {source for source, *_ in mounts if source.startswith(".")}

    assert {source for source, *_ in mounts} - files == set(COMPOSE["volumes"])
    assert sorted(file for file in files if not (ROOT / file).exists()) == []
    assert all(mount[-1] == "ro" for mount in mounts if mount[0] in files)


def test_the_transaction_files_lie_where_the_image_lets_the_service_write() -> None:
    (volume,) = [instruction.text for instruction in stages()[-1] if instruction.name == "VOLUME"]

    assert f"files:{volume}" in SERVICE["volumes"]
    assert "OUTPUT_DIR" not in SERVICE["environment"]


def test_the_password_is_read_from_where_it_was_drawn_and_stands_nowhere() -> None:
    written = f"{SERVICES['database-password']['volumes'][0].split(':')[1]}/password"

    assert written in SERVICES["database-password"]["command"][0]
    assert SERVICE["environment"]["DB_PASSWORD_FILE"] == written
    assert SERVICES[DATABASE]["environment"] == {"POSTGRES_PASSWORD_FILE": written}
    every = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in every if "PASSWORD" in name} == {"DB_PASSWORD_FILE", "POSTGRES_PASSWORD_FILE"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_confined(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_the_service_gets_no_more_memory_than_in_the_cluster() -> None:
    assert SERVICE["mem_limit"] == SERVICE["memswap_limit"] == "100m"


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_has_a_version(name: str) -> None:
    assert re.search(r":(v?\d[\w.-]*|\$\{VERSION:-local\})$", SERVICES[name]["image"])


def test_only_what_has_a_health_check_is_waited_for_until_it_is_healthy() -> None:
    waits = [
        (other, wait["condition"])
        for service in SERVICES.values()
        for other, wait in service.get("depends_on", {}).items()
    ]

    assert {other for other, _ in waits} <= set(SERVICES)
    assert all("test" in SERVICES[other]["healthcheck"] for other, how in waits if how == "service_healthy")
    assert {name for name, service in RUNNING.items() if "healthcheck" not in service} == {"jaeger"}


def test_the_service_is_waited_for_until_it_is_ready() -> None:
    assert SERVICE["healthcheck"]["test"][-1] == "/readyz"


def test_prometheus_scrapes_the_service_and_loads_the_alerts() -> None:
    config = load_yaml("deploy/compose/prometheus.yml")
    mounted = [mount.split(":")[1] for mount in SERVICES["prometheus"]["volumes"]]

    (job,) = config["scrape_configs"]

    labels = {
        "namespace": "globeco",
        "pod": "globeco-allocation-service",
    }  # rules and dashboard group by them
    assert job["static_configs"] == [{"targets": ["globeco-allocation-service:8089"], "labels": labels}]
    assert [file for file in config["rule_files"] if file not in mounted] == []
    rules = {file.name for file in (ROOT / "deploy" / "prometheus").glob("*.yaml")} - {"alerts_test.yaml"}
    assert {file.rsplit("/", 1)[-1] for file in config["rule_files"]} == rules


def test_grafana_asks_prometheus_and_jaeger_and_shows_the_dashboard() -> None:
    sources = load_yaml("deploy/compose/grafana/datasources/datasources.yaml")["datasources"]
    (provider,) = load_yaml("deploy/compose/grafana/dashboards/dashboards.yaml")["providers"]
    mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]

    assert [source["url"] for source in sources] == ["http://prometheus:9090", "http://jaeger:16686"]
    assert f"{provider['options']['path']}/dashboard.json" in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in mounted
