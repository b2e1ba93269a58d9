"""Whatever is done to executions, by whomever, their counts stay exact."""

from collections.abc import Callable, Generator
from random import Random

import psycopg
import pytest
from psycopg import sql
from tests.postgres.counted import (
    COLUMNS,
    IDS_OF_A_RANGE,
    LARGEST,
    SMALLEST,
    VALUES,
    counted,
    delete,
    insert,
    keep,
)

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.domain import AllocatedExecution

Allocate = Callable[..., AllocatedExecution]

COUNTS = "SELECT bucket, slot, count, ctid::text FROM execution_count ORDER BY 1, 2"


@pytest.fixture
def writer(database: DatabaseAddress) -> Generator[psycopg.Connection]:
    """A program that writes executions, in a fresh database."""
    with connect(database, {}) as connection:
        yield connection


async def test_only_what_is_new_is_counted(database: DatabaseAddress, allocate: Allocate) -> None:
    async with open_pool(database) as pool:
        executions = PostgresExecutions(pool)
        await executions.keep([allocate(key) for key in range(1, 101)])
        await executions.keep([allocate(key) for key in range(51, 201)])
        await executions.keep([allocate(key) for key in range(1, 201)])

        assert (await executions.page(limit=1, offset=0)).total == 200

    with connect(database, {}) as reader:
        assert counted(reader) == {0: 200}


def test_an_id_is_counted_in_its_range_also_at_and_below_0(writer: psycopg.Connection) -> None:
    keep(writer, [SMALLEST, -4097, -4096, -1, 0, 1, 4095, 4096, 8191, 8192, LARGEST])

    assert counted(writer) == {-(2**19): 1, -2: 1, -1: 2, 0: 3, 1: 2, 2: 1, 2**19 - 1: 1}


def test_conflicting_inserts_count_once(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 101))
    writer.execute((insert("generate_series(91, 110) AS id") + " ON CONFLICT DO NOTHING").encode())
    with pytest.raises(psycopg.errors.UniqueViolation):
        keep(writer, [111, 112, 1])

    assert counted(writer) == {0: 110}


def test_copied_rows_are_counted(writer: psycopg.Connection) -> None:
    with (
        writer.cursor() as cursor,
        cursor.copy(f"COPY execution (id, execution_service_id, {COLUMNS}) FROM STDIN (FORMAT csv)") as copy,
    ):
        for key in (1, 2, 9000):
            copy.write(f"{key},{key}," + VALUES.replace("'", "").replace("now()", "2026-03-02") + "\n")

    assert counted(writer) == {0: 2, 2: 1}


def test_deleted_rows_are_taken_from_their_ranges(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 5 * IDS_OF_A_RANGE))
    delete(writer, range(1, 5 * IDS_OF_A_RANGE, 3))
    writer.execute("DELETE FROM execution WHERE id BETWEEN 8000 AND 12300")

    assert sorted(counted(writer)) == [0, 1, 3, 4]


def test_with_all_deleted_the_total_is_0_and_it_begins_anew(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 10_000))
    writer.execute("DELETE FROM execution")
    assert counted(writer) == {}
    keep(writer, [5, 4096])

    assert counted(writer) == {0: 1, 1: 1}


def test_after_truncating_the_total_is_0_and_it_begins_anew(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 10_000))
    writer.execute("TRUNCATE execution")
    assert counted(writer) == {}
    keep(writer, [5])

    assert counted(writer) == {0: 1}


def test_an_execution_with_a_new_id_is_counted_where_it_is_now(writer: psycopg.Connection) -> None:
    keep(writer, [1, 2, 3, 4])
    writer.execute("UPDATE execution SET id = id + 8192 WHERE id <= 2")
    writer.execute("UPDATE execution SET id = -id WHERE id = 3")
    writer.execute("UPDATE execution SET id = 5 WHERE id = 4")

    assert counted(writer) == {-1: 1, 0: 1, 2: 2}


def test_an_update_that_keeps_the_id_touches_no_count(writer: psycopg.Connection) -> None:
    keep(writer, [1, 2, 3])
    before = writer.execute(COUNTS).fetchall()
    writer.execute("UPDATE execution SET id = id, version = version + 1")

    assert writer.execute(COUNTS).fetchall() == before


def test_what_is_rolled_back_was_never_counted(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 5000))
    with writer.transaction(force_rollback=True):
        keep(writer, range(5000, 10_000))
        delete(writer, range(1, 3000))
        writer.execute("UPDATE execution SET id = 20000 WHERE id = 4000")
        counted(writer)

    assert counted(writer) == {0: 4095, 1: 904}


def test_any_order_of_statements_in_a_transaction_is_counted(writer: psycopg.Connection) -> None:
    chance, there = Random(1), set[int]()  # noqa: S311
    for _ in range(20):
        with writer.transaction(force_rollback=chance.random() < 0.3) as transaction:
            now = set(there)
            for _ in range(3):
                some = set(chance.sample(range(-9000, 9000), 500))
                delete(writer, some & now)
                keep(writer, some - now)
                now ^= some
            there = there if transaction.force_rollback else now

    assert sum(counted(writer).values()) == len(there)


def test_a_role_that_may_insert_and_no_more_is_counted_whatever_its_search_path(
    writer: psycopg.Connection, someone: DatabaseAddress
) -> None:
    role = sql.Identifier(someone.user)
    writer.execute(sql.SQL("GRANT INSERT ON execution TO {}").format(role))
    with connect(someone, {"search_path": "pg_catalog"}) as other:
        # A table of the writer's own, by the name of ours, is not taken for it.
        other.execute("CREATE TEMPORARY TABLE execution_count (bucket integer, slot integer, count integer)")
        other.execute(
            insert("generate_series(1, 5) AS id").replace("execution (", "public.execution (", 1).encode()
        )

    assert counted(writer) == {0: 5}


def test_nobody_else_may_put_our_triggers_on_a_table_of_his_own(
    writer: psycopg.Connection, someone: DatabaseAddress
) -> None:
    assert (
        writer.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
            " AND has_function_privilege(%s, oid, 'EXECUTE')",
            (someone.user,),
        ).fetchall()
        == []
    )


def test_a_recount_puts_right_what_was_written_with_triggers_disabled(writer: psycopg.Connection) -> None:
    keep(writer, range(1, 10_000))
    writer.execute("ALTER TABLE execution DISABLE TRIGGER USER")
    keep(writer, range(-100, 1))
    delete(writer, range(4000, 9000))
    writer.execute("ALTER TABLE execution ENABLE TRIGGER USER")

    assert writer.execute("SELECT recount_executions()").fetchall() == [(5100,)]
    assert sum(counted(writer).values()) == 5100
    keep(writer, [4000])
    assert sum(counted(writer).values()) == 5101


def test_a_recount_of_nothing_is_0(writer: psycopg.Connection) -> None:
    assert writer.execute("SELECT recount_executions()").fetchall() == [(0,)]
    assert counted(writer) == {}


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_recount_refuses_to_run_on_a_snapshot_older_than_its_lock(
    writer: psycopg.Connection, level: str
) -> None:
    writer.execute(f"SET default_transaction_isolation = '{level}'".encode())

    with pytest.raises(psycopg.Error) as refused:
        writer.execute("SELECT recount_executions()")

    assert refused.value.sqlstate == "GA001"
