"""The simulated Trade Service misbehaves on request, and counts what it was asked."""

import asyncio

import aiohttp
import pytest
from tests.simulated.calling import KNOWN, ONE, OTHER, PATIENCE, Caller, calling

from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService


@pytest.mark.parametrize(("status", "error"), [(500, "Internal Server Error"), (429, "Too Many Requests")])
async def test_a_forced_status_holds_until_it_is_taken_back(status: int, error: str) -> None:
    service = SimulatedTradeService(KNOWN)

    async with calling(service) as caller:
        service.knobs.status = status
        forced = await caller.ask(27)
        service.knobs.status = None
        after = await caller.ask(27)

    assert (forced.status, forced.json()["error"], after.status) == (status, error, 200)


async def test_a_hanging_service_answers_nobody_and_forgets_callers_that_hang_up() -> None:
    service = SimulatedTradeService(KNOWN, knobs=Knobs(hang=True))

    async with calling(service) as caller:
        with pytest.raises(TimeoutError):
            await caller.ask(27, patience=0.05)
        service.knobs.hang = False
        answer = await caller.ask(27)

    assert answer.portfolio_ids() == [ONE]
    assert service.calls[27] == 2


async def test_stopping_does_not_wait_for_calls_that_hang() -> None:
    service = SimulatedTradeService(KNOWN, knobs=Knobs(hang=True))

    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
        async with service.serve() as url:
            call = asyncio.ensure_future(Caller(url, session).ask(27))
            await service.asked(1)
        with pytest.raises(aiohttp.ClientError):
            await call


async def test_a_reset_breaks_the_connection() -> None:
    async with calling(SimulatedTradeService(KNOWN, knobs=Knobs(reset=True))) as caller:
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await caller.ask(27)


async def test_a_dripping_body_is_slow_but_whole() -> None:
    service = SimulatedTradeService(KNOWN)

    async with calling(service) as caller:
        whole = await caller.ask(27)
        service.knobs.drip = 0.00001
        dripped = await caller.ask(27)
        service.knobs.drip = 1.0
        with pytest.raises(TimeoutError):
            await caller.ask(27, patience=0.05)

    assert dripped == whole


async def test_a_delay_comes_before_the_answer() -> None:
    service = SimulatedTradeService(KNOWN, knobs=Knobs(delay=5.0))

    async with calling(service) as caller:
        with pytest.raises(TimeoutError):
            await caller.ask(27, patience=0.05)
        service.knobs.delay = 0.001
        answer = await caller.ask(27)

    assert answer.status == 200


async def test_an_empty_list_may_be_early_for_each_id_anew() -> None:
    service = SimulatedTradeService(KNOWN, knobs=Knobs(empty_first=2))

    async with calling(service) as caller:
        found = [(await caller.ask(number)).portfolio_ids() for number in (27, 27, 29, 27, 29, 29)]

    assert found == [[], [], [], [ONE], [], [OTHER]]


async def test_it_counts_the_calls_per_id_and_the_most_at_once() -> None:
    service = SimulatedTradeService(KNOWN, knobs=Knobs(hang=True))

    async with calling(service) as caller, asyncio.timeout(PATIENCE):
        together = [asyncio.ensure_future(caller.ask(number)) for number in (27, 27, 28)]
        await service.asked(3)
        for call in together:
            call.cancel()
        await asyncio.gather(*together, return_exceptions=True)
        service.knobs.hang = False
        await caller.ask(29)

    assert service.calls == {27: 2, 28: 1, 29: 1}
    assert service.most_at_once == 3


async def test_it_shows_the_headers_of_the_latest_call() -> None:
    service = SimulatedTradeService(KNOWN)

    async with service.serve() as url, aiohttp.ClientSession(headers={"X-Correlation-ID": "abc"}) as session:
        await Caller(url, session).ask(27)

    assert service.last_headers["X-Correlation-ID"] == "abc"


async def test_it_can_be_stopped_and_started_again_on_the_same_port() -> None:
    service = SimulatedTradeService(KNOWN)

    async with aiohttp.ClientSession() as session:
        async with service.serve() as url:
            before = await Caller(url, session).ask(27)
        with pytest.raises(aiohttp.ClientConnectorError):
            await Caller(url, session).ask(27)
        async with service.serve(port=int(url.rpartition(":")[2])) as again:
            after = await Caller(again, session).ask(27)

    assert again == url
    assert after == before
