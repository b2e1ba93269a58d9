"""The parts that write and deliver files, put together: for the service, and for commands without it."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.output_directory import PostgresOutputDirectory
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.adapters.subprocess_cli import CommandTemplate, SubprocessCli
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import WrittenFile
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.use_cases.deliver import DeliverFile
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.domain.use_cases.send import SendBatch
from globeco_allocation.domain.use_cases.work_off import WorkOff
from globeco_allocation.entrypoints import logs
from globeco_allocation.entrypoints.send_report import KUBERNETES, NO_CLI, SUBPROCESS
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.tracing.parts import TracedAccounting, TracedFiles
from globeco_allocation.entrypoints.tracing.tracing import NO_TRACING, Tracing
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.batches import Batches
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles
from globeco_allocation.ports.resolutions import Resolutions

if TYPE_CHECKING:
    from globeco_allocation.adapters.kubernetes_job import JobTemplate

_PREPARE_SECONDS = 10.0

_log: Any = structlog.get_logger("globeco_allocation.wiring")


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What writes and delivers, open.

    Attributes:
        batches: Claimed windows.
        deliveries: Their files.
        resolutions: What operators settled by hand.
        files: Where they are written.
        accounting: The accounting CLI; None where none is set.
        prepare: Makes files.
        work_off: Takes and carries out what is due.
        send_batch: Claims what became ready.
        execution_mode: How the accounting CLI is run.
    """

    batches: Batches
    deliveries: Deliveries
    resolutions: Resolutions
    files: TransactionFiles
    accounting: AccountingCli | None
    prepare: PrepareBatch
    work_off: WorkOff
    send_batch: SendBatch
    execution_mode: str


@asynccontextmanager
async def open_delivery(
    settings: Settings,
    pool: Pool,
    *,
    files: TransactionFiles | None = None,
    accounting: AccountingCli | None = None,
    tracing: Tracing = NO_TRACING,
    on_written: Callable[[WrittenFile], None] | None = None,
) -> AsyncGenerator[DeliveryParts]:
    """Open every part, real unless given.

    Args:
        settings: How the real parts are set up.
        pool: Connections to the database.
        files: Instead of ``OUTPUT_DIR``.
        accounting: Instead of ``CLI_COMMAND`` and Kubernetes; the caller closes it.
        tracing: Is told of files and runs.
        on_written: Told of each transaction file that stands whole.
    """
    holder = Holder(f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")
    async with AsyncExitStack() as stack:
        if files is None:
            files = await _open_output_directory(settings, pool, holder)
        mode = SUBPROCESS if accounting is not None else execution_mode(settings)
        if accounting is None:
            accounting = await _open_accounting(stack, settings, mode)
        if tracing.is_on:
            files = TracedFiles(files, tracing)
            accounting = None if accounting is None else TracedAccounting(accounting, tracing)
        batches, deliveries = PostgresBatches(pool), PostgresDeliveries(pool)
        prepare = PrepareBatch(batches, deliveries, files, on_written)
        deliver = None
        if accounting is not None:
            deliver = DeliverFile(
                deliveries,
                accounting,
                files,
                prepare,
                _retry(settings),
                remove_delivered=settings.file_cleanup_enabled,
            )
        leases = PostgresLeases(pool.unwatched())  # renewed every few seconds for as long as a run takes
        work_off = WorkOff(batches, deliveries, leases, prepare=prepare, deliver=deliver, holder=holder)
        send_batch = SendBatch(batches, deliveries, files, work_off, _terms(settings))
        yield DeliveryParts(
            batches=batches,
            deliveries=deliveries,
            resolutions=PostgresResolutions(pool),
            files=files,
            accounting=accounting,
            prepare=prepare,
            work_off=work_off,
            send_batch=send_batch,
            execution_mode=mode,
        )


async def check_accounting(settings: Settings) -> None:
    """Make sure that the accounting CLI can be run as it is set up, as far as this process alone can tell.

    Raises:
        CliNotStartedError: it cannot; the message says what to do.
    """
    async with AsyncExitStack() as stack:
        if execution_mode(settings) == KUBERNETES:
            await stack.enter_async_context(_kubernetes_jobs(settings))


def execution_mode(settings: Settings) -> str:
    """Tell how the accounting CLI is run under these settings: Kubernetes beats a command."""
    if settings.kubernetes_batch_enabled:
        return KUBERNETES
    return SUBPROCESS if settings.cli_command else NO_CLI


async def _open_output_directory(settings: Settings, pool: Pool, holder: Holder) -> LocalFiles:
    """Prepare the directory; one that cannot be used costs sends alone, so it is no reason not to start."""
    files = LocalFiles(settings.output_dir, PostgresOutputDirectory(pool), replica=holder.name)
    try:
        async with asyncio.timeout(_PREPARE_SECONDS):
            await files.prepare()
    except TimeoutError:
        _log.warning(logs.OUTPUT_DIR_SILENT, path=str(settings.output_dir))
    return files


async def _open_accounting(stack: AsyncExitStack, settings: Settings, mode: str) -> AccountingCli | None:
    if mode == KUBERNETES:
        return await stack.enter_async_context(_kubernetes_jobs(settings))
    if mode == NO_CLI:
        _log.warning(logs.NO_CLI_COMMAND)
        return None
    template = CommandTemplate.parse(settings.cli_command)
    return SubprocessCli(template, settings.output_dir, settings.cli_timeout_seconds)


def job_template(settings: Settings, environ: Mapping[str, str]) -> "JobTemplate":
    """Return what all Jobs of the accounting CLI have in common under these settings.

    Args:
        settings: How the Jobs are set up.
        environ: Where it stands, for the CLI, how Portfolio Accounting is reached.
    """
    from globeco_allocation.adapters.kubernetes_job import JobTemplate  # noqa: PLC0415 (only where it is used)
    from globeco_allocation.adapters.kubernetes_job.template import server_variables  # noqa: PLC0415

    return JobTemplate(
        image=settings.kubernetes_batch_cli_image,
        claim=settings.kubernetes_batch_nfs_pvc_name,
        timeout_seconds=settings.kubernetes_batch_job_timeout_seconds,
        service_account=settings.kubernetes_batch_service_account_name,
        fs_group=settings.kubernetes_batch_fs_group,
        variables=server_variables(environ),
    )


def _kubernetes_jobs(settings: Settings) -> AbstractAsyncContextManager[AccountingCli]:
    # Loaded only where it is used: it is an extra, and not small.
    from globeco_allocation.adapters.kubernetes_job import KubernetesJobCli  # noqa: PLC0415

    template = job_template(settings, os.environ)
    return KubernetesJobCli(template, settings.output_dir, namespace=settings.kubernetes_batch_namespace)


def _terms(settings: Settings) -> ClaimTerms:
    return ClaimTerms(
        file_quantity=settings.file_quantity,
        lane_count=settings.delivery_lanes,
        file_max_records=settings.batch_file_max_records,
    )


def _retry(settings: Settings) -> RetryTerms:
    return RetryTerms(
        attempts=settings.delivery_retry_max_attempts,
        first_delay=timedelta(seconds=settings.delivery_retry_base_delay_seconds),
    )
