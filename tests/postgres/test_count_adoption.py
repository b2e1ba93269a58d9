"""A database of the version before gets its counts, while others go on writing executions."""

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from tests.postgres.counted import counted, delete, insert, keep

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate
from globeco_allocation.adapters.postgres.migrations_folder import migrations_folder

NAME = "0006.execution-count"
FORGET = "DELETE FROM _yoyo_migration WHERE migration_id = %s"
LOCK_WAITED_FOR = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'execution'::regclass"
    " AND mode = 'ShareRowExclusiveLock')"
)


@pytest.fixture
def before(database: DatabaseAddress) -> DatabaseAddress:
    """A database of the version before."""
    with connect(database, {}) as owner:
        owner.execute((migrations_folder() / f"{NAME}.rollback.sql").read_text().encode())
        owner.execute(FORGET, (NAME,))
    return database


@contextmanager
def writer_of(database: DatabaseAddress) -> Generator[psycopg.Connection]:
    """A program that writes executions and knows nothing of counts."""
    with connect(database, {}) as connection:
        yield connection


def up(database: DatabaseAddress) -> tuple[str, ...]:
    return migrate(database, lambda _: None).applied


def test_what_is_there_is_counted_and_what_comes_after_it_too(before: DatabaseAddress) -> None:
    with writer_of(before) as writer:
        writer.execute(insert("generate_series(-5, 20000) AS id WHERE id / 4096 <> 2").encode())
        assert up(before) == (NAME,)
        assert counted(writer) == {-1: 5, 0: 4096, 1: 4096, 3: 4096, 4: 20_001 - 4 * 4096}
        keep(writer, [20_001, 9000])
        delete(writer, [1])

        assert counted(writer) == {-1: 5, 0: 4095, 1: 4096, 2: 1, 3: 4096, 4: 20_002 - 4 * 4096}


def test_applied_twice_it_counts_once(database: DatabaseAddress) -> None:
    with writer_of(database) as writer:
        keep(writer, range(1, 10_000))
        delete(writer, range(1, 100))
        before = counted(writer)
        writer.execute(FORGET, (NAME,))
        assert up(database) == (NAME,)

        assert counted(writer) == before


def test_a_writer_under_way_is_waited_for_and_counted(before: DatabaseAddress) -> None:
    with writer_of(before) as writer, connect(before, {}) as onlooker, ThreadPoolExecutor(1) as thread:
        with writer.transaction():
            keep(writer, [1, 2, 3])
            migrating = thread.submit(up, before)
            deadline = time.monotonic() + 30
            while onlooker.execute(LOCK_WAITED_FOR.encode()).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            keep(writer, [9000])
        assert migrating.result(timeout=30) == (NAME,)

        assert counted(writer) == {0: 3, 2: 1}


def test_those_who_write_all_the_time_are_counted_from_the_first_row_to_the_last(
    before: DatabaseAddress,
) -> None:
    migrated = threading.Event()

    def write(first: int) -> int:
        with writer_of(before) as writer:
            last = first
            while not migrated.is_set() or last < first + 50 * 100:
                keep(writer, range(last, last + 50))
                delete(writer, range(last, last + 50, 5))
                last += 50
            return (last - first) // 5 * 4

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, first) for first in (1, 1_000_000, 2_000_000)]
        try:
            applied = up(before)
        finally:
            migrated.set()
        kept = [writer.result(timeout=60) for writer in writers]

    assert applied == (NAME,)
    with connect(before, {}) as reader:
        assert sum(counted(reader).values()) == sum(kept)


def test_whoever_reads_executions_holds_it_up_neither_the_first_time_nor_the_second(
    before: DatabaseAddress,
) -> None:
    with writer_of(before) as reader, connect(before, {}) as owner, reader.transaction():
        reader.execute("SELECT FROM execution")
        assert up(before) == (NAME,)
        owner.execute(FORGET, (NAME,))
        assert up(before) == (NAME,)


def test_after_a_rollback_everybody_goes_on_writing(before: DatabaseAddress) -> None:
    with writer_of(before) as writer:
        keep(writer, [1, 9000])
        delete(writer, [1])
        writer.execute("UPDATE execution SET id = 1")
        writer.execute("TRUNCATE execution")

        assert (
            writer.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'execution'::regclass").fetchall()
            == []
        )
