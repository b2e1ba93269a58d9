# ruff: noqa: RUF009 (a setting is declared where a field has its default)
"""Everything an operator may set, read once from the environment (design, "Settings").

A setting is declared in one place, its field of `Settings`. The loader, ``config check`` and the
documentation's table are made from that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.domain.batch import FILE_MAX_RECORDS, FileQuantity
from globeco_allocation.domain.lane import MOST_LANES
from globeco_allocation.entrypoints.runner_kinds import command, image, jobs_switch, namespace, object_name
from globeco_allocation.entrypoints.setting import (
    DECLARATION,
    Setting,
    host,
    host_or_socket,
    number,
    one_of,
    origins,
    path,
    setting,
    truth,
    web_address,
    whole_number,
    words,
)
from globeco_allocation.entrypoints.settings_reading import SettingsError, read_settings


class LogLevel(StrEnum):
    """The least weight of a line that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# What deployments of the Go implementation may hold.
_ALSO = {"warn": LogLevel.WARNING, "fatal": LogLevel.ERROR, "panic": LogLevel.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's settings, all checked. A printed one shows no secret."""

    port: int = setting("PORT", "8089", whole_number(0, 65535), "The service's port; 0 takes a free one")
    bind_address: str = setting(
        "BIND_ADDRESS",
        "0.0.0.0",  # noqa: S104 (a pod is reached from outside)
        host(),
        "Where the service listens; 127.0.0.1: for this machine alone",
    )
    max_request_bytes: int = setting(
        "MAX_REQUEST_BYTES",
        "1048576",
        whole_number(1024, 64 * 1024 * 1024),
        "Largest request body; a larger one is answered 413",
        unit="bytes",
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        "CORS_ALLOWED_ORIGINS",
        "",
        origins(),
        "Web origins whose pages may call the service; none if empty",
        may_be_empty=True,
    )

    db_host: str = setting(
        "DB_HOST",
        "globeco-allocation-service-postgresql",
        host_or_socket(),
        "Where PostgreSQL is",
        alias="DATABASE_HOST",
    )
    db_port: int = setting(
        "DB_PORT", "5432", whole_number(1, 65535), "PostgreSQL's port", alias="DATABASE_PORT"
    )
    db_name: str = setting(
        "DB_NAME", "postgres", words("a name"), "The database; it must exist", alias="DATABASE_NAME"
    )
    db_user: str = setting("DB_USER", "postgres", words("a name"), "The database role", alias="DATABASE_USER")
    db_password: str = setting(
        "DB_PASSWORD",
        "",
        words("a password, but nothing where DB_PASSWORD_FILE is set"),
        "The role's password; none if empty",
        alias="DATABASE_PASSWORD",
        secret=True,
        may_be_empty=True,
    )
    db_password_file: str = setting(
        "DB_PASSWORD_FILE",
        "",
        words("the path of a readable text file of at most 64 KiB"),
        "A file that holds the password, such as a mounted secret, instead of `DB_PASSWORD`",
    )
    db_pool_size: int = setting(
        "DB_POOL_SIZE", "10", whole_number(3, 200), "Most database connections of one process"
    )
    migrate_on_start: bool = setting(
        "MIGRATE_ON_START",
        "true",
        truth(),
        "Whether `serve` brings the schema up to date; else `migrate` must",
    )

    trade_service_url: str = setting(
        "TRADE_SERVICE_URL", "http://globeco-trade-service:8082", web_address(), "Where the Trade Service is"
    )
    trade_service_timeout_seconds: float = setting(
        "TRADE_SERVICE_TIMEOUT_SECONDS",
        "5",
        number(0.05, 300),
        "Longest wait for one attempt",
        unit="seconds",
    )
    trade_service_max_lookups: int = setting(
        "TRADE_SERVICE_MAX_LOOKUPS", "64", whole_number(1, 1000), "Most lookups at once in one process"
    )
    trade_service_breaker_failures: int = setting(
        "TRADE_SERVICE_BREAKER_FAILURES", "5", whole_number(1, 1000), "Failures that open the circuit breaker"
    )
    trade_service_breaker_open_seconds: float = setting(
        "TRADE_SERVICE_BREAKER_OPEN_SECONDS",
        "10",
        number(0.1, 3600),
        "How long an open breaker fails every lookup at once",
        unit="seconds",
    )
    trade_service_defer: bool = setting(
        "TRADE_SERVICE_DEFER",
        "false",
        truth(),
        "Whether an execution waits here while the Trade Service is away; else its record fails",
    )
    trade_service_defer_max_records: int = setting(
        "TRADE_SERVICE_DEFER_MAX_RECORDS",
        "100000",
        whole_number(1, 10_000_000),
        "Most executions that wait; a record beyond that fails",
    )
    trade_service_defer_max_age_seconds: int = setting(
        "TRADE_SERVICE_DEFER_MAX_AGE_SECONDS",
        "86400",
        whole_number(1, 31_536_000),
        "An execution that waits for longer is given up: an error is logged, and a person must look",
        unit="seconds",
    )
    retry_max_attempts: int = setting(
        "RETRY_MAX_ATTEMPTS", "3", whole_number(1, 10), "Attempts of a lookup, the first one counted"
    )
    retry_base_delay_ms: int = setting(
        "RETRY_BASE_DELAY_MS",
        "100",
        whole_number(1, 60_000),
        "Pause before a lookup's second attempt; it doubles from there, with jitter",
        unit="milliseconds",
    )

    output_dir: Path = setting(
        "OUTPUT_DIR", "/usr/local/share/files", path(), "Where transaction files go; shared with the CLI"
    )
    cli_command: str = setting(
        "CLI_COMMAND",
        "",
        command(),
        "Runs the accounting CLI on a file, without a shell; if empty, files are written but not delivered",
        may_be_empty=True,
    )
    cli_timeout_seconds: float = setting(
        "CLI_TIMEOUT_SECONDS",
        "3600",
        number(1, 604_800),
        "A run is killed only past this; accounting takes 6 to 9 ms a record",
        unit="seconds",
    )
    send_wait_seconds: float = setting(
        "SEND_WAIT_SECONDS",
        "8",
        number(1, 3600),
        "How long a send waits for its outcome; then it is answered 202, and goes on",
        unit="seconds",
    )
    delivery_lanes: int = setting(
        "DELIVERY_LANES",
        "1",
        whole_number(1, MOST_LANES),
        "How many accounting runs may go on side by side, each over portfolios of its own",
    )
    delivery_retry_max_attempts: int = setting(
        "DELIVERY_RETRY_MAX_ATTEMPTS",
        "3",
        whole_number(1, 100),
        "Attempts of a delivery, the first one counted; then it is `failed` until it is sent again",
        alias="KUBERNETES_BATCH_JOB_RETRY_LIMIT",
    )
    delivery_retry_base_delay_seconds: float = setting(
        "DELIVERY_RETRY_BASE_DELAY_SECONDS",
        "5",
        number(0.01, 3600),
        "Pause before a delivery's second attempt; it doubles from there",
        unit="seconds",
    )
    batch_file_max_records: int = setting(
        "BATCH_FILE_MAX_RECORDS",
        str(FILE_MAX_RECORDS),
        whole_number(1, 10_000_000),
        "Executions in one file; a larger batch becomes several",
    )
    file_quantity: FileQuantity = setting(
        "FILE_QUANTITY", "quantity", one_of(FileQuantity), "Which amount is written: ordered or filled"
    )
    file_cleanup_enabled: bool = setting(
        "FILE_CLEANUP_ENABLED", "false", truth(), "Whether a file is removed once all of it is booked"
    )

    kubernetes_batch_enabled: bool = setting(
        "KUBERNETES_BATCH_ENABLED",
        "false",
        jobs_switch(),
        "Whether the accounting CLI runs as Kubernetes Jobs; `CLI_COMMAND` does not count then",
    )
    kubernetes_batch_namespace: str = setting(
        "KUBERNETES_BATCH_NAMESPACE",
        "default",
        namespace(),
        "Where the Jobs run",
    )
    kubernetes_batch_cli_image: str = setting(
        "KUBERNETES_BATCH_CLI_IMAGE",
        "kasbench/globeco-portfolio-accounting-service-cli:latest",
        image(),
        "The accounting CLI's image",
    )
    kubernetes_batch_job_timeout_seconds: int = setting(
        "KUBERNETES_BATCH_JOB_TIMEOUT_SECONDS",
        "1800",
        whole_number(1, 604_800),
        "A Job is ended past this",
        unit="seconds",
    )
    kubernetes_batch_service_account_name: str = setting(
        "KUBERNETES_BATCH_SERVICE_ACCOUNT_NAME",
        "",
        object_name("service account"),
        "Of the Jobs; the namespace's default one if empty",
    )
    kubernetes_batch_nfs_pvc_name: str = setting(
        "KUBERNETES_BATCH_NFS_PVC_NAME",
        "globeco-efs-pvc",
        object_name("volume claim"),
        "The claim behind `OUTPUT_DIR`, mounted into the Jobs at /data",
    )

    log_level: LogLevel = setting(
        "LOG_LEVEL", "info", one_of(LogLevel, _ALSO), "Least weight of a line that is logged"
    )
    metrics_enabled: bool = setting("METRICS_ENABLED", "true", truth(), "Whether `/metrics` answers")
    shutdown_grace_seconds: float = setting(
        "SHUTDOWN_GRACE_SECONDS",
        "25",
        number(1, 3600),
        "Longest way from SIGTERM to the end; keep it below the pod's grace period",
        unit="seconds",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; unknown variables are ignored.

        Raises:
            SettingsError: one or more variables hold what they may not; all of them are named.
        """
        reading = read_settings(declared(), environ)
        if reading.faults:
            raise SettingsError(reading.faults)
        return cls(**{name: found.value for name, found in reading.found.items()})

    @property
    def database(self) -> DatabaseAddress:
        """Where the database is, and who we are there."""
        return DatabaseAddress(self.db_host, self.db_port, self.db_name, self.db_user, self.db_password)


@cache
def declared() -> Mapping[str, Setting]:
    """Return every setting by the name of its field, in the order of declaration."""
    return {field.name: field.metadata[DECLARATION] for field in fields(Settings)}
