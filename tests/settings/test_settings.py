"""Settings come from the environment, once, and every fault is told at once."""

from pathlib import Path

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.domain.batch import FileQuantity
from globeco_allocation.entrypoints import runner_kinds
from globeco_allocation.entrypoints.settings import LogLevel, Settings, declared
from globeco_allocation.entrypoints.settings.reading import SettingsError, read_settings
from globeco_allocation.entrypoints.settings.setting import Kind, Setting, UnusableTextError


def faults(**environ: str) -> list[str]:
    """Return the names of the variables that cannot be used."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return [fault.variable for fault in caught.value.faults]


def test_an_empty_environment_gives_the_specification_s_defaults() -> None:
    settings = Settings.load({})

    assert settings == Settings()
    assert settings.port == 8089
    assert settings.database == DatabaseAddress(
        "globeco-allocation-service-postgresql", 5432, "postgres", "postgres", ""
    )
    assert settings.trade_service_url == "http://globeco-trade-service:8082"
    assert settings.output_dir == Path("/usr/local/share/files")
    assert settings.cli_command == ""
    assert settings.log_level is LogLevel.INFO
    assert settings.metrics_enabled
    assert settings.cors_allowed_origins == ()


def test_unknown_variables_are_ignored() -> None:
    assert Settings.load({"TRADING_ENABLED": "perhaps", "HOME": "/root"}) == Settings()


def test_every_fault_is_told_at_once_with_what_it_holds_and_what_it_may_hold() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"PORT": "http", "RETRY_MAX_ATTEMPTS": "0", "METRICS_ENABLED": "maybe"})

    assert str(caught.value).splitlines() == [
        "PORT holds 'http'; it may hold a whole number from 0 to 65535",
        "RETRY_MAX_ATTEMPTS holds '0'; it may hold a whole number from 1 to 10",
        "METRICS_ENABLED holds 'maybe'; it may hold true or false",
    ]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("cli process", "must hold {filename}"),
        ("cli {filename} {file}", "holds {file}; known are {filename}, {home}, {output_dir}, {run}"),
        ("cli 'process {filename}", "cannot be split into words: no closing quotation"),
        (
            "docker run -d image --file /data/{filename}",
            "must not detach its container: a run ends when its program does",
        ),
        (
            "docker run --name cli image --file /data/{filename}",
            "must name its container after {run}, or not at all: no two runs may share a name",
        ),
    ],
)
def test_a_command_that_cannot_be_used_is_told_with_the_reason(command: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"CLI_COMMAND": command})

    assert str(caught.value) == (
        f"CLI_COMMAND {reason} (it holds {command!r}; it may hold a command with {{filename}} among its "
        "arguments, and {output_dir}, {home}, {run} at will)"
    )


def test_the_reason_of_a_secret_s_fault_is_not_told() -> None:
    def refuse(text: str) -> str:
        if text:
            raise UnusableTextError(f"must not be {text}")
        return text

    kinds = {**declared(), "token": Setting("TOKEN", "", Kind("a token", refuse), "", secret=True)}
    told = {**declared(), "token": Setting("TOKEN", "", Kind("a token", refuse), "")}

    assert [str(one) for one in read_settings(kinds, {"TOKEN": "s3cret"}).faults] == [
        "TOKEN holds ******; it may hold a token"
    ]
    assert [str(one) for one in read_settings(told, {"TOKEN": "http://u:s3cret@host"}).faults] == [
        "TOKEN must not be http://******@host (it holds 'http://******@host'; it may hold a token)"
    ]


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "Yes"])
def test_these_words_are_true(text: str) -> None:
    assert Settings.load({"FILE_CLEANUP_ENABLED": text}).file_cleanup_enabled is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "NO"])
def test_these_words_are_false(text: str) -> None:
    assert Settings.load({"METRICS_ENABLED": text}).metrics_enabled is False


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "80_89"),
        ("PORT", "٨٠٨٩"),
        ("PORT", "8089.0"),
        ("PORT", "tcp://10.0.0.1:8089"),
        ("BIND_ADDRESS", "/run/socket"),
        ("DB_HOST", "a b"),
        ("DB_PORT", "0"),
        ("DB_POOL_SIZE", "2"),
        ("TRADE_SERVICE_TIMEOUT_SECONDS", "nan"),
        ("TRADE_SERVICE_TIMEOUT_SECONDS", "inf"),
        ("TRADE_SERVICE_TIMEOUT_SECONDS", "0"),
        ("TRADE_SERVICE_TIMEOUT_SECONDS", "1e2"),
        ("TRADE_SERVICE_URL", "globeco-trade-service:8082"),
        ("TRADE_SERVICE_URL", "ftp://host"),
        ("TRADE_SERVICE_URL", "http://"),
        ("TRADE_SERVICE_URL", "http://host:99999"),
        ("TRADE_SERVICE_URL", "http://host:0"),
        ("TRADE_SERVICE_URL", "http://host/?q=1"),
        ("TRADE_SERVICE_URL", "http://ho st"),
        ("TRADE_SERVICE_URL", "http://[::1"),
        ("OUTPUT_DIR", "files\0"),
        ("CLI_COMMAND", "portfolio-cli process"),
        ("CLI_COMMAND", "portfolio-cli 'process {filename}"),
        ("CLI_COMMAND", "portfolio-cli {filename} {what}"),
        ("FILE_QUANTITY", "filled"),
        ("DELIVERY_LANES", "0"),
        ("DELIVERY_LANES", "33"),
        ("DELIVERY_RETRY_MAX_ATTEMPTS", "0"),
        ("DELIVERY_RETRY_BASE_DELAY_SECONDS", "0"),
        ("BATCH_FILE_MAX_RECORDS", "0"),
        ("BATCH_FILE_MAX_RECORDS", "100_000"),
        ("KUBERNETES_BATCH_ENABLED", "maybe"),
        ("KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS", "0"),
        ("KUBERNETES_BATCH_JOB_RETRY_LIMIT", "0"),
        ("LOG_LEVEL", "loud"),
        ("MAX_REQUEST_BYTES", "0"),
        ("CORS_ALLOWED_ORIGINS", "*,https://portal.example.org"),
        ("CORS_ALLOWED_ORIGINS", "portal.example.org"),
        ("CORS_ALLOWED_ORIGINS", "https://portal.example.org/path"),
    ],
)
def test_a_value_out_of_its_range_or_form_is_a_fault(variable: str, text: str) -> None:
    assert faults(**{variable: text}) == [variable]


def test_words_are_taken_in_any_case_and_blanks_around_a_value_mean_nothing() -> None:
    settings = Settings.load({"LOG_LEVEL": " WARNING\n", "FILE_QUANTITY": "quantityfilled", "PORT": " 80 "})

    assert settings.log_level is LogLevel.WARNING
    assert settings.file_quantity is FileQuantity.FILLED
    assert settings.port == 80


def test_a_relative_path_counts_from_where_the_program_was_started() -> None:
    assert Settings.load({"OUTPUT_DIR": "files"}).output_dir == Path.cwd() / "files"


def test_the_log_levels_of_todays_deployments_are_understood() -> None:
    assert Settings.load({"LOG_LEVEL": "warn"}).log_level is LogLevel.WARNING


def test_an_empty_text_counts_as_not_set_where_emptiness_means_nothing() -> None:
    settings = Settings.load({"PORT": "", "DB_HOST": " ", "DATABASE_HOST": "db.example.org"})

    assert settings.port == 8089
    assert settings.db_host == "db.example.org"


def test_an_empty_password_means_none_even_beside_its_alias() -> None:
    assert Settings.load({"DB_PASSWORD": "", "DATABASE_PASSWORD": "secret"}).db_password == ""


def test_aliases_count_and_the_proper_names_beat_them() -> None:
    aliases = {
        "DATABASE_HOST": "old",
        "DATABASE_PORT": "5433",
        "DATABASE_NAME": "allocation_db",
        "DATABASE_USER": "someone",
        "DATABASE_PASSWORD": "old secret",
    }

    assert Settings.load(aliases).database == DatabaseAddress(
        "old", 5433, "allocation_db", "someone", "old secret"
    )
    assert Settings.load({**aliases, "DB_HOST": "new", "DB_PASSWORD": "new secret"}).database == (
        DatabaseAddress("new", 5433, "allocation_db", "someone", "new secret")
    )


def test_a_faulty_alias_is_named_only_where_it_counts() -> None:
    assert faults(DATABASE_PORT="x") == ["DATABASE_PORT"]
    assert Settings.load({"DATABASE_PORT": "x", "DB_PORT": "5432"}).db_port == 5432


def test_a_command_without_a_file_is_a_fault_only_where_it_is_used() -> None:
    """The deployed chart has one, beside its Kubernetes settings."""
    command = "portfolio-cli process"

    assert faults(CLI_COMMAND=command) == ["CLI_COMMAND"]
    assert faults(CLI_COMMAND=command, KUBERNETES_BATCH_ENABLED="false") == ["CLI_COMMAND"]
    assert Settings.load({"CLI_COMMAND": command, "KUBERNETES_BATCH_ENABLED": "true"}).cli_command == command


def test_migrating_through_a_pooler_is_a_fault_that_names_both_settings() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"DB_POOLER": "transaction"})

    assert str(caught.value) == (
        "MIGRATE_ON_START must be false with DB_POOLER=transaction, for migrations need a session of their "
        "own: run `globeco-allocation migrate` with DB_HOST and DB_PORT of the server itself, and "
        "DB_POOLER=none (it holds 'true'; it may hold true or false)"
    )
    assert faults(DB_POOLER="Transaction", MIGRATE_ON_START="yes") == ["MIGRATE_ON_START"]
    assert faults(DB_POOLER="session") == ["DB_POOLER"]
    assert faults(DB_POOLER="transaction", MIGRATE_ON_START="maybe") == ["MIGRATE_ON_START"]


def test_what_stands_before_the_database_is_part_of_its_address() -> None:
    assert Settings.load({"DB_POOLER": "none"}).database.pooler is Pooler.NONE
    settings = Settings.load({"DB_POOLER": "transaction", "MIGRATE_ON_START": "false"})
    assert settings.database.pooler is Pooler.TRANSACTION


def test_the_delivery_s_settings_have_the_designs_defaults() -> None:
    settings = Settings.load({})

    assert settings.delivery_lanes == 1
    assert settings.delivery_retry_max_attempts == 3
    assert settings.batch_file_max_records == 100_000
    assert not settings.kubernetes_batch_enabled


def test_the_settings_of_todays_chart_are_understood() -> None:
    settings = Settings.load(
        {
            "KUBERNETES_BATCH_ENABLED": "true",
            "KUBERNETES_BATCH_NAMESPACE": "globeco",
            "KUBERNETES_BATCH_CLI_IMAGE": "registry.example/cli:1",
            "KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS": "600",
            "KUBERNETES_BATCH_JOB_RETRY_LIMIT": "5",
            "KUBERNETES_BATCH_SERVICE_ACCOUNT_NAME": "allocation",
            "KUBERNETES_BATCH_NFS_PVC_NAME": "files",
        }
    )

    assert settings.kubernetes_batch_enabled
    assert settings.kubernetes_batch_namespace == "globeco"
    assert settings.kubernetes_batch_cli_image == "registry.example/cli:1"
    assert settings.kubernetes_batch_job_timeout_seconds == 600
    assert settings.delivery_retry_max_attempts == 5  # the chart's limit counts attempts
    assert settings.kubernetes_batch_service_account_name == "allocation"
    assert settings.kubernetes_batch_nfs_pvc_name == "files"


def test_jobs_without_their_library_are_a_fault_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(runner_kinds, "find_spec", find_nothing)
    with pytest.raises(SettingsError) as caught:
        Settings.load({"KUBERNETES_BATCH_ENABLED": "true"})

    assert "install globeco-allocation[kubernetes]" in str(caught.value)
    assert not Settings.load({"KUBERNETES_BATCH_ENABLED": "false"}).kubernetes_batch_enabled


def test_a_password_keeps_its_blanks() -> None:
    assert Settings.load({"DB_PASSWORD": " s3cret "}).db_password == " s3cret "


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_the_password_comes_from_its_file_without_the_last_line_end(tmp_path: Path, content: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content.encode())

    settings = Settings.load({"DB_PASSWORD_FILE": str(file), "DATABASE_PASSWORD": ""})

    assert settings.db_password == "s3cret"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x" * 70_000])
def test_a_password_file_that_is_no_short_text_is_a_fault(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)

    assert faults(DB_PASSWORD_FILE=str(file)) == ["DB_PASSWORD_FILE"]


def test_a_password_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert faults(DB_PASSWORD_FILE=str(tmp_path / "absent")) == ["DB_PASSWORD_FILE"]
    assert faults(DB_PASSWORD_FILE=str(tmp_path)) == ["DB_PASSWORD_FILE"]


def test_a_password_beside_a_password_file_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one")

    assert faults(DB_PASSWORD_FILE=str(file), DB_PASSWORD="two") == ["DB_PASSWORD"]


def test_no_text_of_settings_or_of_their_faults_shows_a_secret(tmp_path: Path) -> None:
    settings = Settings.load({"DB_PASSWORD": "s3cret"})
    with pytest.raises(SettingsError) as caught:
        Settings.load(
            {
                "DB_PASSWORD": "s3cret",
                "DB_PASSWORD_FILE": str(tmp_path),
                "TRADE_SERVICE_URL": "http://user:s3cret@host",
            }
        )

    assert "s3cret" not in f"{settings!r} {settings} {settings.database!r}"
    assert "s3cret" not in f"{caught.value} {caught.value.faults!r}"
    assert "http://******@host" in str(caught.value)


def test_a_fault_does_not_show_the_query_of_an_address() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"TRADE_SERVICE_URL": "http://host:8082/?key=s3cret&other=s3cret"})

    assert "s3cret" not in f"{caught.value} {caught.value.faults!r}"
    assert "http://host:8082/?******" in str(caught.value)


def test_origins_are_separated_by_commas() -> None:
    settings = Settings.load({"CORS_ALLOWED_ORIGINS": "https://a.example.org, http://localhost:3000"})

    assert settings.cors_allowed_origins == ("https://a.example.org", "http://localhost:3000")
    assert Settings.load({"CORS_ALLOWED_ORIGINS": "*"}).cors_allowed_origins == ("*",)


def test_an_address_loses_its_last_slash() -> None:
    assert Settings.load({"TRADE_SERVICE_URL": "http://host:1/base/"}).trade_service_url == (
        "http://host:1/base"
    )


def test_every_field_is_declared_once_under_a_name_of_its_own() -> None:
    names = [name for setting in declared().values() for name in setting.names]

    assert len(names) == len(set(names))
    assert [setting.name.lower() for setting in declared().values()] == list(declared())
