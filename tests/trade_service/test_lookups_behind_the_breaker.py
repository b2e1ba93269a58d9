"""What callers see of the circuit breaker."""

import asyncio
import time

import pytest
import structlog.testing
from tests.trade_service.looking_up import PATIENCE, Lookups, Told, answering, found, looking_up, until

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService

OPEN_SECONDS = 0.1
BROKEN = Told(status=500)


async def test_a_failing_trade_service_is_soon_left_alone_and_each_record_hears_why() -> None:
    service = SimulatedTradeService(knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, base_delay_seconds=0.05, lookups_at_once=10, breaker_threshold=5) as lookups,
    ):
        with structlog.testing.capture_logs() as lines:
            start = time.monotonic()
            errors = await asyncio.gather(*(lookups.fail(number) for number in range(1, 101)))
            took = time.monotonic() - start
        at_once = await lookups.fail(101)

        assert lookups.portfolios.breaker_state == "open"
    assert all(error.passing for error in [*errors, at_once])
    assert str(at_once) == (
        "the Trade Service is not asked for execution service id 101 because it has been failing"
        " (its circuit breaker is open): try again later"
    )
    assert set(lookups.outcomes) == {"unavailable", "breaker_open"}
    assert lookups.outcomes[-1] == "breaker_open"
    assert took < 2
    # Those under way, four that took the places of the first four to fail, and none after the fifth failure.
    assert service.calls.total() <= 14
    assert sum(line["event"] == "call is tried again" for line in lines) == 4


async def test_when_the_trade_service_is_back_so_are_lookups() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(reset=True))

    async with (
        service.serve() as url,
        looking_up(url, breaker_threshold=3, breaker_open_seconds=OPEN_SECONDS) as lookups,
    ):
        await lookups.fail(27)
        assert lookups.portfolios.breaker_state == "open"

        service.knobs.reset = False
        assert "circuit breaker is open" in str(await lookups.fail(27))
        await until(lambda: lookups.portfolios.breaker_state == "half-open")
        assert await lookups.find(27) == "abc"
        assert lookups.portfolios.breaker_state == "closed"


async def open_until_half_open(lookups: Lookups) -> None:
    await lookups.fail(1)
    await until(lambda: lookups.portfolios.breaker_state == "half-open")


async def test_one_lookup_at_a_time_finds_out_whether_the_trade_service_is_back() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, breaker_threshold=1, breaker_open_seconds=OPEN_SECONDS) as lookups,
    ):
        await open_until_half_open(lookups)
        service.knobs = Knobs(delay=0.05)
        results = await asyncio.gather(*(lookups.find(27) for _ in range(20)), return_exceptions=True)

    assert service.calls[27] == 1
    assert results.count("abc") == 1
    assert sum(isinstance(result, LookupFailedError) for result in results) == 19
    assert lookups.outcomes.count("breaker_open") == 19


async def test_behind_a_probe_nobody_waits_for_a_place() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, breaker_threshold=1, breaker_open_seconds=OPEN_SECONDS, lookups_at_once=1) as lookups,
    ):
        await open_until_half_open(lookups)
        service.knobs = Knobs(hang=True)
        probe = asyncio.create_task(lookups.find(27))
        await until(lambda: service.calls[27] == 1)
        start = time.monotonic()
        error = await lookups.fail(28)

        assert "circuit breaker is open" in str(error)
        assert time.monotonic() - start < 1
        assert not probe.done()
        probe.cancel()
        await asyncio.wait([probe])


async def test_cancelled_lookups_are_no_sign_of_a_failing_trade_service() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(hang=True))

    async with service.serve() as url, looking_up(url, breaker_threshold=1) as lookups:
        cancelled = [asyncio.create_task(lookups.find(27)) for _ in range(5)]
        await until(lambda: service.calls[27] == 5)
        for task in cancelled:
            task.cancel()
        await asyncio.wait(cancelled)
        service.knobs.hang = False

        assert all(task.cancelled() for task in cancelled)
        assert lookups.outcomes == []
        assert lookups.portfolios.breaker_state == "closed"
        assert await lookups.find(27) == "abc"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(Told(status=400), id="400"),
        pytest.param(Told(status=302), id="302"),
        pytest.param(Told(b"<html>"), id="HTML"),
        pytest.param(found(), id="empty list"),
        pytest.param(found(None), id="no portfolio"),
    ],
)
async def test_what_is_not_the_trade_services_failure_does_not_open_it(told: Told) -> None:
    async with answering(told) as server, looking_up(server.url, breaker_threshold=1) as lookups:
        await lookups.fail(27)

        assert lookups.portfolios.breaker_state == "closed"


async def test_an_empty_list_shows_that_the_trade_service_is_well() -> None:
    answers = [BROKEN, found(), BROKEN, found(), BROKEN, found("abc")]

    async with (
        answering(*answers) as server,
        looking_up(server.url, attempts=6, breaker_threshold=2) as lookups,
    ):
        assert await lookups.find(27) == "abc"
        assert server.calls == 6


async def test_a_breaker_that_opens_spares_the_caller_the_pause_before_a_refusal() -> None:
    async with (
        answering(BROKEN) as server,
        looking_up(server.url, base_delay_seconds=60, breaker_threshold=1) as lookups,
        asyncio.timeout(PATIENCE),
    ):
        error = await lookups.fail(27)

    assert "failed (status 500)" in str(error)
    assert server.calls == 1
