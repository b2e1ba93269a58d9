"""A simulated Trade Service in a thread, whose executions are those of the drill."""

import asyncio
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from globeco_allocation.entrypoints.simulated.trade_service import SimulatedTradeService, invented_portfolio


class ListedTradeService:
    """The Trade Service; made by `trade_service`.

    Attributes:
        url: Where it is.
    """

    def __init__(self, simulated: SimulatedTradeService, url: str) -> None:
        self.url = url
        self._simulated = simulated

    def fill(self, execution_service_ids: Iterable[int]) -> None:
        """Let executions be filled."""
        for key in execution_service_ids:
            self._simulated.statuses[key] = "FULL"
            self._simulated.portfolios[key] = [invented_portfolio(key)]

    def send(self, execution_service_ids: Iterable[int]) -> None:
        """Let executions be sent out, and not filled yet."""
        for key in execution_service_ids:
            self._simulated.portfolios[key] = [invented_portfolio(key)]


@contextmanager
def trade_service() -> Generator[ListedTradeService]:
    """Serve for as long as the block lasts."""
    simulated = SimulatedTradeService()
    loop = asyncio.new_event_loop()
    listening = threading.Event()
    ended = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with simulated.serve() as url:
            urls.append(url)
            listening.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert listening.wait(10)
        yield ListedTradeService(simulated, urls[0])
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
