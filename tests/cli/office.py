"""Batches in a real database, as a service left them behind, and the commands of an operator."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    Knowledge,
    Outcome,
    RecordVerdict,
    Reject,
    Settlement,
)
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.transaction_file import plan_files
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.simulated.accounting_books import read_books
from globeco_allocation.entrypoints.stack import simulated_cli_command
from globeco_allocation.ports.deliveries import LeasedDelivery

PORTFOLIOS = [f"683b6b9620f302c879a5fe{number:02d}" for number in range(12)]
GONE = Holder("a service that was killed")

Allocate = Callable[..., AllocatedExecution]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def line(self, beginning: str) -> str:
        """The only line of its output that begins so."""
        (found,) = [one for one in self.lines if one.startswith(beginning)]
        return found


class Office:
    """A database, an output directory, and the command line over them."""

    def __init__(
        self,
        database: DatabaseAddress,
        path: Path,
        allocate: Allocate,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.database = database
        self.files = path / "files"
        self.files.mkdir()
        self.ledger = path / "ledger.sqlite3"
        self._allocate = allocate
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self._keys = 0
        self.environ = {
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_NAME": database.name,
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "OUTPUT_DIR": str(self.files),
            "CLI_COMMAND": simulated_cli_command(),
            "SIMULATED_ACCOUNTING_LEDGER": str(self.ledger),
            "DELIVERY_RETRY_BASE_DELAY_SECONDS": "0.05",
        }

    def run(self, *arguments: str, **changes: str) -> Said:
        """Run ``globeco-allocation batches``."""
        with self._monkeypatch.context() as patch:
            for name, value in {**self.environ, **changes}.items():
                patch.setenv(name, value)
            self._capfd.readouterr()
            try:
                code = main(["batches", *arguments])
            except SystemExit as end:
                code = int(end.code or 0)
            captured = self._capfd.readouterr()
        return Said(code, captured.out, captured.err)

    def start(
        self, *arguments: str, stderr: int = subprocess.PIPE, **changes: str
    ) -> "subprocess.Popen[str]":
        """Start it as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "globeco_allocation", "batches", *arguments],
            env={"PATH": os.environ["PATH"], **self.environ, **changes},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def claimed(self, records: int = 2, *, lanes: int = 1, largest: int = 100) -> int:
        """Keep so many executions, claim them, and leave it at that; returns the batch's id."""

        async def do(pool: Pool) -> int:
            if records:
                keys = range(self._keys + 1, self._keys + records + 1)
                allocated = [self._allocate(key, PORTFOLIOS[key % len(PORTFOLIOS)]) for key in keys]
                await PostgresExecutions(pool).keep(allocated)
                self._keys += records
            batches = PostgresBatches(pool)
            terms = ClaimTerms(lane_count=lanes, file_max_records=largest, requested_by="a test")
            work = await batches.claim(await batches.last_start(), terms, GONE)
            await PostgresLeases(pool).release(work.lease)
            return work.batch.id

        return self.do(do)

    def written(self, records: int = 2, *, lanes: int = 1, largest: int = 100) -> list[Delivery]:
        """Leave a batch behind whose files are written."""
        batch_id = self.claimed(records, lanes=lanes, largest=largest)

        async def do(pool: Pool) -> None:
            batches = PostgresBatches(pool)
            prepare = PrepareBatch(batches, PostgresDeliveries(pool), LocalFiles(self.files))
            while (work := await batches.take_unprepared(GONE)) is not None:
                await prepare(work)

        self.do(do)
        return self.of_batch(batch_id)

    def planned(self, records: int = 2) -> Delivery:
        """Leave a batch behind whose file is planned, for its writer was killed."""
        batch_id = self.claimed(records)

        async def do(pool: Pool) -> int:
            batches = PostgresBatches(pool)
            work = await batches.take_unprepared(GONE)
            assert work is not None
            assert work.batch.id == batch_id
            (delivery,) = await batches.plan(work.lease, plan_files(work.batch, {0: records}))
            await PostgresLeases(pool).release(work.lease)
            return delivery.id

        return self.get(self.do(do))

    def ended(self, outcome: Outcome, *rejects: Reject, **changes: object) -> Delivery:
        """Let an attempt of the next file in the queue end so."""

        async def do(pool: Pool) -> int:
            work = await self._begun(pool)
            deliveries, attempt = PostgresDeliveries(pool), work.delivery.attempt
            await deliveries.rejected(work.lease, attempt, rejects, first=True)
            said: dict[str, object] = {"knowledge": Knowledge(attempt), "tries": attempt}
            settlement = Settlement(outcome=outcome, **(said | changes))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            await deliveries.settled(work.lease, attempt, settlement)
            return work.delivery.id

        return self.get(self.do(do))

    def failed(self, records: int = 2) -> Delivery:
        """Leave a batch behind whose only file was delivered in vain."""
        self.written(records)
        return self.ended(Outcome(DeliveryStatus.FAILED, 0, 0, records, None, "nothing listened"))

    def partial(self, records: int = 3, *refused: str, why: str = "no such security") -> Delivery:
        """Leave a batch behind of whose only file these records were refused."""
        self.written(records)
        outcome = Outcome(
            DeliveryStatus.PARTIAL, records - len(refused), len(refused), 0, 0, f"{len(refused)} refused"
        )
        return self.ended(outcome, *(Reject(one, RecordVerdict.REFUSED, why) for one in refused))

    def waiting(self) -> Delivery:
        """Leave a batch behind whose file waits for another attempt for an hour."""
        self.written()
        outcome = Outcome(DeliveryStatus.FAILED, 0, 0, 2, 1, "it exited with 1")
        return self.ended(outcome, retry_in=timedelta(hours=1))

    def stopped(self) -> Delivery:
        """Leave a collision behind, which stops all delivery."""
        self.written()
        outcome = Outcome(DeliveryStatus.FAILED, 1, 1, 0, 0, "foreign rows stand under our source ids")
        return self.ended(outcome, Reject("AC1", RecordVerdict.DUPLICATE, "must be unique"), collision=True)

    def held(self) -> Delivery:
        """Leave a batch behind whose file somebody delivers now."""
        self.written()

        async def do(pool: Pool) -> int:
            return (await self._begun(pool)).delivery.id

        return self.get(self.do(do))

    def of_batch(self, batch_id: int) -> list[Delivery]:
        async def do(pool: Pool) -> list[Delivery]:
            return list(await PostgresDeliveries(pool).of_batches((batch_id,)))

        return self.do(do)

    def get(self, delivery_id: int) -> Delivery:
        async def do(pool: Pool) -> Delivery:
            found = await PostgresDeliveries(pool).get(delivery_id)
            assert found is not None
            return found

        return self.do(do)

    def status(self, delivery: Delivery) -> str:
        return self.get(delivery.id).status.value

    def booked(self) -> Mapping[str, str]:
        """What Portfolio Accounting has: the status of each record by its source id."""
        return {key: str(value) for key, value in read_books(self.ledger).statuses.items()}

    def sql(self, statement: str, *values: object) -> Sequence[Sequence[object]]:
        with connect(self.database, {}) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def do(self, deed: Callable[[Pool], Awaitable[Result]]) -> Result:
        return asyncio.run(self._do(deed))

    async def _do(self, deed: Callable[[Pool], Awaitable[Result]]) -> Result:
        async with self._pool() as pool:
            return await deed(pool)

    @asynccontextmanager
    async def _pool(self) -> AsyncGenerator[Pool]:
        async with open_pool(self.database, max_size=3) as pool:
            yield pool

    async def _begun(self, pool: Pool) -> LeasedDelivery:
        deliveries = PostgresDeliveries(pool)
        work = await deliveries.take(GONE)
        assert work is not None
        await deliveries.begun(work.lease, work.delivery.attempt)
        return work


def refused(said: Said, *words: str) -> None:
    """Make sure that a command was refused in these words, and in no others than its own."""
    assert said.code == ExitCode.FAILED
    assert said.err.startswith("globeco-allocation: ")
    assert "Traceback" not in said.err
    for one in words:
        assert one in said.err
