"""Delivering a file: one attempt after the other, each judged record by record, each step recorded."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.unit.delivering import ANOTHER, NOON, PATIENCE, ScriptedCli, World

from globeco_allocation.adapters.memory.accounting import Fault
from globeco_allocation.adapters.memory.accounting_runs import CutOff
from globeco_allocation.adapters.memory.batches import MemoryBatches
from globeco_allocation.adapters.memory.deliveries import MemoryDeliveries
from globeco_allocation.domain import (
    AccountingRun,
    Batch,
    ClaimTerms,
    CliNotStartedError,
    DeliveryStatus,
    DeliveryStop,
    ErrorRow,
    Execution,
    Lease,
    LeaseLostError,
    NewExecution,
    Outcome,
    PrintedCounts,
    RecordVerdict,
    Reject,
    RunNotFollowedError,
    RunOrder,
    Settlement,
    StoreUnavailableError,
)
from globeco_allocation.domain.lane import lane_of
from globeco_allocation.domain.use_cases import DeliverFile, PrepareBatch
from globeco_allocation.ports.accounting import RunPermit
from globeco_allocation.ports.deliveries import LeasedDelivery

DELIVERED, PARTIAL, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED
DELIVERING, WRITTEN = DeliveryStatus.DELIVERING, DeliveryStatus.WRITTEN
SECONDS = timedelta(seconds=1)
SILENT = AccountingRun(0, None)
"""A Kubernetes Job that succeeded: nobody may read what it printed."""


@pytest.fixture
def world(make_report: Callable[..., NewExecution]) -> World:
    return World(make_report)


def known(*keys: int) -> list[ErrorRow]:
    def message(key: int) -> str:
        error = {"field": "sourceId", "message": "source ID must be unique"}
        failed = {"transaction": {"sourceId": f"AC{key}"}, "errors": [error]}
        return "HTTP 207: " + json.dumps({"successful": None, "failed": [failed]})

    return [ErrorRow(f"AC{key}", message(key)) for key in keys]


def ended(total: int, failed: int = 0) -> AccountingRun:
    return AccountingRun(0, PrintedCounts(total, total - failed, failed))


class TestOutcomes:
    """What becomes of a file whose run was judged for good."""

    async def test_a_run_in_which_every_record_is_booked_is_delivered(self, world: World) -> None:
        await world.written(3)

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert settlement.outcome == Outcome(DELIVERED, 3, 0, 0, 0)
        assert (settlement.retry_in, settlement.tries, settlement.collision) == (None, 1, False)
        found = await world.present()
        assert (found.status, found.outcome, found.attempts) == (DELIVERED, settlement.outcome, 1)
        assert world.accounting.runs == [(found.file_name, 1)]
        assert set(world.accounting.booked) == {"AC1", "AC2", "AC3"}

    async def test_a_run_in_which_some_records_are_refused_is_partial_and_lists_them(
        self, world: World
    ) -> None:
        await world.written(3)
        world.accounting.refusals["AC2"] = "invalid portfolio id"

        await world.deliver()(await world.take())

        found = await world.present()
        assert (found.status, found.outcome) == (PARTIAL, Outcome(PARTIAL, 2, 1, 0, 0, found.error))
        assert await world.deliveries.rejects(1, limit=10) == (
            Reject("AC2", RecordVerdict.REFUSED, "invalid portfolio id"),
        )
        assert await world.deliveries.take(ANOTHER) is None

    async def test_a_cli_that_exits_0_with_everything_refused_is_no_success_and_is_not_tried_again(
        self, world: World
    ) -> None:
        await world.written(2)
        world.accounting.refusals |= {"AC1": "invalid portfolio id", "AC2": "invalid portfolio id"}

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert (settlement.outcome.status, settlement.outcome.exit_code) == (FAILED, 0)
        assert settlement.retry_in is None
        assert (await world.present()).status is FAILED

    async def test_an_answer_too_long_for_the_event_loop_is_judged_all_the_same(self, world: World) -> None:
        await world.written(2)
        booked = json.dumps({"successful": [{"sourceId": "AC1"}, {"sourceId": "AC2"}], "failed": []})
        rows = [ErrorRow(key, "HTTP 207: " + booked + " " * 100_000) for key in ("AC1", "AC2")]

        settlement = await world.deliver(ScriptedCli([(ended(2, failed=2), rows)]))(await world.take())

        assert settlement is not None
        assert settlement.outcome == Outcome(DELIVERED, 2, 0, 0, 0)

    async def test_many_rejects_are_handed_over_in_parts(self, world: World) -> None:
        handed_over: list[tuple[int, bool]] = []

        class Counting(MemoryDeliveries):
            async def rejected(
                self, lease: Lease, attempt: int, rejects: Sequence[Reject], *, first: bool
            ) -> None:
                handed_over.append((len(rejects), first))
                await super().rejected(lease, attempt, rejects, first=first)

        await world.written(1200)
        world.accounting.refusals |= {f"AC{key}": "refused" for key in range(1, 1201)}
        deliver = DeliverFile(Counting(world.database), world.accounting, world.files, world.prepare)

        await deliver(await world.take())

        assert handed_over == [(500, True), (500, False), (200, False)]
        assert len(await world.deliveries.rejects(1, limit=5000)) == 1200

    async def test_one_error_file_is_read_at_a_time(self, world: World) -> None:
        reading = most = 0

        class Watched(ScriptedCli):
            async def error_rows(self, order: RunOrder) -> AsyncGenerator[ErrorRow]:
                nonlocal reading, most
                reading += 1
                most = max(most, reading)
                for _ in range(3):
                    await asyncio.sleep(0)
                yield ErrorRow(f"AC{ids[order.lane]}", "refused")
                reading -= 1

        one_in_each = {lane_of(f"P-{number}", 2): f"P-{number}" for number in range(12)}
        for lane, portfolio in one_in_each.items():
            await world.keep(world.make_report(execution_service_id=lane + 1), portfolio=portfolio)
        await world.written(0, ClaimTerms(lane_count=2))
        works = [await world.take() for _ in range(2)]
        ids = {lane: number for number, lane in enumerate(one_in_each, 1)}
        deliver = world.deliver(Watched([(ended(1, failed=1), ()), (ended(1, failed=1), ())]))
        settlements = await asyncio.gather(*(deliver(work) for work in works))

        assert [one.outcome.rejected_count for one in settlements if one] == [1, 1]
        assert most == 1

    async def test_files_stay_unless_cleaning_up_is_asked_for(self, world: World) -> None:
        delivery = await world.written(1)

        await world.deliver()(await world.take())

        assert delivery.file_name in world.files.contents

    async def test_a_delivered_file_is_removed_when_that_is_asked_for(self, world: World) -> None:
        await world.written(1)

        await world.deliver(remove_delivered=True)(await world.take())

        assert world.files.contents == {}

    async def test_a_file_that_was_not_delivered_whole_is_never_removed(self, world: World) -> None:
        delivery = await world.written(2)
        world.accounting.refusals["AC2"] = "refused"

        await world.deliver(remove_delivered=True)(await world.take())

        assert delivery.file_name in world.files.contents


class TestAttempts:
    """What is not judged for good is tried again."""

    async def test_an_attempt_that_failed_is_due_again_after_a_while_that_doubles_and_then_never(
        self, world: World
    ) -> None:
        await world.written(2)
        world.accounting.fault = Fault.SERVER_DOWN
        deliver = world.deliver()
        for wait in (5 * SECONDS, 10 * SECONDS):
            settlement = await deliver(await world.take())
            found = await world.present()

            assert settlement is not None
            assert settlement.retry_in == wait
            assert (found.status, found.under_way) == (DELIVERING, False)
            assert "0 of 2 records booked" in found.error
            world.pass_time(wait - SECONDS)
            assert await world.deliveries.take(ANOTHER) is None
            world.pass_time(SECONDS)

        settlement = await deliver(await world.take())

        assert settlement is not None
        assert (settlement.retry_in, settlement.tries) == (None, 3)
        found = await world.present()
        assert (found.status, found.attempts) == (FAILED, 3)
        assert [attempt for _, attempt in world.accounting.runs] == [1, 2, 3]
        assert await world.deliveries.take(ANOTHER) is None

    async def test_records_whose_answers_were_lost_are_found_booked_by_the_next_attempt(
        self, world: World
    ) -> None:
        await world.written(3)
        world.accounting.lost_answers = {"AC2"}
        await world.deliver()(await world.take())
        first = await world.present()
        world.pass_time(5 * SECONDS)

        await world.deliver()(await world.take())

        assert (first.status, first.outcome and first.outcome.unknown_count) == (DELIVERING, 1)
        found = await world.present()
        assert (found.status, found.error) == (DELIVERED, "")
        assert await world.deliveries.rejects(1, limit=9) == ()
        assert world.accounting.booked_twice == set()

    async def test_after_a_run_that_was_cut_off_the_record_in_flight_is_named(self, world: World) -> None:
        await world.written(4)
        world.accounting.cut_off = CutOff(after=2, one_in_flight=True)
        await world.deliver()(await world.take())
        world.accounting.cut_off = None
        world.pass_time(5 * SECONDS)

        await world.deliver()(await world.take())

        found = await world.present()
        assert (found.status, found.outcome and found.outcome.rejected_count) == (PARTIAL, 1)
        (reject,) = await world.deliveries.rejects(1, limit=9)
        assert (reject.source_id, reject.verdict) == ("AC3", RecordVerdict.UNCONFIRMED)
        assert "AC3" not in world.accounting.booked

    async def test_a_resend_counts_its_tries_anew_and_knows_what_was_booked(self, world: World) -> None:
        await world.written(3)
        world.accounting.refusals["AC2"] = "refused"
        await world.deliver()(await world.take())
        world.accounting.refusals.clear()
        await world.deliveries.resend(2, "someone")

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert (settlement.outcome.status, settlement.tries) == (DELIVERED, 1)
        assert (await world.present()).attempts == 2


class TestConfirming:
    """A run that left neither counts nor an error file is confirmed by another one."""

    async def test_it_is_confirmed_at_once_and_that_does_not_count_as_a_try(self, world: World) -> None:
        await world.written(3)
        cli = ScriptedCli([(SILENT, ()), (SILENT, known(1, 2, 3))])

        first = await world.deliver(cli)(await world.take())
        between = await world.present()
        second = await world.deliver(cli)(await world.take())

        assert first is not None
        assert (first.confirming, first.retry_in, first.tries) == (True, timedelta(0), 1)
        assert (between.status, between.confirming) == (DELIVERING, True)
        assert second is not None
        assert (second.outcome, second.confirming, second.tries) == (
            Outcome(DELIVERED, 3, 0, 0, 0),
            False,
            1,
        )
        assert [order.attempt for order in cli.orders] == [1, 2]

    async def test_a_confirming_run_that_fails_is_followed_by_one_that_counts(self, world: World) -> None:
        await world.written(1)
        gone = CliNotStartedError("the accounting CLI was not found")
        cli = ScriptedCli([(SILENT, ()), gone, gone, gone])
        tries: list[tuple[int, timedelta | None]] = []
        for _ in range(4):
            settlement = await world.deliver(cli)(await world.take())
            assert settlement is not None
            tries.append((settlement.tries, settlement.retry_in))
            world.pass_time(settlement.retry_in or timedelta(0))

        assert tries == [(1, timedelta(0)), (1, 5 * SECONDS), (2, 10 * SECONDS), (3, None)]
        assert (await world.present()).status is FAILED

    async def test_confirming_never_goes_on_for_ever(self, world: World) -> None:
        await world.written(2)
        cli = ScriptedCli([(SILENT, ())] * 20)
        attempts = 0
        while not (await world.present()).status.ended:
            await world.deliver(cli)(await world.take())
            world.pass_time(timedelta(minutes=10))
            attempts += 1

        assert attempts <= 6
        assert (await world.present()).status is FAILED


class TestStarts:
    """Runs that are not started, or cannot be followed."""

    async def test_a_start_that_was_refused_is_an_attempt_that_failed_for_its_reason(
        self, world: World
    ) -> None:
        await world.written(3)
        world.accounting.fault = Fault.NOT_STARTED

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert settlement.tries == 1
        assert settlement.outcome == Outcome(FAILED, 0, 0, 3, None, settlement.outcome.error)
        found = await world.present()
        assert (found.status, found.attempts, found.under_way) == (DELIVERING, 1, False)
        assert "there is no such program" in found.error
        assert world.accounting.runs == []

    async def test_the_attempt_after_it_has_the_next_number_and_learns_of_foreign_rows(
        self, world: World
    ) -> None:
        await world.written(1)
        cli = ScriptedCli([CliNotStartedError("not found"), (ended(1, failed=1), known(1))])
        await world.deliver(cli)(await world.take())
        world.pass_time(5 * SECONDS)

        settlement = await world.deliver(cli)(await world.take())

        assert settlement is not None
        assert settlement.collision
        assert [order.attempt for order in cli.orders] == [1, 2]

    async def test_a_run_that_cannot_be_followed_before_its_start_leaves_no_attempt(
        self, world: World
    ) -> None:
        await world.written(1)
        world.accounting.fault = Fault.NOT_FOLLOWED

        settlement = await world.deliver()(await world.take())

        found = await world.present()
        assert settlement is None
        assert (found.status, found.attempts) == (WRITTEN, 0)
        assert "cannot be followed" in found.error
        assert await world.deliveries.take(ANOTHER) is None
        world.pass_time(5 * SECONDS)
        assert (await world.take(ANOTHER)).delivery.attempt == 1

    async def test_a_run_that_cannot_be_followed_after_its_start_is_asked_for_again(
        self, world: World
    ) -> None:
        class Vanishing(ScriptedCli):
            async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
                await permit.begin()
                await permit.identified("process 4711")
                return await super().run(order, permit)

        await world.written(1)
        cli = Vanishing([RunNotFollowedError("the run cannot be followed"), (ended(1), ())])
        first = await world.deliver(cli)(await world.take())
        between = await world.present()
        world.pass_time(5 * SECONDS)

        second = await world.deliver(cli)(await world.take(ANOTHER))

        assert first is None
        assert (between.status, between.under_way, between.tries) == (DELIVERING, True, 0)
        assert second is not None
        assert second.outcome.status is DELIVERED
        assert [(order.attempt, order.uid) for order in cli.orders] == [(1, ""), (1, "process 4711")]

    async def test_nothing_is_started_that_could_not_be_recorded(self, world: World) -> None:
        await world.written(1)
        work = await world.take()
        world.database.available = False

        with pytest.raises(StoreUnavailableError):
            await world.deliver()(work)

        assert world.accounting.runs == []


class TestFiles:
    """The file stands before each start, and before each judgement."""

    async def test_a_file_that_is_gone_is_made_again(self, world: World) -> None:
        delivery = await world.written(2)
        before = world.files.contents.pop(delivery.file_name)

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert settlement.outcome.status is DELIVERED
        assert world.files.contents[delivery.file_name] == before

    async def test_a_file_that_somebody_changed_is_not_loaded(self, world: World) -> None:
        delivery = await world.written(2)
        changed = world.files.contents[delivery.file_name].replace(b"BUY", b"SEL")
        world.files.contents[delivery.file_name] = changed

        settlement = await world.deliver()(await world.take())

        assert settlement is None
        assert world.accounting.runs == []
        assert world.files.contents[delivery.file_name] == changed
        found = await world.present()
        assert (found.status, found.attempts) == (WRITTEN, 0)
        assert "other" in found.error

    async def test_a_run_whose_cli_deleted_its_input_is_judged_all_the_same(self, world: World) -> None:
        class Deleting(ScriptedCli):
            async def run(self, order: RunOrder, permit: RunPermit) -> AccountingRun:
                run = await super().run(order, permit)
                del world.files.contents[order.file_name]
                return run

        delivery = await world.written(3)

        settlement = await world.deliver(Deleting([(ended(3), ())]))(await world.take())

        assert settlement is not None
        assert settlement.outcome == Outcome(DELIVERED, 3, 0, 0, 0)
        assert delivery.file_name in world.files.contents

    async def test_a_file_whose_executions_have_changed_is_not_made_again_and_nothing_runs(
        self, world: World
    ) -> None:
        class Changed(MemoryBatches):
            @asynccontextmanager
            async def executions(self, batch: Batch) -> AsyncGenerator[AsyncIterator[Execution]]:
                async with super().executions(batch) as executions:
                    yield (replace(one, average_price=Decimal(1)) async for one in executions)

        await world.written(2)
        world.files.contents.clear()
        prepare = PrepareBatch(Changed(world.database), world.deliveries, world.files)
        deliver = DeliverFile(world.deliveries, world.accounting, world.files, prepare)

        settlement = await deliver(await world.take())

        assert settlement is None
        assert world.files.contents == {}
        assert world.accounting.runs == []
        found = await world.present()
        assert (found.status, found.attempts) == (WRITTEN, 0)
        assert "its executions have changed" in found.error

    async def test_a_directory_that_is_away_puts_the_delivery_off(self, world: World) -> None:
        await world.written(2)
        world.files.failure = "the output directory is missing"

        settlement = await world.deliver()(await world.take())

        assert settlement is None
        assert "the output directory is missing" in (await world.present()).error
        world.files.failure = ""
        world.pass_time(5 * SECONDS)
        await world.deliver()(await world.take())
        assert (await world.present()).status is DELIVERED


class TestCollisions:
    """Foreign rows under our source ids."""

    async def test_a_collision_stops_all_delivery_until_an_operator_decides(self, world: World) -> None:
        await world.written(2)
        await world.written(1)
        world.accounting.stored.add("AC2")

        settlement = await world.deliver()(await world.take())

        assert settlement is not None
        assert settlement.collision
        assert settlement.retry_in is None
        stop = await world.deliveries.stop()
        assert stop is not None
        assert (stop.delivery_id, stop.batch_id) == (1, 2)
        assert "already has rows under 1 of our source ids" in stop.reason
        assert await world.deliveries.take(ANOTHER) is None
        await world.resolutions.clear_stop("the rows are gone", "an operator")
        assert (await world.take()).delivery.id == 2

    async def test_a_stop_that_comes_right_before_the_start_holds_it_back(self, world: World) -> None:
        await world.written(1)
        work = await world.take()
        world.database.stop = DeliveryStop(9, 9, "foreign rows", NOON)

        settlement = await world.deliver()(work)

        assert settlement is None
        assert world.accounting.runs == []
        found = await world.present()
        assert (found.status, found.attempts) == (WRITTEN, 0)
        assert "all delivery is stopped" in found.error

    async def test_a_stop_also_holds_back_the_attempt_of_a_start_that_was_refused(self, world: World) -> None:
        await world.written(1)
        work = await world.take()
        world.database.stop = DeliveryStop(9, 9, "foreign rows", NOON)

        assert await world.deliver(ScriptedCli([CliNotStartedError("not found")]))(work) is None
        assert (await world.present()).attempts == 0


class TestTakeovers:
    """Whoever holds the lease goes on with the same attempt and finds its run."""

    async def test_a_cancelled_delivery_leaves_its_run_alone_and_another_one_judges_it(
        self, world: World
    ) -> None:
        await world.written(2)
        world.accounting.gate.clear()
        under_way = await following(world, world.deliver(), await world.take())
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        left = await world.present()
        world.pass_time(timedelta(minutes=1))
        work = await world.take(ANOTHER)
        world.accounting.gate.set()

        settlement = await world.deliver()(work)

        assert (left.status, left.under_way, left.outcome) == (DELIVERING, True, None)
        assert work.delivery.attempt == 1
        assert settlement is not None
        assert settlement.outcome == Outcome(DELIVERED, 2, 0, 0, 0)
        assert len(world.accounting.runs) == 1

    async def test_an_owner_that_slept_past_its_lease_writes_nothing_any_more(self, world: World) -> None:
        await world.written(2)
        world.accounting.gate.clear()
        sleeper = await following(world, world.deliver(), await world.take())
        world.pass_time(timedelta(minutes=1))
        successor = asyncio.create_task(world.deliver()(await world.take(ANOTHER)))
        world.accounting.gate.set()

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(LeaseLostError):
                await sleeper
            settlement = await successor

        assert settlement is not None
        assert settlement.outcome.status is DELIVERED
        found = await world.present()
        assert (found.attempts, found.tries) == (1, 1)
        assert len(world.accounting.runs) == 1

    async def test_a_database_that_was_away_at_the_end_of_a_run_learns_of_it_later(
        self, world: World
    ) -> None:
        await world.written(2)
        world.accounting.gate.clear()
        under_way = await following(world, world.deliver(), await world.take())
        world.database.available = False
        world.accounting.gate.set()
        with pytest.raises(StoreUnavailableError):
            await under_way
        world.database.available = True
        world.pass_time(timedelta(minutes=1))

        settlement = await world.deliver()(await world.take(ANOTHER))

        assert settlement is not None
        assert settlement.outcome == Outcome(DELIVERED, 2, 0, 0, 0)
        assert len(world.accounting.runs) == 1

    async def test_what_an_earlier_holder_recorded_of_the_attempt_is_not_counted_twice(
        self, world: World
    ) -> None:
        await world.written(2)
        world.accounting.refusals["AC2"] = "refused"
        world.accounting.gate.clear()
        under_way = await following(world, world.deliver(), await world.take())
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        world.pass_time(timedelta(minutes=1))
        work = await world.take(ANOTHER)
        await world.deliveries.rejected(
            work.lease, 1, [Reject("AC2", RecordVerdict.REFUSED, "refused")], first=True
        )
        world.accounting.gate.set()

        await world.deliver()(work)

        assert len(await world.deliveries.rejects(1, limit=9)) == 1

    async def test_what_an_earlier_holder_recorded_of_the_attempt_is_forgotten_where_nothing_replaces_it(
        self, world: World
    ) -> None:
        await world.written(2)
        work = await world.take()
        await world.deliveries.begun(work.lease, 1)
        await world.deliveries.rejected(
            work.lease, 1, [Reject("AC2", RecordVerdict.UNKNOWN, "EOF")], first=True
        )

        await world.deliver(ScriptedCli([(ended(2), ())]))(work)

        assert await world.deliveries.rejects(1, limit=9) == ()


async def following(
    world: World, deliver: DeliverFile, work: LeasedDelivery
) -> "asyncio.Task[Settlement | None]":
    """Begin to deliver; returns once the run is under way."""
    task = asyncio.create_task(deliver(work))
    async with asyncio.timeout(PATIENCE):
        await world.deliveries.run_begun.wait()
    return task
