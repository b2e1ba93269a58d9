import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.domain.window import FIRST_START, TICK

KEEP = """
SELECT execution_service_id, id, is_new FROM keep_executions(
    %(keys)s::int[], %(flags)s::boolean[], %(words)s::text[], %(words)s::text[], %(words)s::text[],
    %(dates)s::date[], %(words)s::text[], %(words)s::text[], %(words)s::text[], %(ones)s::numeric[],
    %(limits)s::numeric[], %(times)s::timestamptz[], %(times)s::timestamptz[], %(times)s::timestamptz[],
    %(ones)s::numeric[], %(ones)s::numeric[], %(ones)s::numeric[]
)
"""
CLAIM = "SELECT previous_start_time, start_time, id FROM claim_batch(%s, 'quantity', 1, 1, 'test')"


def keep(
    connection: psycopg.Connection, keys: Sequence[int], **other: list[Any]
) -> dict[int, tuple[int, bool]]:
    now, many = datetime.now(UTC), len(keys)
    columns: dict[str, list[Any]] = {
        "keys": list(keys),
        "flags": [False] * many,
        "words": ["BUY"] * many,
        "dates": [now.date()] * many,
        "ones": [1] * many,
        "limits": [None] * many,
        "times": [now] * many,
    }
    rows = connection.execute(KEEP, columns | other).fetchall()
    return {key: (execution_id, new) for key, execution_id, new in rows}


def claim(connection: psycopg.Connection, last_start: datetime) -> tuple[datetime, datetime]:
    row = connection.execute(CLAIM, (last_start,)).fetchone()
    assert row is not None
    return row[0], row[1]


def wait_until(connection: psycopg.Connection, blocked: psycopg.Connection) -> None:
    """Wait until *blocked* waits for a lock."""
    deadline = time.monotonic() + 20
    while not connection.execute(
        "SELECT FROM pg_locks WHERE NOT granted AND pid = %s", (blocked.info.backend_pid,)
    ).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ids_rise_in_the_order_asked_for_and_repeats_use_up_none(database: DatabaseAddress) -> None:
    with connect(database, {}) as connection:
        first = keep(connection, [30, 10, 20])
        again = keep(connection, [20, 30])
        mixed = keep(connection, [10, 5, 40])

    assert first == {30: (1, True), 10: (2, True), 20: (3, True)}
    assert again == {30: (1, False), 20: (3, False)}
    assert mixed == {10: (2, False), 5: (4, True), 40: (5, True)}


def test_nothing_to_keep_is_no_fault(database: DatabaseAddress) -> None:
    with connect(database, {}) as connection:
        assert keep(connection, []) == {}


def test_a_stamp_is_never_below_the_last_start_though_the_clock_is(database: DatabaseAddress) -> None:
    future = datetime.now(UTC).replace(microsecond=7) + timedelta(days=400)
    with connect(database, {}) as connection:
        connection.execute(
            "INSERT INTO batch_history (start_time, previous_start_time) VALUES (%s, %s)",
            (future, FIRST_START),
        )
        keep(connection, [1])
        stamps = connection.execute("SELECT ready_to_send_timestamp FROM execution").fetchall()
        _, start = claim(connection, future)
        keep(connection, [2])
        later = connection.execute("SELECT max(ready_to_send_timestamp) FROM execution").fetchone()

    assert stamps == [(future,)]
    assert start == future + TICK
    assert later == (start,)


def test_a_batch_starts_above_the_newest_stamp_and_passes_over_none_and_infinity(
    database: DatabaseAddress,
) -> None:
    future = datetime.now(UTC) + timedelta(days=400)
    with connect(database, {}) as connection:
        keep(connection, [1, 2, 3])
        for stamp, key in ((future, 1), (None, 2), ("infinity", 3)):
            connection.execute(
                "UPDATE execution SET ready_to_send_timestamp = %s WHERE execution_service_id = %s",
                (stamp, key),
            )

        assert claim(connection, FIRST_START) == (FIRST_START, future + TICK)


def scans_of_whole_tables(connection: psycopg.Connection) -> object:
    connection.execute("SELECT pg_stat_force_next_flush()")
    return connection.execute(
        "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname IN ('execution', 'batch_history') ORDER BY relname"
    ).fetchall()


def test_rows_are_found_by_index_though_a_small_table_is_read_faster_whole(database: DatabaseAddress) -> None:
    with connect(database, {}) as connection:
        before = scans_of_whole_tables(connection)
        keep(connection, [1, 2, 3])
        keep(connection, [3, 4])
        claim(connection, FIRST_START)

        assert scans_of_whole_tables(connection) == before


def test_two_claims_of_one_window_collide_on_batch_history(database: DatabaseAddress) -> None:
    with connect(database, {}) as connection:
        claim(connection, FIRST_START)
        with pytest.raises(psycopg.errors.UniqueViolation) as collision:
            claim(connection, FIRST_START)
        claims = connection.execute("SELECT batch_id FROM batch_claim").fetchall()

    assert collision.value.diag.table_name == "batch_history"
    assert claims == [(2,)]


@pytest.mark.parametrize("start", [FIRST_START - TICK, FIRST_START + TICK, None])
def test_no_window_begins_where_no_batch_started(database: DatabaseAddress, start: datetime | None) -> None:
    with connect(database, {}) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(CLAIM, (start,))

    assert refused.value.sqlstate == "GA003"


def test_a_window_that_batches_follow_is_not_claimed_though_its_own_batch_is_gone(
    database: DatabaseAddress,
) -> None:
    with connect(database, {}) as connection:
        _, second = claim(connection, FIRST_START)
        claim(connection, second)
        connection.execute("DELETE FROM batch_claim WHERE batch_id = 2")
        connection.execute("DELETE FROM batch_history WHERE id = 2")
        with pytest.raises(psycopg.Error) as refused:
            claim(connection, FIRST_START)

    assert refused.value.sqlstate == "GA003"


def test_without_a_first_batch_nothing_is_kept_or_claimed(database: DatabaseAddress) -> None:
    with connect(database, {}) as connection:
        connection.execute("DELETE FROM batch_history")
        with pytest.raises(psycopg.Error) as not_kept:
            keep(connection, [1])
        with pytest.raises(psycopg.Error) as not_claimed:
            claim(connection, FIRST_START)

    assert (not_kept.value.sqlstate, not_claimed.value.sqlstate) == ("GA002", "GA002")


@pytest.mark.parametrize(
    "level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]
)
def test_only_read_committed_will_do(database: DatabaseAddress, level: psycopg.IsolationLevel) -> None:
    with connect(database, {}) as connection:
        connection.autocommit = False
        connection.isolation_level = level
        with pytest.raises(psycopg.Error) as not_kept:
            keep(connection, [1])
        connection.rollback()
        with pytest.raises(psycopg.Error) as not_claimed:
            claim(connection, FIRST_START)
        connection.rollback()

    assert (not_kept.value.sqlstate, not_claimed.value.sqlstate) == ("GA001", "GA001")


@pytest.mark.parametrize("limits", [[], [None], None], ids=["empty", "too short", "null"])
def test_arrays_of_different_lengths_are_refused(
    database: DatabaseAddress, limits: list[None] | None
) -> None:
    columns: dict[str, Any] = {"limits": limits}
    with connect(database, {}) as connection, pytest.raises(psycopg.errors.ArraySubscriptError):
        keep(connection, [1, 2], **columns)


def test_a_claim_waits_for_those_who_keep_and_takes_in_what_they_kept(database: DatabaseAddress) -> None:
    with (
        connect(database, {}) as creator,
        connect(database, {}) as sender,
        connect(database, {}) as watcher,
        ThreadPoolExecutor() as threads,
    ):
        with creator.transaction():
            keep(creator, [1])
            # As if the clock stepped back a day between the stamp and the claim.
            creator.execute("UPDATE execution SET ready_to_send_timestamp = now() + interval '1 day'")
            claimed = threads.submit(claim, sender, FIRST_START)
            wait_until(watcher, sender)
        _, start = claimed.result(timeout=20)
        stamp = creator.execute("SELECT ready_to_send_timestamp FROM execution").fetchall()[0][0]

    assert start == stamp + TICK


def test_those_who_keep_wait_for_a_claim_and_are_stamped_after_it(database: DatabaseAddress) -> None:
    with (
        connect(database, {}) as creator,
        connect(database, {}) as sender,
        connect(database, {}) as watcher,
        ThreadPoolExecutor() as threads,
    ):
        with sender.transaction():
            _, start = claim(sender, FIRST_START)
            kept = threads.submit(keep, creator, [1])
            wait_until(watcher, creator)
            sender.execute("UPDATE batch_history SET start_time = start_time + interval '1 day' WHERE id > 1")
        kept.result(timeout=20)
        stamp = creator.execute("SELECT ready_to_send_timestamp FROM execution").fetchall()[0][0]

    assert stamp == start + timedelta(days=1)


def test_who_loses_a_race_is_told_the_winners_id(database: DatabaseAddress) -> None:
    with (
        connect(database, {}) as winner,
        connect(database, {}) as loser,
        connect(database, {}) as watcher,
        ThreadPoolExecutor() as threads,
    ):
        with winner.transaction():
            won = keep(winner, [7])
            answer = threads.submit(keep, loser, [7, 8])
            wait_until(watcher, loser)
        lost = answer.result(timeout=20)

    assert won == {7: (1, True)}
    assert lost[7] == (1, False)
    assert lost[8][1]


def test_callers_with_the_same_executions_the_other_way_round_never_deadlock(
    database: DatabaseAddress,
) -> None:
    keys = list(range(1, 101))
    rounds, callers = 20, 4
    together = threading.Barrier(callers, timeout=20)

    def call(orders: Sequence[Sequence[int]]) -> int:
        with connect(database, {}) as connection:
            new = 0
            for order in orders:
                together.wait()
                new += sum(is_new for _, is_new in keep(connection, order).values())
            return new

    orders = [[[key + 100 * turn for key in keys] for turn in range(rounds)] for _ in range(callers)]
    for backwards in orders[::2]:
        for order in backwards:
            order.reverse()
    with ThreadPoolExecutor(callers) as threads:
        new = sum(threads.map(call, orders))

    assert new == rounds * len(keys)
