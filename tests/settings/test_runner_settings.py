"""What the settings say of lanes, attempts, files and Kubernetes Jobs."""

import pytest

from globeco_allocation.entrypoints import runner_kinds
from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.settings.reading import SettingsError

CHART = {
    "CLI_COMMAND": (
        "docker run --rm -it -v /data:/data kasbench/globeco-portfolio-accounting-service-cli:latest"
        " process --file /data/transactions.csv --output-dir /data"
    ),
    "DATABASE_HOST": "globeco-allocation-service-postgresql",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "allocation_db",
    "DATABASE_USER": "postgres",
    "DATABASE_PASSWORD": "",
    "FILE_CLEANUP_ENABLED": "true",
    "KUBERNETES_BATCH_ENABLED": "true",
    "KUBERNETES_BATCH_NAMESPACE": "globeco",
    "KUBERNETES_BATCH_CLI_IMAGE": "kasbench/globeco-portfolio-accounting-service-cli:latest",
    "KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS": "1800",
    "KUBERNETES_BATCH_JOB_RETRY_LIMIT": "2",
    "KUBERNETES_BATCH_NFS_PVC_NAME": "globeco-efs-pvc",
    "LOG_LEVEL": "info",
    "OUTPUT_DIR": "/data",
    "RETRY_BASE_DELAY_MS": "1000",
    "RETRY_MAX_ATTEMPTS": "3",
}
"""What a deployment of today holds."""


def fault(**environ: str) -> str:
    """Return the only line that says what cannot be used."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return str(caught.value)


def test_a_deployment_of_today_can_be_started() -> None:
    settings = Settings.load(CHART)

    assert settings.database.name == "allocation_db"
    assert settings.delivery_retry_max_attempts == 2
    assert settings.kubernetes_batch_job_timeout_seconds == 1800
    assert settings.kubernetes_batch_service_account_name == ""
    assert settings.kubernetes_batch_nfs_pvc_name == "globeco-efs-pvc"


def test_our_own_name_for_the_attempts_beats_the_chart_s() -> None:
    environ = {"DELIVERY_RETRY_MAX_ATTEMPTS": "7", "KUBERNETES_BATCH_JOB_RETRY_LIMIT": "2"}

    assert Settings.load(environ).delivery_retry_max_attempts == 7
    assert Settings.load({**environ, "DELIVERY_RETRY_MAX_ATTEMPTS": " "}).delivery_retry_max_attempts == 2


def test_a_fault_names_the_variable_that_holds_it() -> None:
    assert fault(KUBERNETES_BATCH_JOB_RETRY_LIMIT="0") == (
        "KUBERNETES_BATCH_JOB_RETRY_LIMIT holds '0'; it may hold a whole number from 1 to 100"
    )


@pytest.mark.parametrize(
    ("variable", "smallest", "largest"),
    [
        ("DELIVERY_LANES", "1", "32"),
        ("DELIVERY_RETRY_MAX_ATTEMPTS", "1", "100"),
        ("DELIVERY_RETRY_BASE_DELAY_SECONDS", "0.01", "3600"),
        ("BATCH_FILE_MAX_RECORDS", "1", "10000000"),
        ("KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS", "1", "604800"),
    ],
)
def test_the_ends_of_a_range_belong_to_it(variable: str, smallest: str, largest: str) -> None:
    Settings.load({variable: smallest})
    Settings.load({variable: largest})

    assert variable in fault(**{variable: largest + "0"})
    assert variable in fault(**{variable: "0"})


@pytest.mark.parametrize(
    ("variable", "good", "bad"),
    [
        (
            "NAMESPACE",
            ["default", "a", "a-1", "0", "x" * 63],
            ["A", "a.b", "-a", "a-", "a/b", "a b", "x" * 64],
        ),
        ("NFS_PVC_NAME", ["globeco-efs-pvc", "a.b-c.d", "x" * 63], ["a..b", "a_b", ".a", "../a", "ä"]),
        ("SERVICE_ACCOUNT_NAME", ["", "allocation", "a.b"], ["Allocation", "a/b", f"{'x.' * 127}x"]),
        (
            "CLI_IMAGE",
            ["cli", "registry:5000/a/b_c:1.2-x", f"cli@sha256:{'0' * 64}"],
            ["cli latest", "cli;latest", "$(cli)"],
        ),
    ],
)
def test_names_in_the_cluster_are_checked_before_they_are_used(
    variable: str, good: list[str], bad: list[str]
) -> None:
    name = f"KUBERNETES_BATCH_{variable}"
    for one in good:
        Settings.load({name: one})

    for one in bad:
        assert fault(**{name: one}).startswith(f"{name} holds {one!r}; it may hold ")


def test_the_jobs_group_is_a_number_or_none_at_all() -> None:
    assert Settings.load({}).kubernetes_batch_fs_group is None
    assert Settings.load({"KUBERNETES_BATCH_FS_GROUP": " "}).kubernetes_batch_fs_group is None
    assert Settings.load({"KUBERNETES_BATCH_FS_GROUP": "0"}).kubernetes_batch_fs_group == 0
    assert Settings.load({"KUBERNETES_BATCH_FS_GROUP": "65532"}).kubernetes_batch_fs_group == 65532

    for bad in ("-1", "users", "2147483648"):
        assert fault(KUBERNETES_BATCH_FS_GROUP=bad) == (
            f"KUBERNETES_BATCH_FS_GROUP holds {bad!r}; it may hold a whole number from 0 to 2147483647"
        )


def test_a_faulty_switch_is_not_blamed_on_the_command_that_it_makes_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(runner_kinds, "find_spec", find_nothing)

    assert fault(**CHART).startswith("KUBERNETES_BATCH_ENABLED needs the package's extra: install ")
    assert "\n" not in fault(**CHART)


def test_config_check_names_the_extra_that_jobs_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(runner_kinds, "find_spec", find_nothing)
    monkeypatch.setenv("KUBERNETES_BATCH_ENABLED", "true")

    assert main(["config", "check"]) == ExitCode.USAGE
    assert "install globeco-allocation[kubernetes]" in capsys.readouterr().err
