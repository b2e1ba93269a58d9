"""What the port ``Portfolios`` promises, of the twin in memory and of the Trade Service over HTTP."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from tests.trade_service.looking_up import until

from globeco_allocation.adapters.memory.portfolios import MemoryPortfolios
from globeco_allocation.adapters.trade_service import TradeServicePortfolios, open_trade_service
from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService
from globeco_allocation.ports.portfolios import Portfolios

LONGEST = "683b6b9620f302c879a5fef4"


class World(ABC):
    """The port's other side: what is known over there, and whether it answers."""

    portfolios: Portfolios

    @abstractmethod
    def knows(self, execution_service_id: int, portfolio_id: str | None) -> None: ...

    @abstractmethod
    def is_away(self) -> None: ...

    @abstractmethod
    def is_back(self) -> None: ...

    @abstractmethod
    def may_be_asked_again(self) -> bool: ...

    async def failure(self, execution_service_id: int) -> LookupFailedError:
        with pytest.raises(LookupFailedError) as caught:
            await self.portfolios.portfolio_of(execution_service_id)
        return caught.value


class InMemory(World):
    def __init__(self, twin: MemoryPortfolios) -> None:
        self.portfolios = self.twin = twin

    def knows(self, execution_service_id: int, portfolio_id: str | None) -> None:
        self.twin.portfolios[execution_service_id] = portfolio_id

    def is_away(self) -> None:
        self.twin.fail()

    def is_back(self) -> None:
        self.twin.recover()

    def may_be_asked_again(self) -> bool:
        return True


class OverHttp(World):
    def __init__(self, service: SimulatedTradeService, portfolios: TradeServicePortfolios) -> None:
        self.service, self.portfolios, self.over_http = service, portfolios, portfolios

    def knows(self, execution_service_id: int, portfolio_id: str | None) -> None:
        self.service.portfolios[execution_service_id] = [portfolio_id]

    def is_away(self) -> None:
        self.service.knobs = Knobs(status=503)

    def is_back(self) -> None:
        self.service.knobs = Knobs()

    def may_be_asked_again(self) -> bool:
        return self.over_http.breaker_state != "open"


@pytest_asyncio.fixture(params=["memory", "trade service"])
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    if request.param == "memory":
        yield InMemory(MemoryPortfolios())
        return
    service = SimulatedTradeService()
    async with (
        service.serve() as url,
        open_trade_service(url, base_delay_seconds=0, breaker_open_seconds=0.1) as portfolios,
    ):
        yield OverHttp(service, portfolios)


@pytest.mark.parametrize("portfolio_id", ["a", "other-id", LONGEST])
async def test_a_known_execution_has_its_portfolio(world: World, portfolio_id: str) -> None:
    world.knows(27, portfolio_id)

    assert await world.portfolios.portfolio_of(27) == portfolio_id


async def test_blanks_that_pad_a_portfolio_id_are_cut_off(world: World) -> None:
    world.knows(27, "abc     ")

    assert await world.portfolios.portfolio_of(27) == "abc"


async def test_asking_again_gives_the_same_answer_until_it_changes_over_there(world: World) -> None:
    world.knows(27, "abc")
    first = [await world.portfolios.portfolio_of(27) for _ in range(2)]
    world.knows(27, "abd")

    assert first == ["abc", "abc"]
    assert await world.portfolios.portfolio_of(27) == "abd"


async def test_lookups_side_by_side_do_not_mix(world: World) -> None:
    for number in range(1, 101):
        world.knows(number, f"portfolio-{number}")

    answers = await asyncio.gather(*(world.portfolios.portfolio_of(number) for number in range(1, 101)))

    assert answers == [f"portfolio-{number}" for number in range(1, 101)]


async def test_an_execution_not_known_yet_may_be_known_later(world: World) -> None:
    error = await world.failure(27)
    world.knows(27, "abc")

    assert error.passing
    assert "execution service id 27" in str(error)
    assert await world.portfolios.portfolio_of(27) == "abc"


@pytest.mark.parametrize("portfolio_id", [None, "", "   ", LONGEST + "0"])
async def test_a_portfolio_id_that_cannot_be_kept_is_a_failure_for_good(
    world: World, portfolio_id: str | None
) -> None:
    world.knows(27, portfolio_id)

    error = await world.failure(27)

    assert not error.passing
    assert "execution service id 27" in str(error)


async def test_while_it_is_away_lookups_fail_and_may_work_later(world: World) -> None:
    world.knows(27, "abc")
    world.is_away()
    error = await world.failure(27)
    world.is_back()

    assert error.passing
    assert await world.portfolios.portfolio_of(27) == "abc"


async def test_after_a_long_outage_lookups_side_by_side_all_work(world: World) -> None:
    for number in range(1, 101):
        world.knows(number, f"portfolio-{number}")
    world.is_away()
    errors = [await world.failure(number) for number in range(1, 11)]
    world.is_back()
    await until(world.may_be_asked_again)

    answers = await asyncio.gather(*(world.portfolios.portfolio_of(number) for number in range(1, 101)))

    assert all(error.passing for error in errors)
    assert answers == [f"portfolio-{number}" for number in range(1, 101)]
