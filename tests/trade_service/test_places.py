"""Places for calls: first come, first served, nobody waits for ever, and none is lost."""

import asyncio

import pytest

from globeco_allocation.adapters.trade_service.places import Places

LONG = 60.0


async def hold(places: Places, until: asyncio.Event, order: list[int], number: int) -> float:
    async with places as waited:
        order.append(number)
        await until.wait()
        return waited


async def begin(places: Places, until: asyncio.Event, order: list[int], number: int) -> asyncio.Task[float]:
    task = asyncio.create_task(hold(places, until, order, number))
    await asyncio.sleep(0)
    return task


async def test_whoever_comes_while_there_are_places_does_not_wait() -> None:
    places, end, order = Places(2, LONG), asyncio.Event(), list[int]()
    tasks = [await begin(places, end, order, number) for number in range(2)]
    assert places.crowded
    end.set()

    assert await asyncio.gather(*tasks) == [0, 0]
    assert not places.crowded


async def test_the_first_to_wait_is_the_first_to_be_served() -> None:
    places, order = Places(1, LONG), list[int]()
    ends = [asyncio.Event() for _ in range(4)]
    tasks = [await begin(places, end, order, number) for number, end in enumerate(ends)]
    for number, end in enumerate(ends):
        assert order == list(range(number + 1))
        end.set()
        await tasks[number]
        await asyncio.sleep(0)

    assert not places.crowded


async def test_waiting_has_an_end_for_everybody_at_the_cost_of_one_timer() -> None:
    places, end, order = Places(1, 0.2), asyncio.Event(), list[int]()
    holder = await begin(places, end, order, 0)
    waiting = [await begin(places, end, order, number) for number in range(1, 500)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(answer, TimeoutError) for answer in answers)
    assert order == [0]
    end.set()
    await holder
    assert not places.crowded


async def test_one_tells_how_long_a_place_was_waited_for() -> None:
    places, first, order = Places(1, 2.0), asyncio.Event(), list[int]()
    holder = await begin(places, first, order, 0)
    second = asyncio.Event()
    second.set()
    waiting = await begin(places, second, order, 1)
    asyncio.get_running_loop().call_later(0.5, first.set)
    await holder

    assert await waiting == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("served", [False, True], ids=["while it waits", "as it is served"])
async def test_a_waiting_one_that_is_cancelled_keeps_no_place(*, served: bool) -> None:
    places, end = Places(1, LONG), asyncio.Event()
    async with places:
        waiting = await begin(places, end, [], 1)
        if not served:
            waiting.cancel()
    if served:
        waiting.cancel()  # the place is given to it, and it has not run yet
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not places.crowded
