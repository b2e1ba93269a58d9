"""However much is asked and however slow the answer: so many calls at once, and so long."""

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.trade_service.looking_up import PATIENCE, looking_up, until

from globeco_allocation.adapters.trade_service.portfolios import lookup_budget
from globeco_allocation.entrypoints.simulated.trade_service import (
    Knobs,
    SimulatedTradeService,
    invented_portfolio,
)


async def test_a_hundred_slow_lookups_take_well_under_a_second() -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(delay=0.05))

    async with service.serve() as url, looking_up(url) as lookups:
        start = time.monotonic()
        answers = await asyncio.gather(*(lookups.find(number) for number in range(1, 101)))
        took = time.monotonic() - start

    assert answers == [invented_portfolio(number) for number in range(1, 101)]
    assert took < 1


async def test_no_more_calls_are_under_way_than_set() -> None:
    service = SimulatedTradeService(invent=True, knobs=Knobs(delay=0.01))

    async with service.serve() as url, looking_up(url, lookups_at_once=4) as lookups:
        await asyncio.gather(*(lookups.find(number) for number in range(1, 21)))

    assert service.most_at_once == 4


async def test_a_lookup_that_pauses_leaves_its_place_to_others() -> None:
    service = SimulatedTradeService({28: ["abc"]})

    async with (
        service.serve() as url,
        looking_up(url, base_delay_seconds=60, lookups_at_once=1) as lookups,
        asyncio.timeout(PATIENCE),
    ):
        pausing = asyncio.create_task(lookups.find(27))
        await until(lambda: service.calls[27] == 1)

        assert await lookups.find(28) == "abc"
        assert not pausing.done()
        pausing.cancel()
        await asyncio.wait([pausing])


async def test_waiting_for_a_place_comes_out_of_the_time_for_the_lookup() -> None:
    service = SimulatedTradeService(knobs=Knobs(hang=True))
    timeout_seconds, attempts = 0.1, 2
    budget = lookup_budget(timeout_seconds, attempts, 0)

    # One after the other they would take 20 budgets.
    async with (
        service.serve() as url,
        looking_up(
            url,
            timeout_seconds=timeout_seconds,
            attempts=attempts,
            lookups_at_once=1,
            breaker_threshold=1000,
        ) as lookups,
    ):
        start = time.monotonic()
        errors = await asyncio.gather(*(lookups.fail(number) for number in range(1, 21)))
        took = time.monotonic() - start

    assert all(error.passing and "did not answer in time" in str(error) for error in errors)
    assert took < 10 * budget
    assert lookups.outcomes == ["unavailable"] * 20


async def test_a_trade_service_that_hangs_costs_one_time_limit_not_one_for_each_attempt() -> None:
    service = SimulatedTradeService(knobs=Knobs(hang=True))

    async with (
        service.serve() as url,
        looking_up(url, timeout_seconds=0.5, attempts=20, lookups_at_once=64) as lookups,
    ):
        start = time.monotonic()
        await asyncio.gather(*(lookups.fail(number) for number in range(1, 101)))
        took = time.monotonic() - start

    assert 0.5 <= took < 1
    assert service.calls.total() == 64


async def test_a_single_attempt_to_its_time_limit_counts_as_a_failure() -> None:
    service = SimulatedTradeService(knobs=Knobs(hang=True))

    async with (
        service.serve() as url,
        looking_up(url, timeout_seconds=0.1, attempts=1, breaker_threshold=1) as lookups,
    ):
        await lookups.fail(27)

        assert lookups.portfolios.breaker_state == "open"


def test_the_longest_lookup_is_all_attempts_and_the_longest_pauses_between_them() -> None:
    assert lookup_budget(5, 1, 0.1) == 5
    assert lookup_budget(5, 3, 0.1) == pytest.approx(15 + 0.2 + 0.3)
    assert lookup_budget(1, 10, 1) == pytest.approx(10 + 2 + 3 + 7 * 5)


async def test_a_cancelled_lookup_gives_its_place_back() -> None:
    service = SimulatedTradeService({27: ["abc"]}, knobs=Knobs(hang=True))

    async with service.serve() as url, looking_up(url, lookups_at_once=1) as lookups:
        cancelled = asyncio.create_task(lookups.find(27))
        await until(lambda: service.calls[27] == 1)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        service.knobs.hang = False

        assert cancelled.cancelled()
        assert await lookups.find(27) == "abc"


async def test_the_end_closes_every_connection_and_leaves_no_task_behind() -> None:
    open_connections: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"executions":[{"tradeOrder":{"portfolio":{"portfolioId":"abc"}}}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await reader.read()  # until the other side closes
        open_connections.discard(writer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        async with looking_up(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as lookups:
            await lookups.find(27)
            assert len(open_connections) == 1

        await until(lambda: not open_connections)
        await until(only_this_task_runs())


def only_this_task_runs() -> Callable[[], bool]:
    this = asyncio.current_task()
    return lambda: asyncio.all_tasks() == {this}
