"""A process that was stopped for a while is no sign of a failing Trade Service."""

import asyncio

import pytest
from tests.trade_service.looking_up import PATIENCE, looking_up, until

from globeco_allocation.adapters.trade_service.client import LATE_SECONDS
from globeco_allocation.adapters.trade_service.portfolios import lookup_budget
from globeco_allocation.entrypoints.simulated.trade_service import (
    Knobs,
    SimulatedTradeService,
    invented_portfolio,
)

TIMEOUT_SECONDS = 5.0
BUDGET_SECONDS = lookup_budget(TIMEOUT_SECONDS, 3, 0)
NUMBERS = range(1, 101)


def stand_still(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the event loop find in its next turn that so much time has gone by."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)


@pytest.mark.parametrize("pause_seconds", [TIMEOUT_SECONDS + 1, BUDGET_SECONDS - 0.5, BUDGET_SECONDS + 60])
async def test_after_a_pause_of_our_own_every_lookup_goes_on_and_the_breaker_stays_closed(
    monkeypatch: pytest.MonkeyPatch, pause_seconds: float
) -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(hang=True))

    async with (
        service.serve() as url,
        looking_up(url, timeout_seconds=TIMEOUT_SECONDS) as lookups,
    ):
        tasks = [asyncio.create_task(lookups.find(number)) for number in NUMBERS]
        async with asyncio.timeout(PATIENCE):
            await service.asked(64)
        service.knobs = Knobs(delay=0.2)
        stand_still(monkeypatch, pause_seconds)
        answers = await asyncio.gather(*tasks)

        assert lookups.portfolios.breaker_state == "closed"
    assert answers == [invented_portfolio(number) for number in NUMBERS]
    assert service.calls.total() == 64 + 100
    assert set(lookups.outcomes) == {"found"}


@pytest.mark.parametrize(
    ("late", "state"), [(LATE_SECONDS / 5, "open"), (LATE_SECONDS, "closed")], ids=["a little", "much"]
)
async def test_only_a_time_limit_noticed_much_too_late_is_not_the_trade_services_failure(
    monkeypatch: pytest.MonkeyPatch, late: float, state: str
) -> None:
    service = SimulatedTradeService(knobs=Knobs(hang=True))

    async with (
        service.serve() as url,
        looking_up(url, timeout_seconds=TIMEOUT_SECONDS, attempts=2, breaker_threshold=1) as lookups,
    ):
        lookup = asyncio.create_task(lookups.fail(27))
        async with asyncio.timeout(PATIENCE):
            await service.asked(1)
        stand_still(monkeypatch, TIMEOUT_SECONDS + late)
        await until(lambda: lookup.done() or service.calls.total() == 2)

        assert lookups.portfolios.breaker_state == state
        lookup.cancel()
        await asyncio.wait([lookup])


async def test_a_lookup_whose_last_attempt_we_held_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    service = SimulatedTradeService(knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, timeout_seconds=TIMEOUT_SECONDS, attempts=2, base_delay_seconds=0.05) as lookups,
    ):
        lookup = asyncio.create_task(lookups.fail(27))
        async with asyncio.timeout(PATIENCE):
            await service.asked(1)
            service.knobs = Knobs(hang=True)
            await service.asked(2)
        stand_still(monkeypatch, TIMEOUT_SECONDS + 1)
        error = await lookup

    assert str(error) == (
        "this service was held up while it asked the Trade Service for execution service id 27:"
        " try again later"
    )
    assert error.passing
    assert lookups.outcomes == ["unavailable"]
