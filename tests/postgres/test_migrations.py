import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.adapters.postgres.migrate import migrate, rollback
from globeco_allocation.adapters.postgres.migration_session import MIGRATION_LOCK_KEY

ALL = (
    "0001.execution-and-batch-history",
    "0002.batch-claim-and-delivery",
    "0003.window-functions",
    "0004.delivery-queue",
    "0005.pending-executions",
    "0006.execution-count",
    "0007.outstanding-work",
    "0008.trace-context",
)

EXECUTION = """
id                       integer                   not null  nextval('execution_id_seq'::regclass)
execution_service_id     integer                   not null
is_open                  boolean                   not null  true
execution_status         character varying(20)     not null
trade_type               character varying(10)     not null
destination              character varying(20)     not null
trade_date               date                      not null
security_id              character(24)             not null
ticker                   character varying(20)     not null
portfolio_id             character(24)             null
quantity                 numeric(18,8)             not null
limit_price              numeric(18,8)             null
received_timestamp       timestamp with time zone  not null
sent_timestamp           timestamp with time zone  not null
last_fill_timestamp      timestamp with time zone  null
quantity_filled          numeric(18,8)             not null  0
total_amount             numeric(18,8)             null      0
average_price            numeric(18,8)             not null
ready_to_send_timestamp  timestamp with time zone  null      CURRENT_TIMESTAMP
version                  integer                   not null  1
"""

BATCH_HISTORY = """
id                   integer                   not null  nextval('batch_history_id_seq'::regclass)
start_time           timestamp with time zone  not null  CURRENT_TIMESTAMP
previous_start_time  timestamp with time zone  not null
version              integer                   not null  1
"""

INDEXES = {
    "execution_pkey": "UNIQUE execution (id)",
    "execution_execution_service_id_key": "UNIQUE execution (execution_service_id)",
    "execution_execution_service_id_ndx": "execution (execution_service_id)",
    "execution_ready_to_send_timestamp_ndx": "execution (ready_to_send_timestamp)",
    "batch_history_pkey": "UNIQUE batch_history (id)",
    "batch_history_start_time_key": "UNIQUE batch_history (start_time)",
    "batch_history_previous_start_time_key": "UNIQUE batch_history (previous_start_time)",
    "batch_history_start_time_ndx": "UNIQUE batch_history (start_time)",
    "batch_history_previous_start_time_ndx": "UNIQUE batch_history (previous_start_time)",
}

MIGRATING_PROCESS = """
import sys
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.migrate import migrate

def report(line):
    print(line, flush=True)
    if {pausing}:
        sys.stdin.read()

migrate(DatabaseAddress({address.host!r}, {address.port}, {address.name!r}, {address.user!r},
                        {address.password!r}), report)
"""


def silent(_: str) -> None:
    """Report nothing."""


def ask(address: DatabaseAddress, query: str) -> list[tuple[Any, ...]]:
    with connect(address, {}) as connection:
        return connection.execute(query.encode()).fetchall()


def columns(address: DatabaseAddress, table: str) -> list[str]:
    rows = ask(
        address,
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        f" WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    return [
        " ".join([name, kind, "not null" if needed else "null", default or ""]).rstrip()
        for name, kind, needed, default in rows
    ]


def listed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def everything(address: DatabaseAddress) -> list[tuple[Any, ...]]:
    """The name and definition of every column, index, constraint, function, trigger and sequence."""
    return ask(
        address,
        "SELECT table_name || '.' || column_name, data_type || coalesce(column_default, '')"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
        " UNION ALL SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        " UNION ALL SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'"
        " ORDER BY 1, 2",
    )


@contextmanager
def migrating_process(address: DatabaseAddress, *, pausing: bool = False) -> Generator[subprocess.Popen[str]]:
    """A process that migrates; a pausing one stops after each line that it reports."""
    with subprocess.Popen(
        [sys.executable, "-c", MIGRATING_PROCESS.format(address=address, pausing=pausing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_fresh_database_gets_the_columns_of_the_specification(database: DatabaseAddress) -> None:
    assert columns(database, "execution") == listed(EXECUTION)
    assert columns(database, "batch_history") == listed(BATCH_HISTORY)


def test_a_fresh_database_gets_the_indexes_of_the_specification(database: DatabaseAddress) -> None:
    found = ask(
        database,
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('execution', 'batch_history')",
    )

    assert {
        name: re.sub(r"CREATE |INDEX \w+ ON public\.|USING btree ", "", made) for name, made in found
    } == INDEXES


def test_the_first_window_of_a_fresh_database_begins_on_the_second_of_january_1900(
    database: DatabaseAddress,
) -> None:
    rows = ask(
        database,
        "SELECT start_time = '1900-01-02Z', previous_start_time = '1900-01-01Z', version FROM batch_history",
    )

    assert rows == [(True, True, 1)]


def test_migrating_tells_what_it_did_and_twice_changes_nothing(
    empty_database: DatabaseAddress, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    first = migrate(empty_database, told.append)
    before = everything(empty_database)
    again = migrate(empty_database, told.append)

    assert first.applied == ALL
    assert again.applied == ()
    assert (first.unsent, first.unstamped, first.unstamped_ids) == (0, 0, ())
    assert told == [*(f"applied {name}" for name in ALL), "nothing to apply: the database is up to date"]
    assert everything(empty_database) == before
    assert capfd.readouterr() == ("", "")


def test_a_migration_that_was_applied_but_not_noted_is_applied_again(database: DatabaseAddress) -> None:
    before = everything(database)
    with connect(database, {}) as connection:
        connection.execute("DELETE FROM _yoyo_migration")
    result = migrate(database, silent)

    assert result.applied == ALL
    assert everything(database) == before
    assert ask(database, "SELECT count(*) FROM batch_history") == [(1,)]


def test_ten_processes_at_once_make_one_schema(
    empty_database: DatabaseAddress, database: DatabaseAddress
) -> None:
    script = MIGRATING_PROCESS.format(address=empty_database, pausing=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(10)
    ]
    outputs = [process.communicate(timeout=90)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 10, outputs
    assert sorted(line for output in outputs for line in output.splitlines() if "applied" in line) == [
        f"applied {name}" for name in ALL
    ]
    assert everything(empty_database) == everything(database)
    assert ask(empty_database, "SELECT count(*) FROM batch_history") == [(1,)]


def test_a_process_killed_between_two_migrations_stops_nobody(
    empty_database: DatabaseAddress, database: DatabaseAddress
) -> None:
    with migrating_process(empty_database, pausing=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"applied {ALL[0]}\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    left_behind = ask(empty_database, "SELECT count(*) FROM yoyo_lock")
    result = migrate(empty_database, silent, patience_seconds=20)

    assert left_behind == [(1,)]
    assert result.applied == ALL[1:]
    assert everything(empty_database) == everything(database)


def test_a_process_killed_within_a_migration_stops_nobody(
    empty_database: DatabaseAddress, database: DatabaseAddress
) -> None:
    with connect(empty_database, {}) as blocker:
        blocker.execute("CREATE TABLE batch_history AS SELECT 1 AS in_the_way")
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE batch_history")
        with migrating_process(empty_database) as process:
            wait_for_a_waiting_statement(empty_database)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
        blocker.execute("DROP TABLE batch_history")
        blocker.execute("COMMIT")
    result = migrate(empty_database, silent, patience_seconds=20)

    assert result.applied == ALL
    assert everything(empty_database) == everything(database)


def wait_for_a_waiting_statement(address: DatabaseAddress) -> None:
    deadline = time.monotonic() + 30
    while not ask(address, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'batch_history'::regclass"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_waits_for_another_ones_migration_only_so_long(empty_database: DatabaseAddress) -> None:
    with connect(empty_database, {}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK_KEY,))

        with pytest.raises(DatabaseUnreachableError, match="another process has been migrating"):
            migrate(empty_database, silent, patience_seconds=0.3)

    assert migrate(empty_database, silent).applied == ALL


def test_where_nothing_is_missing_nobody_waits_and_reading_is_enough(
    database: DatabaseAddress, someone: DatabaseAddress
) -> None:
    with connect(database, {}) as other:
        other.execute(
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(someone.user))
        )
        other.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK_KEY,))

        assert migrate(someone, silent).applied == ()


def test_a_user_without_a_name_may_migrate(
    empty_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)

    assert migrate(empty_database, silent).applied == ALL
    assert ask(empty_database, "SELECT DISTINCT username FROM _yoyo_log") == [(f"uid {os.getuid()}",)]


def test_any_name_of_a_database_and_any_password_will_do(
    admin: psycopg.Connection, someone: DatabaseAddress
) -> None:
    name = sql.Identifier('allocation "test" /?%20&=:@')
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(someone.user)))
    try:
        applied = migrate(replace(someone, name='allocation "test" /?%20&=:@'), silent).applied
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    assert applied == ALL


def test_a_rollback_removes_what_is_ours_and_keeps_the_tables_of_the_specification(
    database: DatabaseAddress,
) -> None:
    with connect(database, {}) as connection:
        connection.execute(
            "INSERT INTO execution (execution_service_id, execution_status, trade_type, destination,"
            " trade_date, security_id, ticker, quantity, received_timestamp, sent_timestamp, average_price)"
            " VALUES (1, 'FULL', 'BUY', 'ML', '2025-06-02', 'S', 'IBM', 1, now(), now(), 1)"
        )
        connection.execute("SELECT claim_batch('1900-01-02Z', 'quantity', 1, 1, 'someone')")
        connection.execute("INSERT INTO delivery (batch_id, file_name) VALUES (2, 'a.csv')")
        connection.execute("INSERT INTO delivery_reject VALUES (1, 1, 1, 'AC1', 'refused', 'why')")
    rows = ask(database, "SELECT * FROM execution"), ask(database, "SELECT * FROM batch_history ORDER BY id")
    undone = rollback(database, silent)

    assert undone == ALL[::-1]
    assert rows == (
        ask(database, "SELECT * FROM execution"),
        ask(database, "SELECT * FROM batch_history ORDER BY id"),
    )
    assert (len(rows[0]), len(rows[1])) == (1, 2)
    assert ask(
        database,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname NOT LIKE '%yoyo%' ORDER BY 1",
    ) == [("batch_history",), ("execution",)]
    assert ask(database, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    assert ask(
        database, "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename"
    ) == [("batch_history_id_seq",), ("execution_id_seq",)]


def test_a_rollback_never_drops_executions_that_still_wait_for_their_portfolio(
    database: DatabaseAddress,
) -> None:
    with connect(database, {}) as connection:
        connection.execute(
            "INSERT INTO pending_execution (execution_service_id, is_open, execution_status, trade_type,"
            " destination, security_id, ticker, quantity, received_timestamp, sent_timestamp,"
            " quantity_filled, total_amount, average_price, reason)"
            " VALUES (1, false, 'FULL', 'BUY', 'ML', 'S', 'IBM', 1, now(), now(), 1, 1, 1, 'no answer')"
        )

    with pytest.raises(DatabaseRefusedError):
        rollback(database, silent)

    assert ask(database, "SELECT execution_service_id FROM pending_execution") == [(1,)]


def test_after_a_rollback_everything_can_be_applied_again(database: DatabaseAddress) -> None:
    before = everything(database)
    rollback(database, silent)

    assert migrate(database, silent).applied == ALL
    assert everything(database) == before


def test_whoever_only_imports_the_migrations_loads_neither_yoyo_nor_a_driver() -> None:
    script = (
        "import sys, globeco_allocation.adapters.postgres.migrate;"
        "print(*sorted({'yoyo', 'psycopg', 'asyncpg'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )

    assert loaded.stdout.strip() == ""
