"""A database that can be lost and restored, beside an output directory that cannot."""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.direct_connection import connect, execute
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.domain.batch import ClaimTerms
from globeco_allocation.domain.lease import Holder
from globeco_allocation.domain.transaction_file import plan_files
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.entrypoints.cli import main

PORTFOLIOS = [f"683b6b9620f302c879a5fe{number:02d}" for number in range(12)]
ONE = Holder("one")

_TABLES = (
    *("execution", "execution_count", "pending_execution", "batch_history", "batch_claim", "delivery"),
    *("delivery_reject", "delivery_stop", "delivery_resolution", "output_directory"),
)
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"

Allocate = Callable[..., AllocatedExecution]
Row = tuple[Any, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


class Place:
    """A database and an output directory.

    Attributes:
        database: The one in use now.
        files: The output directory.
        sent: Every execution that stands in a file, as it was in the database then, by id.
    """

    def __init__(self, database: DatabaseAddress, directory: Path, allocate: Allocate) -> None:
        self.database = database
        self.files = directory / "files"
        self.files.mkdir()
        self.sent: dict[int, Row] = {}
        self._allocate = allocate
        self._keys = 0
        self._empty = self._backup = self._dump()

    def begin_anew(self) -> None:
        """Forget everything, as a fresh database with an empty directory."""
        self._backup = self._empty
        self.lose_and_restore()
        for path in self.files.iterdir():
            path.unlink()
        self.sent.clear()
        self._keys = 0

    def keep(self, count: int) -> None:
        """Keep new executions."""
        self.keep_keys(range(self._keys + 1, self._keys + count + 1))
        self._keys += count

    def keep_keys(self, keys: Sequence[int], **fields: object) -> None:
        """Keep the executions of these execution-service ids, with these fields."""
        allocated = [self._allocate(key, PORTFOLIOS[key % len(PORTFOLIOS)], **fields) for key in keys]

        async def do(pool: Pool) -> None:
            await PostgresExecutions(pool).keep(allocated)

        self.on_pool(do)

    def send(self, *, lanes: int = 1, largest: int = 100, manifests: bool = True) -> int:
        """Claim what is kept, and write its files; returns the batch's id."""
        batch_id = self.claim(lanes=lanes, largest=largest)
        self.prepare(manifests=manifests)
        return batch_id

    def claim(self, *, lanes: int = 1, largest: int = 100, plan: bool = False) -> int:
        """Claim what is kept, perhaps plan its files, and leave it at that."""

        async def do(pool: Pool) -> int:
            batches = PostgresBatches(pool)
            terms = ClaimTerms(lane_count=lanes, file_max_records=largest, requested_by="a test")
            work = await batches.claim(await batches.last_start(), terms, ONE)
            if plan:
                extent = await batches.extent(work.batch)
                await batches.plan(work.lease, plan_files(work.batch, extent.lane_sizes))
            await PostgresLeases(pool).release(work.lease)
            return work.batch.id

        return self.on_pool(do)

    def prepare(self, *, manifests: bool = True) -> None:
        """Write the files of what is claimed."""

        async def do(pool: Pool) -> None:
            batches = PostgresBatches(pool)
            prepare = PrepareBatch(
                batches, PostgresDeliveries(pool), LocalFiles(self.files), manifests=manifests
            )
            while work := await batches.take_unprepared(ONE):
                await prepare(work)

        self.on_pool(do)
        for name in self.data_files():
            ids = [int(line.split(",")[2].removeprefix("AC")) for line in self.lines(name)]
            rows = self.ask("SELECT * FROM execution WHERE id = ANY(%s)", ids)
            for row in rows:
                self.sent.setdefault(row[0], row)

    def data_files(self) -> list[str]:
        """Return the names of the transaction files."""
        return sorted(
            path.name for path in self.files.glob("transactions_*.csv") if path.name.count(".") == 1
        )

    def manifests(self) -> list[Path]:
        """Return the manifests."""
        return sorted(self.files.glob("*.executions.csv"))

    def lines(self, name: str) -> list[str]:
        """Return a transaction file's rows."""
        return (self.files / name).read_text().splitlines()[1:]

    def back_up(self) -> None:
        """Make a backup, in place of an older one; at first it is that of an empty database."""
        self._backup = self._dump()

    def lose_and_restore(self) -> None:
        """Go on with the backup, as it was when it was made."""
        tables, sequences = self._backup
        with connect(self.database, {}) as session, session.transaction():
            execute(session, f"TRUNCATE {', '.join(tables)}")
            execute(session, "SET LOCAL session_replication_role = replica")  # the rows come as they were
            for table, content in tables.items():
                with session.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(content)
            for name, (value, is_called) in sequences.items():
                execute(session, "SELECT setval(%s, %s, %s)", (name, value, is_called))

    def run(self, *arguments: str, **changes: str) -> Said:
        """Run ``globeco-allocation recover``."""
        environ = {
            "DB_HOST": self.database.host,
            "DB_PORT": str(self.database.port),
            "DB_NAME": self.database.name,
            "DB_USER": self.database.user,
            "DB_PASSWORD": self.database.password,
            "OUTPUT_DIR": str(self.files),
            **changes,
        }
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, environ), redirect_stdout(out), redirect_stderr(err):
            code = main(["recover", *arguments])
        return Said(code, out.getvalue(), err.getvalue())

    def ask(self, query: str, *values: object) -> list[Row]:
        """Ask the database."""
        with connect(self.database, {}) as session:
            return execute(session, query, values or None).fetchall()

    def do(self, statement: str) -> None:
        """Change the database."""
        with connect(self.database, {}) as session:
            execute(session, statement)

    def on_pool(self, work: Callable[[Pool], Awaitable[Result]]) -> Result:
        """Do something as the service does."""

        async def do() -> Result:
            async with open_pool(self.database, application_name="a test") as pool:
                return await work(pool)

        return asyncio.run(do())

    def check(self) -> None:
        """Make sure that all is as promised of a recovered database."""
        several = self.ask(
            "SELECT e.id, count(h.id) FROM execution AS e LEFT JOIN batch_history AS h"
            "    ON e.ready_to_send_timestamp >= h.previous_start_time"
            "   AND e.ready_to_send_timestamp < h.start_time"
            " GROUP BY e.id, e.ready_to_send_timestamp HAVING count(h.id) <>"
            "       (e.ready_to_send_timestamp < (SELECT max(start_time) FROM batch_history))::integer"
        )
        gaps = self.ask(
            "SELECT id"
            "  FROM (SELECT *, lag(start_time) OVER (ORDER BY start_time) AS ended FROM batch_history) AS h"
            " WHERE previous_start_time <> ended"
        )
        rows = {row[0]: row for row in self.ask("SELECT * FROM execution")}
        (next_id,) = self.ask("SELECT nextval(pg_get_serial_sequence('execution', 'id'))")[0]
        (next_batch,) = self.ask("SELECT nextval(pg_get_serial_sequence('batch_history', 'id'))")[0]
        (highest_batch,) = self.ask("SELECT max(id) FROM batch_history")[0]
        (counted,) = self.ask("SELECT sum(count) FROM execution_count")[0] or (0,)
        files = dict(self.ask("SELECT file_name, checksum FROM delivery"))

        assert several == []
        assert gaps == []
        assert {key: rows.get(key) for key in self.sent} == self.sent  # exactly
        assert next_id > max(self.sent, default=0)
        assert next_id > max(rows, default=0)
        assert next_batch > highest_batch
        assert (counted or 0) == len(rows)
        assert set(files) >= set(self.data_files())
        self._check_windows_hold_their_files()

    def _check_windows_hold_their_files(self) -> None:
        """Of what is in a prepared batch's window, each is in one of its files, and the other way round."""
        for batch_id, since, until in self.ask(
            "SELECT h.id, h.previous_start_time, h.start_time FROM batch_history AS h"
            "  JOIN batch_claim AS c ON c.batch_id = h.id WHERE c.prepared_timestamp IS NOT NULL"
        ):
            names = [
                name for (name,) in self.ask("SELECT file_name FROM delivery WHERE batch_id = %s", batch_id)
            ]
            in_files = [line.split(",")[2] for name in names for line in self.lines(name)]
            in_window = self.ask(
                "SELECT 'AC' || id FROM execution"
                " WHERE ready_to_send_timestamp >= %s AND ready_to_send_timestamp < %s",
                *(since, until),
            )
            assert sorted(in_files) == sorted(one for (one,) in in_window), batch_id

    def _dump(self) -> tuple[dict[str, bytes], dict[str, Row]]:
        tables: dict[str, bytes] = {}
        with connect(self.database, {}) as session, session.transaction():
            execute(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for table in _TABLES:
                with session.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT".encode()) as copy:
                    tables[table] = b"".join(map(bytes, copy))
            names = [str(name) for (name,) in execute(session, _SEQUENCES)]
            sequences = {
                name: execute(session, f"SELECT last_value, is_called FROM {name}").fetchall()[0]
                for name in names
            }
        return tables, sequences
