# ruff: noqa: RUF009 (a setting is declared where a field has its default)
"""What becomes of a batch: its files, and the runs of the accounting CLI."""

from dataclasses import dataclass
from pathlib import Path

from globeco_allocation.domain.batch import FILE_MAX_RECORDS, FileQuantity
from globeco_allocation.domain.lane import MOST_LANES
from globeco_allocation.entrypoints.runner_kinds import command
from globeco_allocation.entrypoints.settings.setting import number, one_of, path, setting, truth, whole_number


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    """How batches are written and delivered."""

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
    batch_manifest: bool = setting(
        "BATCH_MANIFEST",
        "false",
        truth(),
        "Whether each file has a manifest beside it, from which `recover` brings lost executions back",
    )
    file_cleanup_enabled: bool = setting(
        "FILE_CLEANUP_ENABLED", "false", truth(), "Whether a file is removed once all of it is booked"
    )
