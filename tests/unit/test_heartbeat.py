"""Work under a lease: renewed while it goes on, ended when it is lost, given back whatever came of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from globeco_allocation.domain import Holder, Lease, Leased, LeaseLostError, StoreUnavailableError
from globeco_allocation.domain.use_cases.heartbeat import under_lease

LEASE = Lease(Leased.DELIVERY, 7, 1, Holder("one", timedelta(seconds=0.04)))
PATIENCE = 5.0
"""Seconds after which a test that waits has failed."""


class RememberedLeases:
    """Remembers renewals and releases; `renewing` and `releasing` may raise.

    Attributes:
        beaten: Set at each renewal, whatever came of it.
    """

    def __init__(self) -> None:
        self.renewed = 0
        self.released = 0
        self.renewing: Callable[[], None] = lambda: None
        self.releasing: Callable[[], None] = lambda: None
        self.beaten = asyncio.Event()

    async def renew(self, lease: Lease) -> None:
        assert lease == LEASE
        self.renewed += 1
        self.beaten.set()
        self.renewing()

    async def release(self, lease: Lease) -> None:
        assert lease == LEASE
        self.released += 1
        self.releasing()

    async def beats(self, times: int) -> None:
        """Wait until there were so many renewals."""
        while self.renewed < times:
            self.beaten.clear()
            await self.beaten.wait()


class Work:
    """Goes on until `finish` is set, and notes when it is cancelled."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()
        self.begun = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


def lost() -> None:
    raise LeaseLostError("another holder has it")


def away() -> None:
    raise StoreUnavailableError("the database is away")


@pytest.fixture
def leases() -> RememberedLeases:
    return RememberedLeases()


@pytest.fixture
def work() -> Work:
    return Work()


async def test_a_lease_is_renewed_as_long_as_the_work_goes_on(leases: RememberedLeases, work: Work) -> None:
    async with asyncio.timeout(PATIENCE):
        under_way = asyncio.create_task(under_lease(leases, LEASE, work()))
        await leases.beats(3)
        released_meanwhile = leases.released
        work.finish.set()
        result = await under_way

    assert (result, released_meanwhile, leases.released) == ("done", 0, 1)


async def test_a_lease_is_renewed_often_enough_for_two_renewals_to_fail() -> None:
    assert Holder("one").heartbeat * 3 < Holder("one").time


async def test_short_work_is_not_interrupted_by_a_renewal(leases: RememberedLeases, work: Work) -> None:
    work.finish.set()

    assert await under_lease(leases, LEASE, work()) == "done"
    assert (leases.renewed, leases.released) == (0, 1)


async def test_work_whose_lease_is_lost_is_cancelled(leases: RememberedLeases, work: Work) -> None:
    leases.renewing = lost
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LeaseLostError):
            await under_lease(leases, LEASE, work())

    assert work.cancelled


async def test_work_that_has_ended_is_not_spoilt_by_a_lease_that_was_taken_since(work: Work) -> None:
    class Slow(RememberedLeases):
        async def renew(self, lease: Lease) -> None:
            await super().renew(lease)
            work.finish.set()
            for _ in range(5):  # the work ends while the renewal is on its way
                await asyncio.sleep(0)
            raise LeaseLostError("another holder has it")

    leases = Slow()
    async with asyncio.timeout(PATIENCE):
        assert await under_lease(leases, LEASE, work()) == "done"

    assert (leases.renewed, leases.released) == (1, 1)


async def test_the_work_goes_on_while_the_database_is_away(leases: RememberedLeases, work: Work) -> None:
    leases.renewing = away
    leases.releasing = away
    async with asyncio.timeout(PATIENCE):
        under_way = asyncio.create_task(under_lease(leases, LEASE, work()))
        await leases.beats(3)
        work.finish.set()

        assert await under_way == "done"
    assert not work.cancelled


async def test_an_error_of_the_work_is_its_callers_and_the_lease_is_given_back(
    leases: RememberedLeases,
) -> None:
    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await under_lease(leases, LEASE, failing())

    assert leases.released == 1


async def test_cancelling_ends_the_work_first_and_then_gives_the_lease_back(
    leases: RememberedLeases,
) -> None:
    order: list[str] = []
    begun = asyncio.Event()

    async def tidy() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            order.append("ended")

    leases.releasing = lambda: order.append("released")
    async with asyncio.timeout(PATIENCE):
        under_way = asyncio.create_task(under_lease(leases, LEASE, tidy()))
        await begun.wait()
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

    assert order == ["ended", "released"]


async def test_a_lease_that_cannot_be_given_back_holds_nobody_up(work: Work) -> None:
    class Stuck(RememberedLeases):
        async def release(self, lease: Lease) -> None:
            await super().release(lease)
            await asyncio.Event().wait()

    work.finish.set()
    async with asyncio.timeout(PATIENCE):
        assert await under_lease(Stuck(), LEASE, work()) == "done"
