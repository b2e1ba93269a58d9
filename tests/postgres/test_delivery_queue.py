"""Replicas take deliveries from one queue at once: never two of a lane, whatever the interleaving."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import asyncpg
import pytest

from globeco_allocation.adapters.postgres import delivery_queue, delivery_steps
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.leases import PostgresLeases
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.adapters.postgres.resolutions import PostgresResolutions
from globeco_allocation.domain import (
    ClaimTerms,
    Delivery,
    DeliveryStatus,
    DeliveryStepError,
    Holder,
    Knowledge,
    LeaseLostError,
    Outcome,
    PlannedFile,
    RecordVerdict,
    Reject,
    Settlement,
    WrittenFile,
)
from globeco_allocation.ports.deliveries import LeasedDelivery

Session = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

ONE, OTHER = Holder("one"), Holder("other")
MOMENT = timedelta(milliseconds=30)
RESEND: str = vars(delivery_queue)["_RESEND"]
BEGUN: str = vars(delivery_steps)["_BEGUN"]

AT_ONCE = """
SELECT count(*)
  FROM delivery AS d
  JOIN delivery AS e ON e.id <> d.id AND (e.lane = d.lane OR e.lane_count <> d.lane_count)
 WHERE d.id = $1
   AND e.status IN ('claimed', 'written', 'delivering')
   AND (e.under_way OR e.lease_until > clock_timestamp())
"""

READ = """
SELECT seq_scan AS whole, seq_tup_read + idx_tup_fetch AS rows
  FROM pg_stat_user_tables WHERE relname = 'delivery'
"""


@pytest.fixture
async def pool(database: DatabaseAddress) -> AsyncGenerator[Pool]:
    async with open_pool(database) as pool:
        yield pool


async def queue(pool: Pool, lane_count: int = 1, parts: int = 1) -> tuple[Delivery, ...]:
    """Claim a batch, and write the files of all its lanes."""
    batches, deliveries = PostgresBatches(pool), PostgresDeliveries(pool)
    leased = await batches.claim(await batches.last_start(), ClaimTerms(lane_count=lane_count), ONE)
    key = leased.batch.id
    files = [
        PlannedFile(lane, part, f"{key}_{lane}_{part}.csv", 3)
        for lane in range(lane_count)
        for part in range(parts)
    ]
    for delivery in await batches.plan(leased.lease, files):
        await deliveries.written(leased.lease, delivery.id, WrittenFile(3, 99, "abc", 1, 3))
    await batches.prepared(leased.lease)
    return await deliveries.of_batches([key])


async def take(pool: Pool, holder: Holder = ONE) -> LeasedDelivery:
    taken = await PostgresDeliveries(pool).take(holder)
    assert taken is not None
    return taken


async def end(pool: Pool, taken: LeasedDelivery, status: DeliveryStatus = DeliveryStatus.FAILED) -> None:
    """Begin the delivery's next attempt, unless it is begun, and end it."""
    deliveries, attempt = PostgresDeliveries(pool), taken.delivery.attempt
    await deliveries.begun(taken.lease, attempt)
    outcome = Outcome(status, 0, 0, 0, 0)
    await deliveries.settled(
        taken.lease, attempt, Settlement(outcome=outcome, knowledge=Knowledge(attempt), tries=1)
    )


async def until_waiting(session: asyncpg.Connection, task: asyncio.Task[object]) -> None:
    """Wait until somebody waits for a lock, on whose behalf *task* runs."""
    async with asyncio.timeout(5):
        while not await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not task.done()
            await asyncio.sleep(0.005)


class Runs:
    """Runs in accounting: each is found, under way or ended, or else started."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._runs: dict[tuple[int, int], tuple[Delivery, asyncio.Task[None]]] = {}

    @property
    def of_deliveries(self) -> Counter[int]:
        """How many runs each delivery had."""
        return Counter(delivery_id for delivery_id, _ in self._runs)

    async def follow(self, delivery: Delivery) -> None:
        """Wait for the end of the attempt's run."""
        key = delivery.id, delivery.attempt
        if key not in self._runs:
            for other, run in self._runs.values():
                assert run.done() or (other.lane_count == delivery.lane_count and other.lane != delivery.lane)
            run = asyncio.create_task(asyncio.sleep(self._chance.random() / 100))
            self._runs[key] = delivery, run
        await self._runs[key][1]


async def work_off(database: DatabaseAddress, runs: Runs, chance: random.Random) -> None:
    """Take and end deliveries as a replica does, now and then with a lease that runs out meanwhile."""
    async with open_pool(database, max_size=2) as pool:
        deliveries = PostgresDeliveries(pool)
        while await pool.fetch("SELECT FROM delivery WHERE status IN ('written', 'delivering') LIMIT 1"):
            holder = ONE if chance.random() < 0.7 else Holder("short", MOMENT)
            taken = await deliveries.take(holder)
            if taken is None:
                await asyncio.sleep(0.002)
                continue
            if holder is not ONE:  # paused for about as long as its lease holds
                await asyncio.sleep(chance.random() * 2 * MOMENT.total_seconds())
            try:
                await deliveries.begun(taken.lease, taken.delivery.attempt)
                assert await pool.fetch(AT_ONCE, taken.delivery.id) == [(0,)]
                await runs.follow(taken.delivery)
                await end(pool, taken, chance.choice([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED]))
                if chance.random() < 0.2:
                    await deliveries.resend(taken.delivery.batch_id, "somebody")
            except (LeaseLostError, DeliveryStepError):
                continue


async def test_eight_who_take_at_once_never_hold_two_of_a_lane(database: DatabaseAddress, pool: Pool) -> None:
    queued = [one for _ in range(4) for one in await queue(pool, lane_count=3, parts=3)]
    queued += [one for _ in range(2) for one in await queue(pool, lane_count=1, parts=4)]
    queued += await queue(pool, lane_count=3, parts=2)
    runs = Runs(random.Random(0))  # noqa: S311
    async with asyncio.TaskGroup() as replicas:
        for number in range(8):
            replicas.create_task(work_off(database, runs, random.Random(number)))  # noqa: S311

    assert len(queued) == 50
    ended = await PostgresDeliveries(pool).of_batches([one.batch_id for one in queued])
    assert {one.status for one in ended} <= {DeliveryStatus.DELIVERED, DeliveryStatus.FAILED}
    assert {one.id: one.attempts for one in ended} == runs.of_deliveries


async def test_of_those_who_take_the_only_delivery_at_once_one_has_it(pool: Pool) -> None:
    await queue(pool)
    deliveries = PostgresDeliveries(pool)

    taken = await asyncio.gather(*(deliveries.take(ONE) for _ in range(8)))

    assert sum(one is not None for one in taken) == 1


async def test_who_takes_waits_for_who_is_taking(pool: Pool, session: Session) -> None:
    await queue(pool)
    await queue(pool)
    async with session() as slow, session() as watcher:
        await slow.execute("BEGIN")
        assert await slow.fetch("SELECT FROM take_delivery('slow', '15 s')")
        taking = asyncio.create_task(PostgresDeliveries(pool).take(OTHER))
        await until_waiting(watcher, taking)
        await slow.execute("COMMIT")

        assert await taking is None


async def test_who_takes_waits_for_a_step_of_a_lease_that_ran_out(pool: Pool, session: Session) -> None:
    await queue(pool)
    await queue(pool)
    late = await take(pool, Holder("late", timedelta(0)))
    async with session() as paused, session() as watcher:
        await paused.execute("BEGIN")
        assert await paused.fetch(BEGUN, late.lease.id, late.lease.token, 1)
        taking = asyncio.create_task(take(pool, OTHER))
        await until_waiting(watcher, taking)
        await paused.execute("COMMIT")
        taken = await taking

    assert taken.delivery.id == late.delivery.id
    assert taken.delivery.under_way
    with pytest.raises(LeaseLostError):
        await PostgresDeliveries(pool).begun(late.lease, 1)


async def test_a_resend_that_is_committed_late_waits_for_what_was_taken_meanwhile(
    pool: Pool, session: Session
) -> None:
    (first,) = await queue(pool)
    await end(pool, await take(pool))
    async with session() as slow:
        await slow.execute("BEGIN")
        assert await slow.fetch(RESEND, first.batch_id, "somebody", "", "")
        await queue(pool)
        taken = await take(pool)
        await slow.execute("COMMIT")

        assert await PostgresDeliveries(pool).take(OTHER) is None

    await end(pool, taken)
    assert (await take(pool, OTHER)).delivery.id == first.id


async def test_who_held_a_later_delivery_too_long_cannot_begin_it_beside_an_earlier_one(
    pool: Pool, session: Session
) -> None:
    (first,) = await queue(pool)
    await end(pool, await take(pool))
    async with session() as slow:
        await slow.execute("BEGIN")
        assert await slow.fetch(RESEND, first.batch_id, "somebody", "", "")
        await queue(pool)
        late = await take(pool, Holder("late", timedelta(0)))
        await slow.execute("COMMIT")
    taken = await take(pool, OTHER)

    assert taken.delivery.id == first.id
    with pytest.raises(LeaseLostError):
        await PostgresDeliveries(pool).begun(late.lease, 1)
    await end(pool, taken)
    assert (await take(pool, OTHER)).delivery.id == late.delivery.id


async def test_what_is_begun_goes_before_an_earlier_resend_that_was_committed_late(
    pool: Pool, session: Session
) -> None:
    (first,) = await queue(pool)
    await end(pool, await take(pool))
    async with session() as slow:
        await slow.execute("BEGIN")
        assert await slow.fetch(RESEND, first.batch_id, "somebody", "", "")
        await queue(pool)
        late = await take(pool, Holder("late", timedelta(0)))
        await PostgresDeliveries(pool).begun(late.lease, 1)
        await slow.execute("COMMIT")

    assert (await take(pool, OTHER)).delivery.id == late.delivery.id
    assert await PostgresDeliveries(pool).take(OTHER) is None


async def test_who_begins_while_an_earlier_one_is_taken_is_taken_over_instead(
    pool: Pool, session: Session
) -> None:
    (first,) = await queue(pool)
    await end(pool, await take(pool))
    async with session() as slow, session() as watcher:
        await slow.execute("BEGIN")
        assert await slow.fetch(RESEND, first.batch_id, "somebody", "", "")
        await queue(pool)
        late = await take(pool, Holder("late", timedelta(0)))
        await slow.execute("COMMIT")
        await slow.execute("BEGIN")
        assert await slow.fetch(BEGUN, late.lease.id, late.lease.token, 1)
        taking = asyncio.create_task(take(pool, OTHER))
        await until_waiting(watcher, taking)
        await slow.execute("COMMIT")

        assert (await taking).delivery.id == late.delivery.id


async def test_two_who_resolve_the_last_two_records_at_once_resolve_the_delivery(
    pool: Pool, session: Session
) -> None:
    deliveries, resolutions = PostgresDeliveries(pool), PostgresResolutions(pool)
    (delivery,) = await queue(pool)
    taken = await take(pool)
    await deliveries.begun(taken.lease, 1)
    rejects = [Reject(f"AC{number}", RecordVerdict.REFUSED, "why") for number in (1, 2)]
    await deliveries.rejected(taken.lease, 1, rejects, first=True)
    await end(pool, LeasedDelivery(await _shown(pool, delivery.id), taken.lease), DeliveryStatus.PARTIAL)
    async with session() as slow, session() as watcher:
        await slow.execute("BEGIN")
        await slow.fetch("SELECT resolve_record($1, 'AC1', 'why', 'operator')", delivery.id)
        resolving = asyncio.create_task(resolutions.resolve_record(delivery.id, "AC2", "why", "another"))
        await until_waiting(watcher, resolving)
        await slow.execute("COMMIT")
        await resolving

    assert (await _shown(pool, delivery.id)).status is DeliveryStatus.RESOLVED


async def _shown(pool: Pool, delivery_id: int) -> Delivery:
    delivery = await PostgresDeliveries(pool).get(delivery_id)
    assert delivery is not None
    return delivery


async def test_a_stop_stays_on_record_with_who_cleared_it_and_why(pool: Pool) -> None:
    await queue(pool)
    taken = await take(pool)
    await PostgresDeliveries(pool).begun(taken.lease, 1)
    outcome = Outcome(DeliveryStatus.FAILED, 0, 3, 0, 0, "3 refused as known")
    await PostgresDeliveries(pool).settled(
        taken.lease, 1, Settlement(outcome=outcome, knowledge=Knowledge(1), tries=1, collision=True)
    )
    await PostgresResolutions(pool).clear_stop("a database made anew", "operator")
    rows = await pool.fetch("SELECT delivery_id, reason, cleared_by, cleared_reason FROM delivery_stop")

    assert [tuple(row) for row in rows] == [
        (taken.delivery.id, "3 refused as known", "operator", "a database made anew")
    ]


async def test_thousands_of_rejects_are_recorded_at_once_and_forgotten_at_once(pool: Pool) -> None:
    deliveries = PostgresDeliveries(pool)
    await queue(pool)
    taken = await take(pool)
    await deliveries.begun(taken.lease, 1)
    many = [Reject(f"AC{number}", RecordVerdict.REFUSED, "why " * 100) for number in range(5_000)]
    await deliveries.rejected(taken.lease, 1, many, first=True)
    await deliveries.rejected(taken.lease, 1, many[:10], first=True)
    await deliveries.rejected(taken.lease, 1, many[10:], first=False)
    async with deliveries.rejects_of_attempt(taken.delivery.id, 1) as rejects:
        kept = [one async for one in rejects]

    assert kept == many


async def test_whoever_finds_nothing_to_do_reads_next_to_nothing(pool: Pool, session: Session) -> None:
    (one,) = await queue(pool)
    await end(pool, await take(pool), DeliveryStatus.DELIVERED)
    columns = "queue_number, lane_count, requested_by, outcome_status, record_count, first_id, last_id"
    await pool.fetch(
        f"INSERT INTO delivery (batch_id, part, file_name, status, {columns})"
        f" SELECT batch_id, part + n, n || '.csv', status, {columns}"
        "   FROM delivery, generate_series(1, 20000) AS n WHERE id = $1",
        one.id,
    )
    async with session() as idle:
        await idle.execute("ANALYZE delivery")
        await idle.execute("SELECT pg_stat_force_next_flush()")
        (before,) = await idle.fetch(READ)
        for _ in range(50):
            assert await idle.fetch("SELECT * FROM take_delivery('one', '15 s')") == []
        await idle.execute("SELECT pg_stat_force_next_flush()")
        (after,) = await idle.fetch(READ)

    assert after["whole"] == before["whole"]
    assert after["rows"] - before["rows"] <= 50


async def test_deliveries_are_taken_in_read_committed_only(session: Session) -> None:
    async with session() as other, other.transaction(isolation="repeatable_read"):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await other.fetch("SELECT * FROM take_delivery('one', '15 s')")

    assert refused.value.sqlstate == "GA001"


async def test_a_lease_is_renewed_while_its_batch_is_written(pool: Pool) -> None:
    batches, leases = PostgresBatches(pool), PostgresLeases(pool)
    leased = await batches.claim(await batches.last_start(), ClaimTerms(), ONE)
    await leases.renew(leased.lease)

    assert await batches.take_unprepared(OTHER) is None
