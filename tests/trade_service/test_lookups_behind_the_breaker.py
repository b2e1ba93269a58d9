"""What callers see of the circuit breaker."""

import asyncio
import time

import pytest
import structlog.testing
from tests.trade_service.looking_up import PATIENCE, Lookups, Told, answering, found, looking_up, until

from globeco_allocation.entrypoints.simulated.trade_service import (
    Knobs,
    SimulatedTradeService,
    invented_portfolio,
)

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
    # Those under way, and none in the places of the first to fail.
    assert service.calls.total() == 10
    assert not [line for line in lines if line["event"] == "call is tried again"]


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


async def test_all_lookups_after_an_outage_wait_for_the_first_and_succeed_with_it() -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, breaker_threshold=1, breaker_open_seconds=OPEN_SECONDS) as lookups,
    ):
        await open_until_half_open(lookups)
        service.knobs = Knobs(delay=0.05)
        answers = await asyncio.gather(*(lookups.find(number) for number in range(1, 101)))

        assert lookups.portfolios.breaker_state == "closed"
    assert answers == [invented_portfolio(number) for number in range(1, 101)]
    assert service.calls.total() == 1 + 100
    assert service.most_at_once <= 64


@pytest.mark.parametrize("lookups_at_once", [1, 64])
@pytest.mark.parametrize(
    "knobs",
    [pytest.param(Knobs(status=500, delay=0.05), id="500"), pytest.param(Knobs(hang=True), id="hang")],
)
async def test_one_lookup_finds_out_for_all_that_the_trade_service_is_still_away(
    knobs: Knobs, lookups_at_once: int
) -> None:
    service = SimulatedTradeService(knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(
            url,
            timeout_seconds=0.2,
            lookups_at_once=lookups_at_once,
            breaker_threshold=1,
            breaker_open_seconds=OPEN_SECONDS,
        ) as lookups,
    ):
        await open_until_half_open(lookups)
        service.knobs = knobs
        lookups.outcomes.clear()
        await asyncio.gather(*(lookups.fail(number) for number in range(1, 101)))

    assert service.calls.total() == 1 + 1
    assert lookups.outcomes.count("unavailable") == 1
    assert lookups.outcomes.count("breaker_open") == 99


@pytest.mark.parametrize("lookups_at_once", [1, 64])
async def test_when_the_lookup_that_finds_out_is_cancelled_the_next_one_takes_over(
    lookups_at_once: int,
) -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(
            url,
            breaker_threshold=1,
            breaker_open_seconds=OPEN_SECONDS,
            lookups_at_once=lookups_at_once,
        ) as lookups,
        asyncio.timeout(PATIENCE),
    ):
        await open_until_half_open(lookups)
        service.knobs.status, service.knobs.hang = None, True
        probe, early, late, *others = [
            asyncio.create_task(lookups.find(number)) for number in range(101, 111)
        ]
        await service.asked(2)
        early.cancel()
        await asyncio.wait([early])
        service.knobs.hang = False
        probe.cancel()
        late.cancel()  # in the turn in which it might be the next
        answers = await asyncio.gather(*others)
        await asyncio.wait([probe, late])

        assert lookups.portfolios.breaker_state == "closed"
    assert answers == [invented_portfolio(number) for number in range(104, 111)]
    assert probe.cancelled()
    assert early.cancelled()
    assert late.cancelled()
    assert service.calls.total() == 1 + 1 + 7


async def test_after_an_answer_that_tells_nothing_of_the_trade_service_the_next_lookup_finds_out() -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(status=500))

    async with (
        service.serve() as url,
        looking_up(url, breaker_threshold=1, breaker_open_seconds=OPEN_SECONDS) as lookups,
    ):
        await open_until_half_open(lookups)
        service.knobs = Knobs(bodies={27: b"<html>"})
        failed, *answers = await asyncio.gather(
            lookups.fail(27), *(lookups.find(number) for number in range(1, 11))
        )

    assert "cannot be read" in str(failed)
    assert answers == [invented_portfolio(number) for number in range(1, 11)]


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
        assert lookups.outcomes == ["cancelled"] * 5
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
