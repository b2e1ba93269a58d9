"""Calls to a simulated Trade Service, and the executions it knows in the tests."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from globeco_allocation.entrypoints.simulated.trade_service import PATH, SimulatedTradeService

ONE, OTHER = "683b6b9620f302c879a5fef4", "683b6b9620f302c879a5fef5"
PATIENCE = 10.0

# The executions and portfolios of the recording.
KNOWN: dict[int, list[str | None] | None] = {
    27: [ONE],
    28: ["shortid"],
    29: [OTHER],
    30: [ONE, OTHER],
    100: ["683b6b9620f302c879a5aa00"],
    101: [None],
    102: ["683b6b9620f302c879a5aa02"],
    105: [None],
    106: ["other-id"],
}


class Answer(NamedTuple):
    status: int
    content_type: str
    body: str

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    def portfolio_ids(self) -> list[str | None]:
        return [
            execution["tradeOrder"]["portfolio"]["portfolioId"] for execution in self.json()["executions"]
        ]


class Caller:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str, patience: float = PATIENCE) -> Answer:
        limit = aiohttp.ClientTimeout(total=patience)
        async with self._session.get(self.url + path, timeout=limit) as response:
            return Answer(response.status, response.headers["Content-Type"], await response.text())

    async def ask(self, execution_service_id: object, patience: float = PATIENCE) -> Answer:
        return await self.get(f"{PATH}?executionServiceId={execution_service_id}", patience)


@asynccontextmanager
async def calling(service: SimulatedTradeService, port: int = 0) -> AsyncGenerator[Caller]:
    async with service.serve(port=port) as url, aiohttp.ClientSession() as session:
        yield Caller(url, session)
