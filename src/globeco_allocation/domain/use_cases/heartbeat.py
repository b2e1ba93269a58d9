"""Work under a lease: renewed as long as the work goes on, given back when it ends."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from globeco_allocation.domain.errors import LeaseLostError, StoreUnavailableError
from globeco_allocation.domain.lease import Lease
from globeco_allocation.ports.leases import Leases

T = TypeVar("T")

_RELEASE_SECONDS = 1.0


async def under_lease(leases: Leases, lease: Lease, work: Coroutine[Any, Any, T]) -> T:
    """Do *work* for as long as its lease is ours, and give the lease back whatever came of it.

    While the database is away the work goes on: all that it writes is checked against the lease.

    Raises:
        LeaseLostError: another holder goes on; the work was cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=lease.holder.heartbeat.total_seconds())
            if done:
                return task.result()
            try:
                await leases.renew(lease)
            except StoreUnavailableError:
                pass
            except LeaseLostError:
                if not task.done():  # else it had given the lease back itself before another one took it
                    raise
    finally:
        await _cancelled(task)
        await _given_back(leases, lease)


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen, so that asyncio does not complain


async def _given_back(leases: Leases, lease: Lease) -> None:
    # If this fails, the lease runs out by itself.
    with suppress(StoreUnavailableError, LeaseLostError, TimeoutError):
        async with asyncio.timeout(_RELEASE_SECONDS):
            await leases.release(lease)
