"""Deliver a file: have it loaded by the accounting CLI, and judge what became of each record."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from globeco_allocation.domain.accounting_run import AccountingRun, ErrorRow, RunOrder
from globeco_allocation.domain.delivery import (
    Delivery,
    DeliveryStatus,
    Outcome,
    Reject,
    Settlement,
)
from globeco_allocation.domain.errors import (
    CliNotStartedError,
    DeliveryStepError,
    FileNotWrittenError,
    RunNotFollowedError,
)
from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.judge import Judge, Judgement, Next
from globeco_allocation.domain.lease import Lease
from globeco_allocation.domain.retry import RetryTerms
from globeco_allocation.domain.use_cases.prepare import PrepareBatch
from globeco_allocation.ports.accounting import AccountingCli
from globeco_allocation.ports.deliveries import Deliveries, LeasedDelivery
from globeco_allocation.ports.files import TransactionFiles

_REJECTS_AT_ONCE = 500  # in each lane, and thrice on their way to the database
_LONG_ANSWER = 64 * 1024
_ASK_AGAIN_IN = timedelta(seconds=5)


class DeliverFile:
    """Makes one attempt after the other to deliver a written file, each recorded before the next.

    Args:
        deliveries: Where each step is recorded.
        accounting: The accounting CLI.
        files: Where the files are.
        prepare: Makes a file anew that is gone.
        retry: How often a file is tried.
        remove_delivered: Whether a file is removed once every record of it is booked.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        accounting: AccountingCli,
        files: TransactionFiles,
        prepare: PrepareBatch,
        retry: RetryTerms | None = None,
        *,
        remove_delivered: bool = False,
    ) -> None:
        self._deliveries = deliveries
        self._accounting = accounting
        self._files = files
        self._prepare = prepare
        self._retry = retry or RetryTerms()
        self._remove_delivered = remove_delivered
        # Of one lane at a time: a row may be a MiB, several times that taken apart, and a pod has 100 MiB.
        self._reading = asyncio.Lock()

    async def __call__(self, work: LeasedDelivery) -> Settlement | None:
        """Carry the delivery's attempt to its end: the one under way, or the next one.

        May be repeated, by anyone who holds the lease: the run of an attempt is found again, however its
        earlier followers ended. Cancelling it leaves a run that was started alone.

        Returns:
            How the attempt ended; None when it cannot be carried on now, for the reason that then stands at
            the delivery, and is due again a little later.

        Raises:
            LeaseLostError: another holder goes on.
            StoreUnavailableError: the database went away; the last recorded step stands.
        """
        delivery, lease = work.delivery, work.lease
        order = _order(delivery)
        try:
            judgement = await self._attempt(delivery, lease, order)
        except (FileNotWrittenError, RunNotFollowedError, DeliveryStepError) as error:
            # The last one: all delivery was stopped right before the start.
            await self._deliveries.hindered(lease, str(error), _ASK_AGAIN_IN)
            return None
        settlement = self._settlement(delivery, judgement)
        await self._deliveries.settled(lease, order.attempt, settlement)
        if self._remove_delivered and settlement.outcome.status is DeliveryStatus.DELIVERED:
            await self._files.remove(delivery.file_name)
        return settlement

    async def _attempt(self, delivery: Delivery, lease: Lease, order: RunOrder) -> Judgement:
        permit = _Permit(self._deliveries, lease, delivery)
        if not delivery.under_way:
            await self._prepare.make_sure_of_the_manifest(delivery)
            await self._make_sure_of_the_file(delivery)
        try:
            run = await self._accounting.run(order, permit)
        except CliNotStartedError as error:
            await permit.begin()
            return _not_started(delivery, str(error))
        if not (delivery.under_way or permit.begun):
            await permit.begin()  # whoever prepared the run died before that was recorded
        return await self._judge(delivery, lease, order, run)

    async def _make_sure_of_the_file(self, delivery: Delivery) -> None:
        """Have it stand as it was written; one that somebody changed is refused where it is made again."""
        stands = await self._files.checksum(delivery.file_name)
        if delivery.file is None or stands != delivery.file.checksum:
            await self._prepare.write_again(delivery)

    async def _judge(
        self, delivery: Delivery, lease: Lease, order: RunOrder, run: AccountingRun
    ) -> Judgement:
        await self._make_sure_of_the_file(delivery)  # the CLI may have deleted it
        judge = Judge(order.attempt, await self._earlier(delivery))
        async with aclosing(self._files.execution_ids(delivery.file_name)) as execution_ids:
            async for execution_id in execution_ids:
                judge.expect(execution_id)
        recorder = _Recorder(self._deliveries, lease, order.attempt)
        if run.completed:  # one that was cut off wrote no error file
            async with self._reading, aclosing(self._accounting.error_rows(order)) as rows:
                async for row in rows:
                    await recorder.add(await _see(judge, row))
        for reject in judge.conclude(run):
            await recorder.add(reject)
        await recorder.flush()
        return judge.judgement(run)

    async def _earlier(self, delivery: Delivery) -> EarlierAttempts:
        earlier = EarlierAttempts(delivery.knowledge)
        if delivery.knowledge.attempt:
            rejects = self._deliveries.rejects_of_attempt(delivery.id, delivery.knowledge.attempt)
            async with rejects as stream:
                async for reject in stream:
                    earlier.see(reject)
        return earlier

    def _settlement(self, delivery: Delivery, judgement: Judgement) -> Settlement:
        tries = delivery.tries + (0 if delivery.confirming else 1)
        confirm = judgement.next is Next.CONFIRM and not delivery.confirming
        retry_in = None
        if confirm:
            retry_in = timedelta(0)
        elif judgement.next in {Next.RETRY, Next.CONFIRM}:
            retry_in = self._retry.delay_after(max(tries, 1))
        return Settlement(
            outcome=judgement.outcome,
            knowledge=judgement.knowledge,
            retry_in=retry_in,
            tries=tries,
            confirming=confirm,
            collision=judgement.next is Next.STOP,
        )


class _Permit:
    """What the runner asks of us, see `globeco_allocation.ports.accounting.RunPermit`."""

    def __init__(self, deliveries: Deliveries, lease: Lease, delivery: Delivery) -> None:
        self._deliveries = deliveries
        self._lease = lease
        self._attempt = delivery.attempt
        self.begun = False

    async def begin(self) -> None:
        await self._deliveries.begun(self._lease, self._attempt)
        self.begun = True

    async def identified(self, uid: str) -> None:
        await self._deliveries.identified(self._lease, self._attempt, uid)


class _Recorder:
    """Records rejects, many at a time."""

    def __init__(self, deliveries: Deliveries, lease: Lease, attempt: int) -> None:
        self._deliveries = deliveries
        self._lease = lease
        self._attempt = attempt
        self._rejects: list[Reject] = []
        self._first = True

    async def add(self, reject: Reject | None) -> None:
        if reject is not None:
            self._rejects.append(reject)
        if len(self._rejects) >= _REJECTS_AT_ONCE:
            await self.flush()

    async def flush(self) -> None:
        """Record what is left; also when there is none, for an earlier holder may have recorded some."""
        if self._rejects or self._first:
            await self._deliveries.rejected(self._lease, self._attempt, self._rejects, first=self._first)
            self._rejects, self._first = [], False


def _order(delivery: Delivery) -> RunOrder:
    return RunOrder(
        batch_id=delivery.batch_id,
        lane=delivery.lane,
        lane_count=delivery.lane_count,
        part=delivery.part,
        attempt=delivery.attempt,
        file_name=delivery.file_name,
        uid=delivery.run_uid if delivery.under_way else "",
        correlation_id=delivery.requested_by,
        trace=delivery.trace,
    )


def _not_started(delivery: Delivery, reason: str) -> Judgement:
    """Judge an attempt whose run was refused: nothing was sent, and nothing was learned."""
    outcome = Outcome(DeliveryStatus.FAILED, 0, 0, delivery.record_count, None, reason)
    return Judgement(outcome, Next.RETRY, delivery.knowledge)


async def _see(judge: Judge, row: ErrorRow) -> Reject | None:
    if len(row.message) < _LONG_ANSWER:
        return judge.see(row)
    # Reading a long answer takes longer than the event loop may be held up.
    return await asyncio.to_thread(judge.see, row)
