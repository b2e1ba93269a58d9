"""Deliver a file: run the accounting CLI on it and judge what it leaves behind, record by record."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from globeco_allocation.domain.accounting_run import ErrorRow
from globeco_allocation.domain.delivery import Delivery, DeliveryStatus, Outcome, Reject
from globeco_allocation.domain.errors import CliNotStartedError
from globeco_allocation.domain.verdict import Judge
from globeco_allocation.ports.accounting import AccountingCli, AccountingTurn
from globeco_allocation.ports.deliveries import Deliveries
from globeco_allocation.ports.files import TransactionFiles

_TOO_LATE = "the accounting CLI was not started: the service was about to end when the file's turn came"
_REJECTS_AT_ONCE = 500
_LONG_ANSWER = 64 * 1024


class DeliverFile:
    """Delivers written transaction files.

    Args:
        deliveries: Where each step is recorded.
        accounting: The accounting CLI.
        files: Where the files are.
        remove_delivered: Whether a file is removed once every record of it is booked.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        accounting: AccountingCli,
        files: TransactionFiles,
        *,
        remove_delivered: bool = False,
    ) -> None:
        self._deliveries = deliveries
        self._accounting = accounting
        self._files = files
        self._remove_delivered = remove_delivered

    async def __call__(self, delivery: Delivery, may_begin: Callable[[], bool] = lambda: True) -> Outcome:
        """Make one attempt to deliver a written file when its turn has come, and record its outcome.

        Until then the delivery stays ``written``. Cancelling it after the start leaves the CLI running and
        the delivery ``delivering``.

        Args:
            delivery: A written one.
            may_begin: Asked once the turn has come; a run must not begin that nobody would wait for.

        Raises:
            ValueError: the delivery has no file yet.
            CliNotStartedError: the turn cannot be had, or came too late; the delivery stays ``written``, with
                the reason.
            StoreUnavailableError: the database went away.
        """
        if delivery.file is None:
            raise ValueError(f"delivery {delivery.id} has no file yet: write it first")
        async with AsyncExitStack() as stack:
            try:
                turn = await self._take_turn(stack, may_begin)
            except CliNotStartedError as error:
                await self._deliveries.hindered(delivery.id, str(error))
                raise
            outcome = await self._attempt(turn, delivery, delivery.file.record_count)
        if self._remove_delivered and outcome.status is DeliveryStatus.DELIVERED:
            await self._files.remove(delivery.file_name)
        return outcome

    async def _take_turn(self, stack: AsyncExitStack, may_begin: Callable[[], bool]) -> AccountingTurn:
        turn = await stack.enter_async_context(self._accounting.turn())
        if not may_begin():
            raise CliNotStartedError(_TOO_LATE)
        return turn

    async def _attempt(self, turn: AccountingTurn, delivery: Delivery, record_count: int) -> Outcome:
        attempt = await self._deliveries.started(delivery.id)
        try:
            run = await turn.run(delivery.file_name, attempt)
        except CliNotStartedError as error:
            outcome = Outcome(DeliveryStatus.FAILED, 0, 0, record_count, None, str(error))
        else:
            judge = Judge(record_count)
            await self._judge_error_file(delivery, attempt, judge)
            outcome = judge.outcome(run)
        await self._deliveries.settled(delivery.id, outcome)
        return outcome

    async def _judge_error_file(self, delivery: Delivery, attempt: int, judge: Judge) -> None:
        rejects: list[Reject] = []
        async for row in self._accounting.error_rows(delivery.file_name):
            reject = await _see(judge, row)
            if reject is not None:
                rejects.append(reject)
            if len(rejects) >= _REJECTS_AT_ONCE:
                await self._deliveries.rejected(delivery.id, attempt, rejects)
                rejects = []
        if rejects:
            await self._deliveries.rejected(delivery.id, attempt, rejects)


async def _see(judge: Judge, row: ErrorRow) -> Reject | None:
    if len(row.message) < _LONG_ANSWER:
        return judge.see(row)
    # Reading a long answer takes longer than the event loop may be held up.
    return await asyncio.to_thread(judge.see, row)
