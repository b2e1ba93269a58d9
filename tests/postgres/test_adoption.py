from typing import Any

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError
from globeco_allocation.adapters.postgres.migrate import MigrationResult, migrate

TABLES = """
CREATE TABLE execution (
    id serial PRIMARY KEY, execution_service_id integer NOT NULL {unique},
    is_open boolean NOT NULL DEFAULT true, execution_status varchar(20) NOT NULL,
    trade_type varchar(10) NOT NULL, destination varchar(20) NOT NULL,
    trade_date date NOT NULL, security_id char(24) NOT NULL,
    ticker varchar(20) NOT NULL, portfolio_id char(24), quantity decimal(18,8) NOT NULL,
    limit_price decimal(18,8), received_timestamp timestamptz NOT NULL, sent_timestamp timestamptz NOT NULL,
    last_fill_timestamp timestamptz, quantity_filled decimal(18,8) NOT NULL DEFAULT 0,
    total_amount decimal(18,8) DEFAULT 0, average_price decimal(18,8) NOT NULL,
    ready_to_send_timestamp timestamptz DEFAULT CURRENT_TIMESTAMP, version integer NOT NULL DEFAULT 1
);
CREATE TABLE batch_history (
    id serial PRIMARY KEY, start_time timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    previous_start_time timestamptz NOT NULL, version integer NOT NULL DEFAULT 1
);
CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO schema_migrations VALUES (2, false);
"""

INDEXES = {
    "as the Go implementation makes them": """
        CREATE INDEX execution_execution_service_id_ndx ON execution (execution_service_id);
        CREATE INDEX execution_ready_to_send_timestamp_ndx ON execution (ready_to_send_timestamp);
        CREATE UNIQUE INDEX batch_history_start_time_ndx ON batch_history (start_time);
        CREATE UNIQUE INDEX batch_history_previous_start_time_ndx ON batch_history (previous_start_time);
    """,
    "none at all": "",
    "under other names": """
        CREATE UNIQUE INDEX one_execution_each ON execution (execution_service_id);
        ALTER TABLE batch_history ADD CONSTRAINT one_start UNIQUE (start_time);
        ALTER TABLE batch_history ADD CONSTRAINT one_before UNIQUE (previous_start_time);
    """,
    "not unique, or on something else": """
        CREATE UNIQUE INDEX execution_ready_to_send_timestamp_ndx ON execution (id);
        CREATE INDEX batch_history_start_time_ndx ON batch_history (start_time);
        CREATE UNIQUE INDEX batch_history_previous_start_time_ndx ON batch_history (previous_start_time)
            WHERE version > 1;
    """,
}

FIRST_ROW = (
    "INSERT INTO batch_history (start_time, previous_start_time) VALUES ('1900-01-02Z', '1900-01-01Z');"
)
EARLY_FIRST_ROW = (
    "INSERT INTO batch_history (start_time, previous_start_time) VALUES ('1900-01-01Z', '1900-01-01Z');"
)
LAST_BATCH = (
    "INSERT INTO batch_history (start_time, previous_start_time) VALUES ('2025-06-02 14:00Z', '1900-01-02Z');"
)


def execution(number: int, ready: str | None) -> str:
    stamp = "NULL" if ready is None else f"'{ready}'"
    return (
        "INSERT INTO execution (execution_service_id, is_open, execution_status, trade_type, destination,"
        " trade_date, security_id, ticker, portfolio_id, quantity, received_timestamp, sent_timestamp,"
        " average_price, ready_to_send_timestamp)"
        f" VALUES ({number}, false, 'FULL', 'BUY', 'ML', '2025-06-02', '68336002fe95851f0a2aeda9', 'IBM',"
        f" '68336002fe95851f0a2aeda1', 100, '2025-06-02 13:00Z', '2025-06-02 13:00:01Z', 190.5, {stamp});"
    )


SENT = execution(101, "2025-06-02 13:59:59.999999Z")
ON_THE_SEAM = execution(102, "2025-06-02 14:00Z")
UNSENT = execution(103, "2025-06-02 15:00Z")
WITHOUT_A_STAMP = execution(104, None)
NEVER_READY = execution(105, "infinity")
EXECUTIONS = SENT + ON_THE_SEAM + UNSENT + WITHOUT_A_STAMP + NEVER_READY


def fill(address: DatabaseAddress, *scripts: str, unique: str = "UNIQUE") -> None:
    with connect(address, {}) as connection:
        connection.execute((TABLES.format(unique=unique) + "".join(scripts)).encode())


def ask(address: DatabaseAddress, query: str) -> list[tuple[Any, ...]]:
    with connect(address, {}) as connection:
        return connection.execute(query.encode()).fetchall()


def unsent_by_the_next_batch(address: DatabaseAddress) -> list[int]:
    rows = ask(
        address,
        "WITH batch AS MATERIALIZED (SELECT b.* FROM (SELECT max(start_time) AS last FROM batch_history) h,"
        " claim_batch(h.last, 'quantity', 1, 1, 'test') b)"
        " SELECT execution_service_id FROM execution e, batch"
        " WHERE e.ready_to_send_timestamp >= batch.previous_start_time"
        " AND e.ready_to_send_timestamp < batch.start_time ORDER BY e.id",
    )
    return [number for (number,) in rows]


@pytest.mark.parametrize("indexes", INDEXES.values(), ids=INDEXES.keys())
def test_a_filled_database_keeps_every_row(empty_database: DatabaseAddress, indexes: str) -> None:
    fill(empty_database, indexes, FIRST_ROW, LAST_BATCH, EXECUTIONS, unique="")
    queries = [
        f"SELECT row::text FROM {table} AS row ORDER BY 1"
        for table in ("execution", "batch_history", "schema_migrations")
    ]
    before = [ask(empty_database, query) for query in queries]
    migrate(empty_database, print)

    assert [ask(empty_database, query) for query in queries] == before
    assert [len(rows) for rows in before] == [5, 2, 1]


def test_every_row_of_a_filled_database_is_counted(empty_database: DatabaseAddress) -> None:
    fill(empty_database, FIRST_ROW, LAST_BATCH, EXECUTIONS, "UPDATE execution SET id = 9000 WHERE id = 5")
    migrate(empty_database, print)

    assert ask(empty_database, "SELECT bucket, sum(count) FROM execution_count GROUP BY 1 ORDER BY 1") == [
        (0, 4),
        (2, 1),
    ]


@pytest.mark.parametrize("indexes", INDEXES.values(), ids=INDEXES.keys())
def test_a_filled_database_gets_the_rules_and_indexes_it_lacks(
    empty_database: DatabaseAddress, indexes: str
) -> None:
    fill(empty_database, indexes, FIRST_ROW, LAST_BATCH, EXECUTIONS, unique="")
    migrate(empty_database, print)

    unique = ask(
        empty_database,
        "SELECT DISTINCT indrelid::regclass::text, attname FROM pg_index JOIN pg_attribute"
        " ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE indisunique AND indisvalid AND indpred IS NULL AND indnatts = 1 AND attname <> 'id'"
        " AND indrelid IN ('execution'::regclass, 'batch_history'::regclass) ORDER BY 1, 2",
    )
    named = ask(
        empty_database,
        "SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'batch_history%ndx'"
        " OR indexname LIKE 'execution%ndx' ORDER BY 1",
    )
    assert unique == [
        ("batch_history", "previous_start_time"),
        ("batch_history", "start_time"),
        ("execution", "execution_service_id"),
    ]
    assert [row[0].replace(" ON public.", " ON ").replace(" USING btree", "") for row in named] == [
        "CREATE INDEX execution_execution_service_id_ndx ON execution (execution_service_id)",
        "CREATE INDEX execution_ready_to_send_timestamp_ndx ON execution (ready_to_send_timestamp)",
        "CREATE UNIQUE INDEX batch_history_previous_start_time_ndx ON batch_history (previous_start_time)",
        "CREATE UNIQUE INDEX batch_history_start_time_ndx ON batch_history (start_time)",
    ]


def test_what_waits_and_what_never_will_be_sent_is_reported(empty_database: DatabaseAddress) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW, LAST_BATCH, EXECUTIONS)
    told: list[str] = []
    result = migrate(empty_database, told.append)
    again = migrate(empty_database, print)

    assert (result.unsent, result.unstamped, result.unstamped_ids) == (2, 2, (4, 5))
    assert again == MigrationResult(applied=(), unsent=2, unstamped=2, unstamped_ids=(4, 5))
    assert told[-2] == "executions that wait for the next batch: 2"
    assert told[-1].startswith(
        "executions without a ready_to_send_timestamp: 2. No batch will ever send them"
    )
    assert told[-1].endswith("Ids: 4, 5")


def test_only_the_first_of_many_executions_without_a_stamp_are_named(empty_database: DatabaseAddress) -> None:
    fill(empty_database, FIRST_ROW, *(execution(number, None) for number in range(1, 31)))
    told: list[str] = []
    result = migrate(empty_database, told.append)

    assert result.unstamped == 30
    assert result.unstamped_ids == tuple(range(1, 21))
    assert told[-1].endswith("19, 20, ...")


def test_the_next_batch_takes_in_exactly_what_was_unsent(empty_database: DatabaseAddress) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], FIRST_ROW, LAST_BATCH, EXECUTIONS)
    migrate(empty_database, print)

    assert unsent_by_the_next_batch(empty_database) == [102, 103]
    assert unsent_by_the_next_batch(empty_database) == []


def test_a_stamp_in_the_future_is_taken_in_too(empty_database: DatabaseAddress) -> None:
    fill(empty_database, FIRST_ROW, LAST_BATCH, execution(1, "2999-01-01Z"))
    migrate(empty_database, print)

    assert unsent_by_the_next_batch(empty_database) == [1]
    assert unsent_by_the_next_batch(empty_database) == []


@pytest.mark.parametrize("first_row", [EARLY_FIRST_ROW, FIRST_ROW, ""], ids=["early", "released", "absent"])
def test_a_database_that_never_sent_a_batch_sends_all_in_its_first(
    empty_database: DatabaseAddress, first_row: str
) -> None:
    fill(empty_database, INDEXES["as the Go implementation makes them"], first_row, SENT, UNSENT)
    migrate(empty_database, print)

    assert ask(empty_database, "SELECT start_time = '1900-01-02Z' FROM batch_history") == [(True,)]
    assert unsent_by_the_next_batch(empty_database) == [101, 103]


def test_two_rows_for_one_execution_are_refused_with_the_names_of_table_and_rule(
    empty_database: DatabaseAddress,
) -> None:
    fill(empty_database, FIRST_ROW, SENT, SENT, unique="")

    with pytest.raises(
        DatabaseRefusedError, match=r"table 'execution'.*23505, execution_execution_service_id_key"
    ):
        migrate(empty_database, print)

    assert ask(empty_database, "SELECT count(*) FROM execution") == [(2,)]


def test_an_index_of_somebody_elses_is_left_alone(empty_database: DatabaseAddress) -> None:
    fill(
        empty_database,
        FIRST_ROW,
        "CREATE TABLE theirs (id integer); CREATE INDEX batch_history_start_time_ndx ON theirs (id);",
    )

    with pytest.raises(DatabaseRefusedError, match="42P07"):
        migrate(empty_database, print)

    assert ask(empty_database, "SELECT tablename FROM pg_indexes WHERE indexname LIKE '%start_time_ndx'") == [
        ("theirs",)
    ]
