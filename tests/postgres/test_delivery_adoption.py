"""Deliveries of the version before, which knew neither queue nor leases, go on in the queue."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.migrate import migrate, rollback
from globeco_allocation.adapters.postgres.migrations_folder import migrations_folder
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain import (
    Delivery,
    DeliveryStatus,
    Holder,
    Knowledge,
    Outcome,
    PlannedFile,
    Settlement,
    WrittenFile,
)

HOLDER = Holder("new")

EXECUTION = """
INSERT INTO execution (execution_service_id, execution_status, trade_type, destination, trade_date,
                       security_id, ticker, quantity, received_timestamp, sent_timestamp, average_price,
                       ready_to_send_timestamp)
SELECT coalesce(max(execution_service_id), 0) + 1, 'FULL', 'BUY', 'ML', '2025-06-02', 'S', 'IBM', 1, now(),
       now(), 1, clock_timestamp()
  FROM execution
"""

# The statements of the version before.
CLAIM = """
SELECT id FROM claim_batch((SELECT max(start_time) FROM batch_history), 'quantity', 1, 1, 'correlation-1')
"""
CLAIMED = "INSERT INTO delivery (batch_id, file_name) VALUES (%s, 'file of ' || %s) ON CONFLICT DO NOTHING"
WRITTEN = """
UPDATE delivery
   SET status = 'written', record_count = 2, byte_count = 99, checksum = 'abc', error = NULL,
       written_timestamp = coalesce(written_timestamp, clock_timestamp())
 WHERE batch_id = %s
"""
STARTED = """
UPDATE delivery
   SET status = 'delivering', attempts = attempts + 1, exit_code = NULL, accepted_count = NULL,
       rejected_count = NULL, unknown_count = NULL, error = NULL, started_timestamp = clock_timestamp(),
       ended_timestamp = NULL
 WHERE batch_id = %s
"""
SETTLED = """
UPDATE delivery
   SET status = %(status)s, accepted_count = 1, rejected_count = 1, unknown_count = 0,
       exit_code = %(exit_code)s, error = 'why',
       ended_timestamp = coalesce(ended_timestamp, clock_timestamp())
 WHERE batch_id = %(batch_id)s
"""

STEPS = ["claimed", "written", "delivering", "partial"]


class Before:
    """A replica of the version before."""

    def __init__(self, database: DatabaseAddress) -> None:
        self._database = database

    def run(self, sql: str, arguments: Any = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 (as the driver's)
        with connect(self._database, {}) as connection:
            cursor = connection.execute(sql.encode(), arguments or None)
            return cursor.fetchall() if cursor.description else []

    def claim(self, executions: int = 2) -> int:
        for _ in range(executions):
            self.run(EXECUTION)
        return self.run(CLAIM)[0][0]

    def bring_to(self, status: str, *, exit_code: int | None = 0) -> int:
        """Claim a batch of two executions, and go on with its delivery as far as this."""
        batch_id = self.claim()
        self.run(CLAIMED, (batch_id, batch_id))
        if status != "claimed":
            self.run(WRITTEN, (batch_id,))
        if status not in {"claimed", "written"}:
            self.run(STARTED, (batch_id,))
        if status not in {"claimed", "written", "delivering"}:
            self.run(SETTLED, {"batch_id": batch_id, "status": status, "exit_code": exit_code})
        return batch_id


@pytest.fixture
def before(empty_database: DatabaseAddress) -> Before:
    """A replica of the version before, with its own database."""
    before = Before(empty_database)
    for number in ("0001", "0002", "0003"):
        for file in migrations_folder().glob(f"{number}.*.sql"):
            if "rollback" not in file.name:
                before.run(file.read_text())
    return before


@pytest.fixture
async def stores(
    empty_database: DatabaseAddress,
) -> AsyncGenerator[tuple[PostgresBatches, PostgresDeliveries]]:
    async with open_pool(empty_database) as pool:
        yield PostgresBatches(pool), PostgresDeliveries(pool)


Stores = tuple[PostgresBatches, PostgresDeliveries]


async def only(deliveries: PostgresDeliveries, batch_id: int) -> Delivery:
    (delivery,) = await deliveries.of_batches([batch_id])
    return delivery


def up(database: DatabaseAddress) -> None:
    migrate(database, lambda _: None)


@pytest.fixture(params=["left behind", "during a rollout"])
def made(
    request: pytest.FixtureRequest, empty_database: DatabaseAddress
) -> Callable[[Callable[[], Any]], Any]:
    """Let the version before do something, before or after the migration."""

    def make(something: Callable[[], Any]) -> Any:  # noqa: ANN401
        if request.param == "left behind":
            result = something()
            up(empty_database)
        else:
            up(empty_database)
            result = something()
        return result

    return make


Made = Callable[[Callable[[], Any]], Any]


async def test_a_delivery_of_before_is_read_at_every_step(before: Before, made: Made, stores: Stores) -> None:
    batch_ids = made(lambda: [before.bring_to(status) for status in STEPS])
    found = await stores[1].of_batches(batch_ids)

    assert [one.status for one in found] == STEPS
    assert [one.record_count for one in found] == [2, 2, 2, 2]
    assert [one.file for one in found] == [
        None,
        WrittenFile(2, 99, "abc", 3, 4),
        WrittenFile(2, 99, "abc", 5, 6),
        WrittenFile(2, 99, "abc", 7, 8),
    ]
    assert [one.under_way for one in found] == [False, False, True, False]
    assert [one.attempt for one in found] == [1, 1, 1, 2]
    assert {(one.lane, one.lane_count, one.part, one.requested_by) for one in found} == {
        (0, 1, 0, "correlation-1")
    }
    assert [one.outcome for one in found] == [
        None,
        None,
        None,
        Outcome(DeliveryStatus.PARTIAL, 1, 1, 0, exit_code=0, error="why"),
    ]


@pytest.mark.parametrize(
    ("ended", "knowledge"),
    [
        (("written", 0), Knowledge()),
        (("delivering", 0), Knowledge(cut_offs=1)),
        (("failed", None), Knowledge(cut_offs=1)),
        (("failed", -9), Knowledge(cut_offs=1)),
        (("failed", 137), Knowledge(cut_offs=1)),
        (("failed", 1), Knowledge(cut_offs=1)),
        (("failed", 0), Knowledge(attempt=1)),
        (("partial", 0), Knowledge(attempt=1)),
    ],
    ids=["never begun", "begun", "timed out", "killed", "killed inside", "ended early", "failed", "partial"],
)
async def test_what_a_run_of_before_may_have_stored_is_known(
    before: Before, made: Made, stores: Stores, ended: tuple[str, int | None], knowledge: Knowledge
) -> None:
    status, exit_code = ended
    batch_id = made(lambda: before.bring_to(status, exit_code=exit_code))

    assert (await only(stores[1], batch_id)).knowledge == knowledge


async def test_what_was_begun_goes_on_first_then_the_rest_in_the_order_of_the_batches(
    before: Before, empty_database: DatabaseAddress, stores: Stores
) -> None:
    batches, deliveries = stores
    begun, written, ended, begun_too = [
        before.bring_to(status) for status in ("delivering", "written", "failed", "delivering")
    ]
    up(empty_database)
    order: list[int] = []
    while taken := await deliveries.take(HOLDER):
        order.append(taken.delivery.batch_id)
        attempt = taken.delivery.attempt
        await deliveries.begun(taken.lease, attempt)
        outcome = Outcome(DeliveryStatus.DELIVERED, 2, 0, 0, 0)
        settlement = Settlement(outcome=outcome, knowledge=Knowledge(attempt), tries=1)
        await deliveries.settled(taken.lease, attempt, settlement)

    assert order == [begun, begun_too, written]
    assert await batches.take_unprepared(HOLDER) is None
    assert (await deliveries.resend(ended, "somebody"))[0].attempt == 2


async def test_a_begun_delivery_of_before_is_not_begun_anew(
    before: Before, made: Made, stores: Stores
) -> None:
    made(lambda: before.bring_to("delivering"))
    # During a rollout its batch has still to be prepared; that keeps nothing of its own back.
    taken = await stores[1].take(HOLDER)

    assert taken is not None
    assert taken.delivery.under_way
    await stores[1].begun(taken.lease, 1)
    assert (await only(stores[1], taken.delivery.batch_id)).attempts == 1


async def test_a_file_that_was_not_written_is_written_by_who_takes_its_batch(
    before: Before, made: Made, stores: Stores
) -> None:
    batches, deliveries = stores
    claimed_only, planned = made(lambda: (before.claim(), before.bring_to("claimed")))
    for batch_id, name in ((claimed_only, "any name"), (planned, f"file of {planned}")):
        leased = await batches.take_unprepared(HOLDER)
        assert leased is not None
        assert leased.batch.id == batch_id
        (delivery,) = await batches.plan(leased.lease, [PlannedFile(0, 0, name, 2)])
        await deliveries.written(leased.lease, delivery.id, WrittenFile(2, 99, "abc", 1, 2))
        await batches.prepared(leased.lease)

    assert await batches.take_unprepared(HOLDER) is None


async def test_one_file_of_a_window_stays_one_however_long(
    before: Before, made: Made, stores: Stores
) -> None:
    made(before.claim)
    leased = await stores[0].take_unprepared(HOLDER)

    assert leased is not None
    assert leased.batch.terms.file_max_records == 2**31 - 1


async def test_empty_windows_and_written_files_are_prepared(
    before: Before, empty_database: DatabaseAddress, stores: Stores
) -> None:
    empty = before.claim(executions=0)
    written = before.bring_to("written")
    ended = before.bring_to("delivered")
    up(empty_database)

    assert await stores[0].take_unprepared(HOLDER) is None
    for batch_id in (empty, written, ended):
        batch = await stores[0].get(batch_id)
        assert batch is not None
        assert batch.prepared


async def test_applied_again_it_changes_no_row(before: Before, empty_database: DatabaseAddress) -> None:
    for status in STEPS:
        before.bring_to(status)
    before.claim()
    before.claim(executions=0)
    up(empty_database)
    queries = [f"SELECT row::text FROM {table} AS row ORDER BY 1" for table in ("delivery", "batch_claim")]
    rows = [before.run(query) for query in queries]
    before.run("DELETE FROM _yoyo_migration")
    up(empty_database)

    assert [before.run(query) for query in queries] == rows


async def test_a_queue_in_use_is_rolled_back_and_applied_again(
    before: Before, empty_database: DatabaseAddress
) -> None:
    up(empty_database)
    batch_ids = [before.bring_to(status) for status in ("written", "failed", "claimed")]
    async with open_pool(empty_database) as pool:
        deliveries, resolutions = PostgresDeliveries(pool), PostgresResolutions(pool)
        failed, unwritten = [(await only(deliveries, batch_id)).id for batch_id in batch_ids[1:]]
        await resolutions.resolve_delivery(failed, "booked by hand", "operator")
        await resolutions.resolve_delivery(unwritten, "never to be sent", "operator")
        await pool.fetch("UPDATE batch_claim SET prepared_timestamp = clock_timestamp()")
        taken = await deliveries.take(HOLDER)
        assert taken is not None
        await deliveries.begun(taken.lease, 1)
        outcome = Outcome(DeliveryStatus.FAILED, 0, 0, 2, 1, "why")
        settlement = Settlement(
            outcome=outcome, knowledge=Knowledge(1), retry_in=HOLDER.time, tries=1, collision=True
        )
        await deliveries.settled(taken.lease, 1, settlement)
    rollback(empty_database, lambda _: None)
    gone = before.run("SELECT to_regclass('delivery')")
    up(empty_database)

    assert gone == [(None,)]
    assert before.run("SELECT count(*) FROM delivery") == [(0,)]


def test_rolled_back_alone_it_leaves_the_last_outcomes_to_the_version_before(
    before: Before, empty_database: DatabaseAddress
) -> None:
    up(empty_database)
    for status in ("written", "failed", "delivering"):
        before.bring_to(status)
    before.run("UPDATE delivery SET status = 'resolved' WHERE status IN ('written', 'failed')")
    before.run("UPDATE delivery SET ended_timestamp = clock_timestamp() WHERE status = 'delivering'")
    (back,) = migrations_folder().glob("0004.*.rollback.sql")
    before.run(back.read_text())
    before.run(back.read_text())

    assert before.run("SELECT status FROM delivery ORDER BY id") == [("failed",), ("failed",), ("failed",)]
    before.bring_to("partial")
